"""What of a search makes a statement of its own; all else is a parameter, so that a statement is built once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from imagegen.services.library import marks

WALK = {"sqlite": 1_000, "postgresql": 2_500}
SORTED_WALK = 4_000
"""Where what lies behind has to be looked up as a whole, and sorted."""

PROBE, PROMISING = 500, 3
"""After so many rows PostgreSQL goes on walking only if so many of them fit: what is rare is not found on the way."""

RARE = 500
"""How many rows of all libraries are few: PostgreSQL looks at them sooner than window by window."""


class Sizes(NamedTuple):
    """How many rows are walked over, by id, to begin with, and in other orders; what is rare; windows and eras."""

    walk: int
    probe: int
    sorted_walk: int
    rare: int
    window_bits: tuple[int, int]
    era: int


def sizes(dialect: str) -> Sizes:
    """Return the sizes for a database."""
    return Sizes(WALK[dialect], min(PROBE, WALK[dialect]), SORTED_WALK, RARE, marks.WINDOW_BITS, marks.ERA)


@dataclass(frozen=True)
class Shape:
    """A search without its values: how many rows are asked for, in which order, how many marks and words it has.

    `most` is how many rows are asked for at most; `days`, `kind` and `after` tell whether it has days, a kind of
    picture by which its order has an index, and a cursor.

    The parameters of its statements: `organisation_id`, `trashed`, `query` (for the inverted index), `place` (the
    list's own mark in it), `mark0` and so on, `word0` and so on, `since`, `until`, `kind`, and the
    cursor as `after` and, where the order has a key, `after_key`.
    """

    dialect: str
    sizes: Sizes
    most: int
    sort: str
    marks: int = 0
    words: int = 0
    days: bool = False
    kind: bool = False
    after: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether not everything fits."""
        return bool(self.marks or self.words or self.days)

    def given(self, name: str) -> str:
        """Return the parameter `name` as SQL in which PostgreSQL's planner does not see its value.

        It expects other costs for each value, and where one seems cheap it plans every page anew, which takes longer
        than most pages do; marks that it does not know it overrates.
        """
        return f":{name}" if self.dialect == "sqlite" else f"(SELECT :{name})"

    @property
    def holds(self) -> str:
        """The database's function that tells where a text holds another: 0 if it does not."""
        return "instr" if self.dialect == "sqlite" else "strpos"
