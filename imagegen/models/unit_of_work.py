"""The one way to write: a short transaction of its own.

`db.session` only reads. A verb that writes is decorated with `writes` and gets the transaction as its first
argument. What others must hear of once it is committed is left with `after_commit`.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Engine, Insert, Row, Table, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from imagegen.extensions import Model, db
from imagegen.models.bare import table_of
from imagegen.models.connection import RETRY_SECONDS, URGENT_RETRY_SECONDS, WRITES
from imagegen.models.scope import check_owner

P = ParamSpec("P")
R = TypeVar("R")


class _Line:
    """Those who wait for their turn, and how many they are."""

    def __init__(self, lock: threading.Lock) -> None:
        self.moves = threading.Condition(lock)
        self.length = 0


class Turns:
    """Lets one writer go at a time, those first who are `urgent`.

    SQLite has one writer at a time. Threads that wait for each other here need not ask it again and again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._urgent, self._others = _Line(self._lock), _Line(self._lock)

    @contextmanager
    def taken(self, *, urgent: bool) -> Iterator[None]:
        """Wait for one's turn, and keep it as long as the block lasts."""
        self._take(self._urgent if urgent else self._others)
        try:
            yield
        finally:
            self._give_back()

    def _take(self, line: _Line) -> None:
        with self._lock:
            line.length += 1
            try:
                while self._taken or (line is self._others and self._urgent.length):
                    line.moves.wait()
                self._taken = True
            finally:
                line.length -= 1
                if not self._taken:
                    self._call_next()

    def _give_back(self) -> None:
        with self._lock:
            self._taken = False
            self._call_next()

    def _call_next(self) -> None:
        (self._urgent if self._urgent.length else self._others).moves.notify()


_turns = Turns()


def _forget_whose_turn() -> None:
    """Begin with nobody's turn: a fork copies one that another thread of the parent had."""
    global _turns
    _turns = Turns()


os.register_at_fork(after_in_child=_forget_whose_turn)

_open: ContextVar[bool] = ContextVar("unit_of_work_open", default=False)

_WORTH_ANOTHER_TRY = ("40001", "40P01", "23505", "23503")
"""Serialisation failure, deadlock; a unique key that another transaction took after we had looked, a row that it
deleted."""


class UnitOfWork(Session):
    """A transaction that writes."""

    def __init__(self, engine: Engine, *, urgent: bool = False) -> None:
        writer = engine.execution_options(**{WRITES: URGENT_RETRY_SECONDS if urgent else RETRY_SECONDS})
        super().__init__(bind=writer, expire_on_commit=False)
        self._before_commit: list[Callable[[UnitOfWork], None]] = []
        self._after_commit: list[Callable[[], None]] = []

    def before_commit(self, function: Callable[[UnitOfWork], None]) -> None:
        """Call `function` last thing before the commit: for rows whose order must be that of the commits."""
        self._before_commit.append(function)

    def after_commit(self, function: Callable[[], None]) -> None:
        """Call `function` once the commit is through; never when it is rolled back."""
        self._after_commit.append(function)

    def append(
        self, table: type[Model] | Table, rows: Sequence[Mapping[str, Any]], *returning: str
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """Write many rows at once, past the ORM; return the columns `returning` of each, in any order.

        What they refer to has to be written before; whose they are is said by their `organisation_id`.
        """
        if not rows:
            return ()
        bare = table if isinstance(table, Table) else table_of(table)
        if "organisation_id" in bare.c:
            for row in rows:
                check_owner(row.get("organisation_id"), of=table)
        written = self.connection().execute(_insert_into(bare, returning), list(rows))
        return written.all() if returning else ()

    def alone(self, table: type[Model]) -> None:
        """Let nobody else write to `table` until the end. SQLite has only one writer at a time anyway."""
        if self.get_bind().dialect.name == "postgresql":
            self.execute(text(f"LOCK TABLE {table.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))

    def finish(self) -> None:
        """Write what was left for the end, and commit."""
        self.write_the_rest()
        self.commit()

    def write_the_rest(self) -> None:
        """Write what was left for the end."""
        self.flush()
        for function in self._before_commit:
            function(self)

    def tell(self) -> None:
        """Call what waited for the commit; the connection is back in its pool by then."""
        for function in self._after_commit:
            function()


@functools.cache
def _insert_into(table: Table, returning: tuple[str, ...]) -> Insert | ReturningInsert[Any]:
    return insert(table).returning(*(table.c[name] for name in returning)) if returning else insert(table)


def let_go_of_reader() -> None:
    """Give the reader's connection back, before a wait for anything else: a connection, a disk, work on pixels.

    Enough who hold a first connection and wait for a second wait for ever. What was read stays as it is, so that
    nothing is read again, on a second connection, while a writer is open.
    """
    reader = db.session()
    reader.expire_on_commit = False
    reader.commit()


@contextmanager
def _taking_turns(*, urgent: bool = False) -> Iterator[None]:
    if db.engine.dialect.name != "sqlite":
        yield
        return
    with _turns.taken(urgent=urgent):
        yield


@contextmanager
def unit_of_work(*, urgent: bool = False) -> Iterator[UnitOfWork]:
    """Open a transaction that writes; committed at the end, rolled back on an exception, never nested.

    One that is `urgent` goes before what other threads of this process wait to write.
    """
    if _open.get():
        raise RuntimeError("a unit of work was opened within another: pass the outer one on")
    let_go_of_reader()
    token = _open.set(True)
    uow = UnitOfWork(db.engine, urgent=urgent)
    try:
        with _taking_turns(urgent=urgent), uow:
            yield uow
            uow.finish()
    finally:
        _open.reset(token)
    # What the reader knows is older than what was just written; its next read begins a new snapshot.
    db.session.rollback()
    db.session.expire_all()
    uow.tell()


@contextmanager
def undone() -> Iterator[UnitOfWork]:
    """Open a transaction in which everything is done but the commit: nobody ever sees what it wrote."""
    if _open.get():
        raise RuntimeError("a unit of work was opened within another: pass the outer one on")
    token = _open.set(True)
    uow = UnitOfWork(db.engine)
    try:
        with _taking_turns(), uow:
            yield uow
            uow.write_the_rest()
            uow.rollback()
    finally:
        _open.reset(token)


def _worth_another_try(error: DBAPIError) -> bool:
    """Tell whether what was begun is certainly undone, and may well succeed now.

    A connection that was lost in the commit is neither: then the error has no statement, and nobody knows.
    """
    if error.connection_invalidated:
        return error.statement is not None
    return getattr(error.orig, "sqlstate", None) in _WORTH_ANOTHER_TRY


Verb = Callable[Concatenate[UnitOfWork, P], R]
Bound = Callable[P, R]


def writes(function: Verb[P, R]) -> Bound[P, R]:
    """Run `function` in a unit of work, given as its first argument; once more if another one came between.

    So `function` must do nothing but write rows: no network, no files.
    """
    return _writing(function, urgent=False)


def writes_first(function: Verb[P, R]) -> Bound[P, R]:
    """As `writes`, before what others wait to write: for what a call to a provider waits for."""
    return _writing(function, urgent=True)


def _writing(function: Verb[P, R], *, urgent: bool) -> Bound[P, R]:
    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with unit_of_work(urgent=urgent) as uow:
                return function(uow, *args, **kwargs)
        except DBAPIError as error:
            if not _worth_another_try(error):
                raise
        with unit_of_work(urgent=urgent) as uow:
            return function(uow, *args, **kwargs)

    return run
