"""What only Linux can do for a parent of processes; elsewhere these do nothing, and say so by their result."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# Loaded before any fork: the dynamic loader's lock may not be taken between fork and exec.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def end_with_parent(parent: int) -> None:
    """Have this process sent SIGTERM when its parent `parent` dies, however it dies; survives exec."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call
        os.kill(os.getpid(), signal.SIGTERM)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent dies, so that none of them gets out of sight."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """Return the ids of this process's children, adopted ones and zombies too; none where it cannot be told."""
    pids: set[int] = set()
    with contextlib.suppress(OSError):
        pids.update(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    return pids
