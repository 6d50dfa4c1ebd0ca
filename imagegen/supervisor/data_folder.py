"""The data folder as one run owns it: the lock, and the code for the first visit."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from pathlib import Path

from imagegen.supervisor.errors import StartError

SETUP_CODE = "setup-code"
SETUP_DONE = "setup-done"
_LOCK = "lock"
_LEFTOVERS_END_WITHIN = 10.0
_CODE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # nothing that can be misread


def lock(folder: Path) -> int:
    """Make `folder` if need be, and return a descriptor that holds it for this run and its children.

    All of them inherit the descriptor, so the folder counts as used until the last has ended, also when
    the supervisor was killed. Raises StartError when it is in use or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _prove_writable(folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StartError(f"STUDIO_DATA_DIR is {folder}, which cannot be written: {reason}.") from None
    try:
        _take(descriptor, folder)
    except StartError:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _prove_writable(folder: Path) -> None:
    # An old lock file can be opened in a folder that takes no new files.
    probe = folder / f".writable-{os.getpid()}"
    probe.touch(mode=0o600)
    probe.unlink()


def _take(descriptor: int, folder: Path) -> None:
    """Lock the file; when its owner was killed, wait for the children that it left to end."""
    give_up_at = time.monotonic() + _LEFTOVERS_END_WITHIN
    while not _try_lock(descriptor):
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        if not owner or _lives(owner) or time.monotonic() > give_up_at:
            by = f" (process {owner})" if owner else ""
            raise StartError(f"Imagegen Studio is running on the data folder {folder} already{by}.")
        time.sleep(0.1)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def setup_code(folder: Path) -> str | None:
    """Return the code that the set-up page asks for, made if there is none; None once the set-up is done.

    The web process marks the set-up as done by the file `setup-done`, and deletes the code.
    """
    if (folder / SETUP_DONE).exists():
        return None
    path = folder / SETUP_CODE
    if not path.exists():
        code = "-".join("".join(secrets.choice(_CODE_ALPHABET) for _ in range(4)) for _ in range(3))
        draft = folder / f".{SETUP_CODE}"
        draft.touch(mode=0o600)
        draft.write_text(code + "\n", encoding="ascii")
        draft.replace(path)
    return path.read_text(encoding="ascii").strip()
