"""Empty databases on a PostgreSQL server: one that was used is emptied and lent again under another name.

Making one costs a tenth of a second of a processor, emptying one a tenth of that.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.postgresql import with_database

USES = 40
"""How often a database is lent: rows that were deleted still lie in its files."""

_SCHEMA = """
SELECT (SELECT ROW(count(*), max(xmin::text::bigint)) FROM pg_class WHERE relpersistence = 'p')::text,
       (SELECT ROW(count(*), max(xmin::text::bigint)) FROM pg_constraint)::text,
       (SELECT ROW(count(*), max(xmin::text::bigint)) FROM pg_trigger)::text,
       (SELECT ROW(count(*), max(xmin::text::bigint)) FROM pg_proc)::text,
       (SELECT count(*) FROM pg_statistic),
       current_setting('is_superuser')
"""
"""What changes with every change of the schema, and with what is known of the rows (ANALYZE)."""

_EMPTY = """
DO $$
DECLARE
    name text;
    used boolean;
BEGIN
    SET LOCAL session_replication_role = replica;  -- no trigger refuses, no foreign key asks for an order
    FOR name IN SELECT oid::regclass::text FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO used;
        IF used THEN
            EXECUTE 'DELETE FROM ' || name;
        END IF;
    END LOOP;
    PERFORM setval(oid::regclass, 1, false) FROM pg_class
        WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace;
END $$
"""


@dataclass
class _Free:
    name: str
    uses: int


class EmptyDatabases:
    """Lends databases that are as `template` is: at the newest migration, without a row."""

    def __init__(self, server_url: str, template: str) -> None:
        self._url = server_url
        self._template = template
        self._server = psycopg.connect(server_url, autocommit=True)
        with psycopg.connect(with_database(server_url, template)) as database:
            self._schema = _schema_of(database)
        self._free: list[_Free] = []

    def close(self) -> None:
        """Take all away that were lent."""
        for database in self._free:
            self._drop(database.name)
        self._server.close()

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Yield the URL of a database that nobody else has."""
        # Another name each time: what is left of the test before finds nothing under the one that it knows.
        name = f"studio_{uuid.uuid4().hex}"
        if self._free:
            lent = self._free.pop()
            self._server.execute(f"ALTER DATABASE {lent.name} RENAME TO {name}")
            lent = _Free(name, lent.uses + 1)
        else:
            self._server.execute(f"CREATE DATABASE {name} TEMPLATE {self._template}")
            lent = _Free(name, 1)
        try:
            yield with_database(self._url, name)
        finally:
            self._take_back(lent)

    def _take_back(self, lent: _Free) -> None:
        self._server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [lent.name])
        if self._schema and lent.uses < USES and self._emptied(lent.name):
            self._free.append(lent)
        else:
            self._drop(lent.name)

    def _emptied(self, name: str) -> bool:
        """Empty a database; return False if more than its rows has changed, or it may not be emptied so."""
        with psycopg.connect(with_database(self._url, name), autocommit=True) as database:
            if _schema_of(database) != self._schema:
                return False
            database.execute(_EMPTY)
        return True

    def _drop(self, name: str) -> None:
        self._server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _schema_of(database: psycopg.Connection[Any]) -> tuple[Any, ...] | None:
    """Return what tells a changed schema; nothing where triggers can't be passed by."""
    *schema, superuser = database.execute(_SCHEMA).fetchone() or ("off",)
    return tuple(schema) if superuser == "on" else None
