"""How connections behave: reading is the rule, writing is asked for; SQLite is told to be careful."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, cast

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

WRITES = "studio_writes"
"""Execution option of connections that may write; set by the unit of work and the migrations alone.

Its value is one of the two that follow.
"""
RETRY_SECONDS, URGENT_RETRY_SECONDS = 0.002, 0.0005
"""How long after a look that found another writer SQLite is asked again; shorter where a call waits for it."""
PATIENCE = 10.0
"""For how many seconds SQLite's lock is waited for."""
_PATIENT = f"busy_timeout={round(1000 * PATIENCE)}"


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, record: Any) -> None:
    if not hasattr(connection, "create_function"):
        return
    # Transactions are begun by `_begin` below: the driver would begin a deferred one, which fails at once,
    # without waiting, where another process wrote after the first read.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", _PATIENT):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@event.listens_for(Engine, "connect")
def _prepare_postgresql(connection: Any, record: Any) -> None:
    if hasattr(connection, "create_function"):
        return
    with connection.cursor() as cursor:
        # Compiling a query costs more than any of ours takes: planners overrate what a LIMIT leaves undone.
        cursor.execute("SET jit = off")
        # Rows lie in memory or on flash. For a turning disk all of a small library is rather read and sorted.
        cursor.execute("SET random_page_cost = 1.1")
    connection.commit()


@event.listens_for(Engine, "begin")
def _begin(connection: Connection) -> None:
    writes: float | None = connection.get_execution_options().get(WRITES)
    if connection.dialect.name == "sqlite":
        driver = cast(sqlite3.Connection, connection.connection.dbapi_connection)
        driver.execute(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        if writes:
            _begin_to_write(connection, driver, every=writes)
        else:
            connection.exec_driver_sql("BEGIN")
    elif not writes:
        # One snapshot for a whole page: what it shows and the event number it goes on from belong together.
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _begin_to_write(connection: Connection, driver: sqlite3.Connection, *, every: float) -> None:
    """Begin as soon as nobody else writes; raises what SQLAlchemy makes of it if that is not within `PATIENCE`.

    SQLite itself looks at ever longer intervals, of a tenth of a second at last, and holds up the whole process
    meanwhile: where two processes write all the time, the one that waits for the other would wait for long.
    """
    until = time.monotonic() + PATIENCE
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.Error as error:
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > until:
                    break
            time.sleep(every)
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA {_PATIENT}")


_PASSES_ON_SQLITE = ("locked", "disk is full", "disk I/O error")
_PASSES_ON_POSTGRESQL = ("08", "53", "57")
"""Classes of SQLSTATE: connection, insufficient resources, an operator steps in (PostgreSQL, appendix A)."""


def will_pass(error: DBAPIError) -> bool:
    """Tell whether the database is busy, full or away, and nothing is wrong with what it was asked."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", "")
    if state is None:  # PostgreSQL could not be reached, or has hung up
        return True
    return state[:2] in _PASSES_ON_POSTGRESQL or any(sign in str(error.orig) for sign in _PASSES_ON_SQLITE)
