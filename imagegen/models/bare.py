"""Bare tables of models, for statements past the ORM, which takes longer than they do; scopes do not narrow them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table


def table_of(model: Any) -> Table:
    """Return the table of a model. Whoever uses it says whose rows are meant."""
    table: Table = model.__table__
    return table
