"""What was found out a moment ago, kept for as long as it may be a little old."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

R = TypeVar("R")


class Lately:
    """Answers by name, each kept for some seconds; safe for threads. Two that ask at once may both find out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._kept: dict[Hashable, tuple[float, Any]] = {}

    def get(self, name: Hashable, find_out: Callable[[], R], *, seconds: float) -> R:
        """Return what `find_out` returned at most `seconds` ago under `name`, else what it returns now."""
        now = self._clock()
        with self._lock:
            until, answer = self._kept.get(name, (now, None))
        if until > now:
            kept: R = answer
            return kept
        found = find_out()
        with self._lock:
            self._kept = {each: entry for each, entry in self._kept.items() if entry[0] > now}
            self._kept[name] = (now + seconds, found)
        return found
