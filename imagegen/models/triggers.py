"""What the database itself holds, whoever writes: legal moves of states, books that are only added to, and SQLite's
search index, which follows the rows that it indexes.

`install` is idempotent and runs after every upgrade, because SQLite loses a table's triggers when a migration
rebuilds the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from sqlalchemy import Connection, inspect

from imagegen.models.image_index import FTS_TABLE
from imagegen.models.states import MOVES, Moves

APPEND_ONLY = ("ledger_entries", "events", "audit_entries")
_NO_DELETE = ("ledger_entries", "audit_entries")


def install(connection: Connection) -> None:
    """Make all triggers anew on `connection`, in its transaction; a table that an old revision lacks is left out."""
    tables = frozenset(inspect(connection).get_table_names())
    make = _sqlite if connection.dialect.name == "sqlite" else _postgresql
    for statement in make(tables):
        connection.exec_driver_sql(statement)


def _moves(tables: Set[str]) -> Iterator[tuple[str, Moves]]:
    return ((table, moves) for table, moves in MOVES.items() if table in tables)


def _books(tables: Set[str]) -> Iterator[str]:
    return (table for table in APPEND_ONLY if table in tables)


def _illegal(moves: Moves) -> str:
    legal = " OR ".join(
        "(OLD.status = '{}' AND NEW.status IN ({}))".format(old, ", ".join(f"'{new}'" for new in sorted(news)))
        for old, news in moves.items()
        if news
    )
    return f"OLD.status <> NEW.status AND NOT ({legal})"


def _sqlite(tables: Set[str]) -> Iterator[str]:
    for table, moves in _moves(tables):
        yield f"DROP TRIGGER IF EXISTS {table}_moves"
        yield (
            f"CREATE TRIGGER {table}_moves BEFORE UPDATE OF status ON {table} WHEN {_illegal(moves)} "
            f"BEGIN SELECT RAISE(ABORT, 'illegal move of {table}.status'); END"
        )
    for table in _books(tables):
        for verb in ("UPDATE", "DELETE") if table in _NO_DELETE else ("UPDATE",):
            name = f"{table}_no_{verb.lower()}"
            yield f"DROP TRIGGER IF EXISTS {name}"
            yield (
                f"CREATE TRIGGER {name} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is only added to'); END"
            )
    if FTS_TABLE in tables:
        yield from _fts_follows("image_index", FTS_TABLE, key="image_id", columns=("words", "terms"))


def _fts_follows(table: str, index: str, *, key: str, columns: tuple[str, ...]) -> Iterator[str]:
    """Keep an FTS5 table without content true: what it forgets must be told to it as it was."""
    named = ", ".join(columns)
    old, new = (", ".join((f"-{row}.{key}", *(f"{row}.{each}" for each in columns))) for row in ("OLD", "NEW"))
    forget = f"INSERT INTO {index} ({index}, rowid, {named}) VALUES ('delete', {old});"  # noqa: S608
    learn = f"INSERT INTO {index} (rowid, {named}) VALUES ({new});"  # noqa: S608
    changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
    for event, condition, steps in (
        ("INSERT", "", learn),
        ("DELETE", "", forget),
        (f"UPDATE OF {named}", f"WHEN {changed}", f"{forget} {learn}"),
    ):
        name = f"{index}_{event.split()[0].lower()}"
        yield f"DROP TRIGGER IF EXISTS {name}"
        yield f"CREATE TRIGGER {name} AFTER {event} ON {table} {condition} BEGIN {steps} END"


def _postgresql(tables: Set[str]) -> Iterator[str]:
    yield (
        "CREATE OR REPLACE FUNCTION studio_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'refused by trigger %%', TG_NAME USING ERRCODE = 'check_violation'; END $$"
    )
    for table, moves in _moves(tables):
        yield (
            f"CREATE OR REPLACE TRIGGER {table}_moves BEFORE UPDATE OF status ON {table} "
            f"FOR EACH ROW WHEN ({_illegal(moves)}) EXECUTE FUNCTION studio_refuse()"
        )
    for table in _books(tables):
        verbs = "UPDATE OR DELETE" if table in _NO_DELETE else "UPDATE"
        yield (
            f"CREATE OR REPLACE TRIGGER {table}_append_only BEFORE {verbs} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION studio_refuse()"
        )


def missing(connection: Connection) -> list[str]:
    """Return the names of those triggers that are not in the database as `install` would make them, sorted."""
    tables = frozenset(inspect(connection).get_table_names())
    if connection.dialect.name == "sqlite":
        wanted = {text.split(" ", 3)[2]: text for text in _sqlite(tables) if text.startswith("CREATE TRIGGER")}
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        there: dict[str, str] = dict(found.all())
        return sorted(name for name, text in wanted.items() if there.get(name) != text)
    wanted_names = {f"{table}_moves" for table, _ in _moves(tables)}
    wanted_names |= {f"{table}_append_only" for table in _books(tables)}
    enabled = connection.exec_driver_sql("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'")
    return sorted(wanted_names - {name for (name,) in enabled})
