"""Migrations lead from nothing to exactly what the models say, and back and forth without losing a row."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from imagegen.engine import tasks
from imagegen.extensions import db
from imagegen.models import unit_of_work
from tests.engine.invariants import check_invariants
from tests.models.rows import Member, add_member, submit

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
SCRIPTS = ScriptDirectory(str(FOLDER))
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()]
"""From the newest to the oldest."""


@pytest.fixture
def filled(app: Flask) -> Member:
    """A database with a job that is done, money that was spent and a job that waits."""
    member = add_member()
    submit(member, n=1, key="click")
    tasks.work()
    submit(member, n=2)
    return member


def counts() -> dict[str, int]:
    """Return how many rows each table has; how FTS5 lays its index out is its own affair."""
    db.session.remove()
    with db.engine.connect() as connection:
        tables = [
            name for name in inspect(connection).get_table_names() if name != "alembic_version" and "_fts" not in name
        ]
        return {name: connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in tables}


def triggers_stand() -> bool:
    """Tell whether the database refuses an illegal move."""
    try:
        with unit_of_work() as uow:
            uow.execute(text("UPDATE shots SET status = 'waiting' WHERE status = 'succeeded'"))
    except DBAPIError:
        return True
    return False


def test_from_nothing_to_the_newest_is_what_the_models_say(app: Flask) -> None:
    check()


def test_the_indexes_that_a_check_passes_over_are_there(app: Flask) -> None:
    """Models cannot say what they are on either database, and nothing but speed would tell that one is gone."""
    if db.engine.dialect.name == "sqlite":
        asked = "SELECT name, sql FROM sqlite_master WHERE name LIKE '%image_index%'"
        wanted = {"ix_image_index_newest": "image_id", "image_index_fts": "content=''"}
    else:
        asked = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'image_index'"
        wanted = {"ix_image_index_newest": "(image_id + 0)", "ix_image_index_terms": "USING gin"}
    with db.engine.connect() as connection:
        found = dict(connection.execute(text(asked)).all())
    assert {name: said in found.get(name, "") for name, said in wanted.items()} == dict.fromkeys(wanted, True)


def test_there_is_one_line_of_revisions_without_a_fork() -> None:
    assert len(SCRIPTS.get_heads()) == 1
    assert sorted(REVISIONS, reverse=True) == REVISIONS


@pytest.mark.parametrize("revision", REVISIONS)
def test_back_to_a_revision_and_forth_again_keeps_every_row_and_every_trigger(filled: Member, revision: str) -> None:
    before = counts()
    assert before["shots"] == 3

    downgrade(revision=revision)
    between = counts()
    assert between.items() <= before.items()
    assert triggers_stand()

    upgrade()
    assert counts() == before
    assert triggers_stand()
    check()
    check_invariants()


def test_upgrading_what_is_up_to_date_changes_nothing(filled: Member) -> None:
    before = counts()

    upgrade()

    assert counts() == before
    assert triggers_stand()


def test_back_to_nothing_leaves_no_table(app: Flask) -> None:
    downgrade(revision="base")

    assert counts() == {}
    upgrade()
    check()


def test_foreign_keys_are_held_again_after_an_upgrade(app: Flask) -> None:
    downgrade(revision=REVISIONS[-1])
    upgrade()

    with pytest.raises(DBAPIError), unit_of_work() as uow:
        uow.execute(
            text(
                "INSERT INTO memberships (user_id, organisation_id, role, created_at) "
                "VALUES (999, 999, 'owner', CURRENT_TIMESTAMP)"
            )
        )


@pytest.mark.parametrize("table", ["jobs", "shots", "attempts"])
def test_numbers_that_the_books_know_are_given_once(filled: Member, table: str) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's sequences never go back")
    with db.engine.connect() as connection:
        words = connection.scalar(text("SELECT sql FROM sqlite_master WHERE name = :table"), {"table": table})
    assert "AUTOINCREMENT" in words
    assert "CHECK" in words
