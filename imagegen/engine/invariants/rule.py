"""What an invariant is made of: questions whose answers must be empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, and_, bindparam, not_, or_

from imagegen.extensions import db

Question = Select[*tuple[Any, ...]]

MOST_NAMED = 100
"""So many rows are named for each rule: whoever has more has one fault, not a thousand."""

PATIENCE = timedelta(minutes=2)
"""What the sweeper finds within seconds may be there for so long without anything being wrong."""

patience = bindparam("patience", PATIENCE.total_seconds(), Float)
"""Seconds; a rule that has to wait compares with this."""

Progress = Callable[[str, int, int], None]
"""Hears what is being looked at, how much of it is done, and how much there is (0: nobody knows)."""


@dataclass(frozen=True)
class Broken:
    """An invariant that does not hold: its number, the row or file, and what is wrong with that."""

    invariant: str
    where: str
    sentence: str


@dataclass(frozen=True)
class Look:
    """How thoroughly to look: `patience` in seconds; with `hash_files` every file is read."""

    patience: float
    hash_files: bool
    progress: Progress


@dataclass(frozen=True)
class Rule:
    """A query that finds what is wrong. `where` and `sentence` are patterns over the columns of its rows."""

    where: str
    sentence: str
    query: Question


Probe = Callable[[Look], Iterator[tuple[str, str]]]
"""What no query can find: yields `where` and `sentence`."""


@dataclass(frozen=True)
class Invariant:
    """Something that must hold, the rules that find where it does not, and the probes beyond the database."""

    id: str
    title: str
    rules: tuple[Rule, ...] = ()
    probes: tuple[Probe, ...] = ()

    def broken(self, look: Look) -> Iterator[Broken]:
        """Yield what is wrong; the rules see one snapshot of the database."""
        for rule in self.rules:
            for row in db.session.execute(rule.query.limit(MOST_NAMED), {"patience": look.patience}).mappings():
                yield Broken(self.id, rule.where.format(**row), rule.sentence.format(**row))
        for probe in self.probes:
            for where, sentence in probe(look):
                yield Broken(self.id, where, sentence)


def differ(one: ColumnElement[bool], other: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that exactly one of the two holds; neither may be NULL."""
    return or_(and_(one, not_(other)), and_(not_(one), other))
