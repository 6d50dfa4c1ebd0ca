"""Where unix sockets lie: a private folder with a short path, for a socket's may have 107 characters at most."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def socket_folder() -> Path:
    """Return `imagegen-<uid>` in the temporary folder, made with mode 0700; raises OSError if it is not private."""
    folder = Path(tempfile.gettempdir()) / f"imagegen-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise OSError(f"{folder} is not a private folder of this user")
    return folder
