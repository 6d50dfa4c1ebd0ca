"""Private temporary folders and files whose names tell their age.

Ages are told by the file system's clock: the hosts that share one may disagree about the time by days.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from imagegen.storage.errors import disk_errors

_NAME = re.compile(r"w-(\d{10,12})-[0-9a-f]{16}")


class Workspaces:
    """Makes and sweeps temporary folders in `root`.

    Age is told by the name: a folder's time of change says nothing about files that grow inside it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def now(self) -> datetime:
        """Return the present moment in UTC, as a file that is written now would tell it."""
        with disk_errors():
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._root) as probe:
                return datetime.fromtimestamp(os.fstat(probe.fileno()).st_mtime, UTC)

    def new_path(self) -> Path:
        """Return a name that nobody has yet, and that `sweep` recognises."""
        return self._root / f"w-{int(self.now().timestamp())}-{secrets.token_hex(8)}"

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Give a new folder that only this user may enter; it and all in it are removed afterwards."""
        folder = self.new_path()
        with disk_errors():
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, older_than: timedelta) -> int:
        """Remove what was made more than `older_than` ago, and nothing else; return how many."""
        swept = 0
        for left in self._older(older_than):
            _remove(left)
            swept += not os.path.lexists(left)
        return swept

    def left_behind(self, older_than: timedelta) -> list[str]:
        """Return the names of what `sweep` would remove, sorted."""
        return sorted(path.name for path in self._older(older_than))

    def _older(self, than: timedelta) -> list[Path]:
        if not self._root.is_dir():
            return []
        limit = (self.now() - than).timestamp()
        found = ((path, _NAME.fullmatch(path.name)) for path in self._root.iterdir())
        return [path for path, made in found if made and int(made[1]) < limit]


def _remove(path: Path) -> None:
    """Remove a folder with all in it, or a file; what cannot be removed is left for the next sweep."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
