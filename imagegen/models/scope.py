"""Whose rows a query may touch: decided here once, and added to every statement.

A class that belongs to an organisation says so by inheriting `OrganisationOwned`. Every ORM select,
update and delete then carries `organisation_id = …` of the current scope, whoever wrote the query; without a
scope it is refused. The studio's own machinery (worker, sweeper, command line) says `system_scope()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import cache, lru_cache
from typing import Literal, TypeVar, cast

from sqlalchemy import Executable, ForeignKey, FromClause, event
from sqlalchemy.orm import (
    LoaderCriteriaOption,
    Mapped,
    ORMExecuteState,
    Session,
    UOWTransaction,
    mapped_column,
    with_loader_criteria,
)
from sqlalchemy.sql import visitors
from sqlalchemy.sql.visitors import ExternallyTraversible

from imagegen.extensions import Base

SYSTEM: Literal["system"] = "system"
_BUILT_ONCE = "built_once"

Statement = TypeVar("Statement", bound=Executable)

_scope: ContextVar[int | Literal["system"] | None] = ContextVar("organisation_scope", default=None)


class ScopeMissing(RuntimeError):
    """A query touched an organisation's rows while nobody had said which organisation's."""


class OrganisationOwned:
    """Mixin of every class whose rows belong to exactly one organisation."""

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"), nullable=False)


def enter_scope(organisation_id: int) -> Token[int | Literal["system"] | None]:
    """Narrow all queries of this context to one organisation, until `leave_scope`."""
    return _scope.set(organisation_id)


def leave_scope(token: Token[int | Literal["system"] | None]) -> None:
    """Return to the scope before the `enter_scope` that gave `token`."""
    _scope.reset(token)


def current_organisation() -> int | None:
    """Return the id of the organisation in scope, or None outside any or in the system's scope."""
    scope = _scope.get()
    return scope if isinstance(scope, int) else None


@contextmanager
def organisation_scope(organisation_id: int) -> Iterator[None]:
    """Narrow all queries within to one organisation."""
    token = _scope.set(organisation_id)
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def system_scope() -> Iterator[None]:
    """Let the queries within see all organisations; never around anything that a request asked for."""
    token = _scope.set(SYSTEM)
    try:
        yield
    finally:
        _scope.reset(token)


@event.listens_for(Session, "do_orm_execute")
def _narrow(state: ORMExecuteState) -> None:
    scope = _scope.get()
    if scope == SYSTEM or state.is_column_load or state.is_relationship_load:
        return
    if scope is None:
        if _concerns_owned(state):
            raise ScopeMissing("an organisation's rows were asked for outside any scope")
        return
    if state.is_insert and _concerns_owned(state):
        # Criteria narrow no INSERT; rows that are added to the session are checked when they are written.
        raise ScopeMissing("an organisation's rows are added through the session")
    if _BUILT_ONCE in state.execution_options:
        state.statement = _narrowed_once(state.statement, scope)
    else:
        state.statement = _narrowed(state.statement, scope)


@lru_cache(2048)  # of 2 to 8 kB each, few of up to 30
def _narrowed_once(statement: Executable, organisation_id: int) -> Executable:
    return _narrowed(statement, organisation_id)


def _narrowed(statement: Executable, organisation_id: int) -> Executable:
    return statement.options(_only(organisation_id))


@lru_cache(1024)
def _only(organisation_id: int) -> LoaderCriteriaOption:
    # Made once for each: that takes longer than most of the questions that it is put into.
    return with_loader_criteria(
        OrganisationOwned, lambda cls: cls.organisation_id == organisation_id, include_aliases=True
    )


def _concerns_owned(state: ORMExecuteState) -> bool:
    """Whether the statement touches an organisation's rows: as what it is about, or hidden in a subquery."""
    if any(issubclass(mapper.class_, OrganisationOwned) for mapper in state.all_mappers):
        return True
    return state.is_select and _hides_owned(cast(ExternallyTraversible, state.statement))


@lru_cache(256)
def _hides_owned(statement: ExternallyTraversible) -> bool:
    # Kept for those that are built once: looking through one takes longer than asking it.
    return any(part in _owned_tables() for part in visitors.iterate(statement))


@cache
def _owned_tables() -> frozenset[FromClause]:
    mappers = Base.registry.mappers
    return frozenset(mapper.local_table for mapper in mappers if issubclass(mapper.class_, OrganisationOwned))


def built_once(statement: Statement) -> Statement:
    """Mark a statement that lives as long as the process, so that it is kept as each organisation asks it.

    Otherwise what narrows it is lost each time, and what to look for in the cache of statements worked out again: a
    third of what it takes to ask. Of no use in the system's scope, where nothing is narrowed. What is derived from it
    in passing bears the mark too, and must not be executed: it would be kept in place of others.
    """
    marked: Statement = statement.execution_options(**{_BUILT_ONCE: True})
    return marked


def check_owner(organisation_id: int | None, *, of: object) -> None:
    """Raise ScopeMissing if a row `of` something belongs to another organisation than the one in scope."""
    if _scope.get() not in (SYSTEM, organisation_id):
        raise ScopeMissing(f"{of} of another organisation was about to be written")


@event.listens_for(Session, "before_flush")
def _own_rows_only(session: Session, _context: UOWTransaction, _instances: object) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, OrganisationOwned):
            check_owner(row.organisation_id, of=type(row).__name__)
