"""Tasks that misbehave, for a pool under test."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any


def warm_up() -> None:
    pass


def whoami() -> dict[str, Any]:
    return {"pid": os.getpid(), "modules": sorted(sys.modules), "environment": dict(os.environ)}


def sleep(seconds: float, mark: str | None = None) -> dict[str, Any]:
    if mark:
        Path(mark).write_text(str(os.getpid()))
    time.sleep(seconds)
    return {"pid": os.getpid()}


def meet(mark: str, other: str) -> dict[str, Any]:
    """Wait for the task that makes the `other` mark."""
    Path(mark).touch()
    while not Path(other).exists():
        time.sleep(0.01)
    return {"pid": os.getpid()}


def spin() -> dict[str, Any]:
    while True:
        pass


def hog() -> dict[str, Any]:
    return {"length": len(bytearray(4 << 30))}


def segfault() -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def leave() -> dict[str, Any]:
    os._exit(0)


def fail() -> dict[str, Any]:
    raise RuntimeError("a bug of ours")


def fill(path: str) -> dict[str, Any]:
    with Path(path).open("wb") as file:
        file.seek(400 << 20)
        file.write(b"x")
    return {}


def full() -> dict[str, Any]:
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"x")
    return {}


def create(path: str) -> dict[str, Any]:
    Path(path).write_bytes(b"x")
    return {"mode": Path(path).stat().st_mode & 0o777}


TASKS = {one.__name__: one for one in (whoami, sleep, meet, spin, hog, segfault, leave, fail, fill, full, create)}
