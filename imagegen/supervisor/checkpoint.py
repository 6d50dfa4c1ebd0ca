"""The SQLite database as one whole file, once nobody works with it any more."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

PATIENCE = 1.0
"""Seconds. Somebody else may still read, such as a command: then the log stays, and nothing is lost."""


def fold(database_url: str) -> None:
    """Write SQLite's log (`-wal`) into the file it belongs to, so that a copy of that file alone is whole.

    SQLite does so when the last connection is closed, but processes that are told to stop do not wait for that.
    """
    scheme, _, file = database_url.partition(":///")
    if scheme != "sqlite" or not Path(file).is_file():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
