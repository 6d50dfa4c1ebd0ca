"""Reckoning with moments in SQL, alike on both databases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import functions
from sqlalchemy.sql.compiler import SQLCompiler

QUARTER = 900
"""Seconds: every time zone of today is whole quarters of an hour away from UTC."""


class quarter_of(functions.FunctionElement[int]):
    """The number of whole quarters of an hour from 1970 to a moment: the grain that local days are made of."""

    type = Integer()
    inherit_cache = True

    def __init__(self, moment: InstrumentedAttribute[datetime]) -> None:
        super().__init__(moment)


class seconds_between(functions.FunctionElement[float]):
    """How many seconds lie between two moments; NULL if one of them is."""

    type = Float()
    inherit_cache = True


@compiles(quarter_of, "sqlite")
def _sqlite_quarter(element: quarter_of, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"CAST(strftime('%s', {compiler.process(element.clauses, **kwargs)}) AS INTEGER) / {QUARTER}"


@compiles(quarter_of, "postgresql")
def _postgresql_quarter(element: quarter_of, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"CAST(floor(extract(epoch FROM {compiler.process(element.clauses, **kwargs)}) / {QUARTER}) AS INTEGER)"


@compiles(seconds_between, "sqlite")
def _sqlite_between(element: seconds_between, compiler: SQLCompiler, **kwargs: Any) -> str:
    first, second = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"((julianday({second}) - julianday({first})) * 86400.0)"


@compiles(seconds_between, "postgresql")
def _postgresql_between(element: seconds_between, compiler: SQLCompiler, **kwargs: Any) -> str:
    first, second = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"CAST(extract(epoch FROM ({second} - {first})) AS DOUBLE PRECISION)"
