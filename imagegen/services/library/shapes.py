"""What of a search makes a statement of its own; all else is a parameter, so that a statement is built once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from imagegen.services.library import marks

WALK = 1_000
SORTED_WALK = 4_000
"""Where what lies behind has to be looked up as a whole, and sorted."""


class Sizes(NamedTuple):
    """How many rows are walked over, in the order of ids and in others; how large the windows behind are."""

    walk: int
    sorted_walk: int
    eras: tuple[int, ...]
    plot: int


def _sizes() -> Sizes:
    return Sizes(WALK, SORTED_WALK, marks.ERAS, marks.PLOT)


@dataclass(frozen=True)
class Shape:
    """A search without its values: how many marks and words it has, whether days, a kind of its own, a cursor.

    The parameters of its statements: `organisation_id`, `trashed`, `query` (for the inverted index), `place` (the
    list's own mark in it), `mark0` and so on, `word0` and so on, `since`, `until`, `kind`, `most` (rows), and the
    cursor as `after` and, where the order has a key, `after_key`.
    """

    dialect: str
    sort: str
    marks: int = 0
    words: int = 0
    days: bool = False
    kind: bool = False
    after: bool = False
    sizes: Sizes = field(default_factory=_sizes)

    @property
    def narrowed(self) -> bool:
        """Whether not everything fits."""
        return bool(self.marks or self.words or self.days)

    @property
    def holds(self) -> str:
        """The database's function that tells where a text holds another: 0 if it does not."""
        return "instr" if self.dialect == "sqlite" else "strpos"
