"""What processes have used of the machine's processors and memory."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import psutil


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Return what `processes` and those of their children that have ended have used, user and system together."""
    used = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


def resident_bytes(processes: Iterable[psutil.Process]) -> int:
    """Return the memory of `processes`: what they share with others counts in parts (PSS)."""
    held = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            held += process.memory_full_info().pss
    return held


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a process with all that it has started."""
    with suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []
