"""The same thing by many at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Found = TypeVar("Found")


def at_once(*calls: Callable[[], Found]) -> list[Found]:
    """Make all `calls` at the same moment, each in a thread of its own; return what they gave, in their order."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Found]) -> Found:
        start.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
