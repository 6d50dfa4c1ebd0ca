"""Who goes first in a busy process: calls that are about to begin, before pictures that have come.

A provider takes seconds for a call that is out; putting a picture away takes the process that would make the next
one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

MOST_SECONDS = 0.25
"""How long at most a picture waits for the calls."""


class CallsFirst:
    """Knows whether calls are about to begin, of those that one thread claims and others make."""

    def __init__(self) -> None:
        self.work_waits = False
        """Whether a look may find calls, as far as is known."""
        self._moves = threading.Condition()
        self._to_begin: set[int] = set()
        self._looking = False

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Say that calls are looked for as long as the block lasts; its end lets pictures know `work_waits`."""
        self._looking = True
        try:
            yield
        finally:
            with self._moves:
                self._looking = False
                self._moves.notify_all()

    def found(self, call: int) -> None:
        """Note a call that is about to begin."""
        with self._moves:
            self._to_begin.add(call)

    def begun(self, call: int) -> None:
        """Note that the call is out, or will never be; done twice it does no harm."""
        with self._moves:
            if call in self._to_begin:
                self._to_begin.remove(call)
                if not self._to_begin:
                    self._moves.notify_all()

    def wait(self, to_be_looked: Callable[[], bool]) -> None:
        """Wait until no call is about to begin, nor may be found; or for `MOST_SECONDS`.

        Where `work_waits`, one may be found as long as somebody looks, or is to look.
        """
        with self._moves:
            self._moves.wait_for(
                lambda: not (self._to_begin or (self.work_waits and (self._looking or to_be_looked()))),
                timeout=MOST_SECONDS,
            )
