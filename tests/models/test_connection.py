"""Beginning to write: as soon as nobody else does, and no longer than somebody has patience for."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DatabaseError, OperationalError

from imagegen.extensions import db
from imagegen.models import Organisation, connection, unit_of_work

pytestmark = pytest.mark.databases("sqlite")  # PostgreSQL has no lock of the whole database


@pytest.fixture
def other(app: Flask) -> Iterator[sqlite3.Connection]:
    """Give somebody else who writes."""
    writer = sqlite3.connect(db.engine.url.database or "", isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    yield writer
    writer.close()


def write() -> None:
    with unit_of_work() as uow:
        uow.add(Organisation(name="Written"))


def test_who_waits_writes_once_the_other_is_through(other: sqlite3.Connection) -> None:
    threading.Timer(0.2, other.execute, ["ROLLBACK"]).start()
    write()
    assert db.session.scalars(select(Organisation.name)).all() == ["Written"]


def test_others_go_on_in_the_process_of_who_waits(other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The waiting is Python's own sleep, which a server of many pages shares out, not SQLite's."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            other.execute("ROLLBACK")

    monkeypatch.setattr(connection.time, "sleep", sleep)
    write()
    assert slept == [connection.RETRY_SECONDS] * 3


@pytest.mark.parametrize("urgent", [True, False])
def test_patience_ends_with_the_databases_own_error_and_the_connection_is_as_before(
    other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, urgent: bool
) -> None:
    monkeypatch.setattr(connection, "PATIENCE", 0.05)
    with pytest.raises(OperationalError, match="locked") as caught, unit_of_work(urgent=urgent) as uow:
        uow.add(Organisation(name="Never written"))
    assert connection.will_pass(caught.value)
    other.execute("ROLLBACK")
    assert db.session.execute(db.text("PRAGMA busy_timeout")).scalar_one() == 10_000
    write()


def test_what_is_no_lock_is_said_at_once(app: Flask) -> None:
    with db.engine.connect() as reader:
        reader.execute(db.text("SELECT 1"))
        driver = reader.connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        began_at = time.monotonic()
        with pytest.raises(OperationalError, match="readonly"):
            connection._begin_to_write(reader, driver, every=60.0)  # within the one that reads
        assert time.monotonic() - began_at < 30


def test_a_damaged_file_is_said_as_an_error_of_the_database(app: Flask) -> None:
    """It is no `OperationalError` of the driver's, and would pass by whoever heeds errors of the database."""
    with db.engine.connect():
        pass  # so that it is this very connection that meets what has become of the file
    file = Path(db.engine.url.database or "")
    for each in (file, file.with_name(f"{file.name}-wal")):
        each.write_bytes(b"no database, " * 1000)
    with pytest.raises(DatabaseError, match=r"malformed|not a database"):
        write()
