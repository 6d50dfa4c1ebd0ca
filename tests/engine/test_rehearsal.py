"""The rehearsal: every statement of a picture's way is known before the first picture, and nothing stays of it."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import inspect, text

from imagegen.engine import tasks
from imagegen.engine.rehearsal import rehearse
from imagegen.extensions import db
from imagegen.models.image_index import FTS_TABLE
from tests.engine.invariants import check_invariants
from tests.models.rows import Member, submit


def counts() -> dict[str, int]:
    """Return how many rows each table has; FTS5's own tables stand for its index, which cannot be counted."""
    with db.engine.connect() as connection:
        names = set(inspect(connection).get_table_names()) - {FTS_TABLE}
        return {name: connection.scalar(text(f"SELECT count(*) FROM {name}")) or 0 for name in names}


def test_nothing_stays_of_it(app: Flask) -> None:
    before = counts()

    rehearse()

    assert counts() == before


@pytest.mark.usefixtures("everything")
def test_work_that_waits_is_left_as_it_is(ann: Member) -> None:
    submit(ann, n=2)
    before = counts()

    rehearse()

    assert counts() == before
    check_invariants()
    tasks.work()
    check_invariants()


def test_a_picture_needs_no_statement_that_was_not_rehearsed(ann: Member) -> None:
    rehearse()
    known = len(db.engine._compiled_cache)
    submit(ann)
    tasks.work()

    # What only reads (who it is for, what is asked) is beside the rehearsed way.
    assert len(db.engine._compiled_cache) - known < 15
