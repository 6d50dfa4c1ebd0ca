"""What a duty of cleaning is: it finds lazily, and removes what it found after looking again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

BATCH = 200


@dataclass(frozen=True)
class Finding:
    """Something that a duty is about. `ref` is how the duty knows it, `example` what people read."""

    ref: int | str
    example: str
    bytes: int = 0
    kept: bool = False
    """It stays, and is only reported."""


@dataclass(frozen=True)
class Duty:
    """One kind of thing to clean up.

    `find` yields what there is as of a moment, holding a batch at most in memory. `remove` gets a batch of that,
    looks at each anew, and returns those that it removed; without it the duty only reports.
    """

    name: str
    title: str
    note: str
    find: Callable[[datetime], Iterator[Finding]]
    remove: Callable[[Sequence[Finding], datetime], Sequence[Finding]] | None = None
