"""Waiting for what other threads and processes do, and for no longer than a busy machine may need."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

LATE = 10.0
"""Seconds by which a busy machine may be late: what is to be quick is held against something that takes longer."""


def eventually(condition: Callable[[], Found], within: float = 60.0) -> Found:
    """Wait until `condition` gives something true, and return it; fail when it does not in time."""
    give_up_at = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.01)
    return found
