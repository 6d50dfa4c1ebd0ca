"""Questions to the database that a test asks thousands of times: written in SQL once, and not looked up each time.

SQLAlchemy keeps what it has compiled too; but to find it again it walks through the whole query, and one that holds
fifty others takes longer to find than to answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import CompoundSelect, Dialect, Row, Select, literal, select, union_all

from imagegen.engine.invariants import INVARIANTS
from imagegen.extensions import db


@dataclass(frozen=True)
class _Written:
    """A query as a database's driver takes it; `order` is that of the places where they have no names."""

    sql: str
    parameters: dict[str, object]
    order: Sequence[str] | None

    def filled_in(self, changed: dict[str, object]) -> Any:
        values = self.parameters | changed
        return values if self.order is None else tuple(values[name] for name in self.order)


def _write(query: Select[Any] | CompoundSelect[Any], dialect: Dialect) -> _Written:
    written = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    plain = {name: each.value if isinstance(each, Enum) else each for name, each in written.params.items()}
    return _Written(str(written), plain, written.positiontup)


class Question:
    """A query about rows of all organisations, as they are committed now."""

    def __init__(self, query: Select[Any] | CompoundSelect[Any]) -> None:
        self._query = query
        self._written: dict[str, _Written] = {}

    def rows(self, **parameters: object) -> Sequence[Row[Any]]:
        """Return the answer; what is not among `parameters` is as the query has it."""
        db.session.rollback()
        connection = db.session.connection()
        dialect = connection.dialect
        if dialect.name not in self._written:
            self._written[dialect.name] = _write(self._query, dialect)
        written = self._written[dialect.name]
        rows = connection.exec_driver_sql(written.sql, written.filled_in(parameters)).all()
        db.session.rollback()
        return rows


def broken_ones(only: Collection[str]) -> Question:
    """Return the question which of these invariants do not hold: all their rules at once, without their probes.

    Its parameter `patience` is how many seconds something may wait for the sweeper.
    """
    return Question(
        union_all(
            *(
                select(literal(each.id)).where(rule.query.exists())
                for each in INVARIANTS
                if each.id in only
                for rule in each.rules
            )
        )
    )
