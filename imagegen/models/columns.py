"""Column types and expressions that both databases share."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    BindParameter,
    ColumnElement,
    DateTime,
    Dialect,
    String,
    Text,
    bindparam,
    literal,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, mapped_column
from sqlalchemy.sql import functions
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Integer, TypeDecorator

from imagegen.core.clock import now
from imagegen.core.ids import new_id
from imagegen.core.text import Message


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: always aware and in UTC in Python; SQLite stores it without the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive moment, and give SQLite the naive UTC that it can compare as text."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime was about to be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Sentence(TypeDecorator[str]):
    """A sentence for people; a Message keeps its parts, so that it can be said in the reader's language."""

    impl = Text
    cache_ok = True

    _MARK = "\x1e"  # no text from outside can begin with it: `core.text.clean` takes it out

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Store a Message as its parts, and any other text as it is."""
        if not isinstance(value, Message):
            return value
        return self._MARK + json.dumps([str(value), _flat(value)], ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what was stored."""
        if value is None or not value.startswith(self._MARK):
            return value
        text, parts = json.loads(value[1:])
        return Message(text, tuple((pattern, values) for pattern, values in parts))


def _flat(message: Message) -> list[tuple[str, dict[str, str]]]:
    return [(pattern, {name: str(value) for name, value in values.items()}) for pattern, values in message.parts]


class db_now(functions.FunctionElement[datetime]):
    """The database's own clock, `offset` seconds from now: one clock for all hosts' leases."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, offset: float | BindParameter[float] = 0.0) -> None:
        super().__init__(offset if isinstance(offset, BindParameter) else literal(float(offset)))


@compiles(db_now, "sqlite")
def _sqlite_now(element: db_now, compiler: SQLCompiler, **kwargs: Any) -> str:
    offset = compiler.process(element.clauses, **kwargs)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%+.3f seconds', {offset}))"


@compiles(db_now, "postgresql")
def _postgresql_now(element: db_now, compiler: SQLCompiler, **kwargs: Any) -> str:
    offset = compiler.process(element.clauses, **kwargs)
    return f"(clock_timestamp() + make_interval(secs => {offset}))"


def literally(column: ColumnElement[Any] | InstrumentedAttribute[Any], *values: str) -> ColumnElement[bool]:
    """Return the condition that `column` has one of `values`, which are written out in the statement.

    SQLite uses a partial index for nothing but its own condition, word for word.
    """
    if len(values) == 1:
        return column == bindparam(None, str(values[0]), unique=True, literal_execute=True)
    each = [str(value) for value in values]
    return column.in_(bindparam(None, each, unique=True, expanding=True, literal_execute=True))


BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column of the type INTEGER."""

pk = Annotated[int, mapped_column(BigId, primary_key=True)]
public_id = Annotated[str, mapped_column(String(36), unique=True, default=new_id)]
created = Annotated[datetime, mapped_column(UtcDateTime, default=now)]
moment = Annotated[datetime | None, mapped_column(UtcDateTime)]
micro = Annotated[int, mapped_column(BigInteger)]
data = Annotated[dict[str, Any], mapped_column(JSON)]
items = Annotated[list[Any], mapped_column(JSON)]
