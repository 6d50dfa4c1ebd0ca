"""Moments: one clock, always UTC, and stored values that compare as what they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import StatementError

from imagegen.core.clock import now
from imagegen.extensions import db
from imagegen.models import Outbox, unit_of_work
from imagegen.models.columns import db_now


def clock(offset: float = 0.0) -> datetime:
    """Return the database's time."""
    db.session.rollback()
    return db.session.scalars(select(db_now(offset))).one()


@pytest.mark.parametrize("offset", [0.0, 90.0, -90.0, 0.25, 86_400.0])
def test_the_databases_clock_is_this_machines_and_takes_an_offset(app: Flask, offset: float) -> None:
    before = now()
    told = clock(offset)
    after = now()

    assert told.tzinfo == UTC
    millisecond = timedelta(milliseconds=1)
    assert before - millisecond <= told - timedelta(seconds=offset) <= after + millisecond


def test_two_offsets_are_two_statements_worth_of_time(app: Flask) -> None:
    first, later = db.session.execute(select(db_now(1.0), db_now(61.0))).one()

    assert (later - first).total_seconds() == pytest.approx(60, abs=0.1)


def test_stored_moments_compare_with_the_databases_clock(app: Flask) -> None:
    steps = [-3600.0, -0.001, 60.0, 3600.0]
    moment = clock()
    with unit_of_work() as uow:
        for step in steps:
            uow.add(Outbox(task="t", name=str(step), sent_at=moment + timedelta(seconds=step)))
            row = {"task": "t", "name": f"by the database {step}", "sent_at": db_now(step), "created_at": db_now()}
            uow.execute(insert(Outbox).values(row))
        past = set(uow.scalars(select(Outbox.name).where(Outbox.sent_at < db_now())))

    assert past == {name for step in steps if step < 0 for name in (str(step), f"by the database {step}")}


def test_what_the_database_wrote_and_what_we_write_compare_as_the_same_moment(app: Flask) -> None:
    with unit_of_work() as uow:
        uow.execute(insert(Outbox).values(task="t", name="theirs", sent_at=db_now(), created_at=db_now()))
        theirs = uow.scalars(select(Outbox.sent_at)).one()
        tick = timedelta(microseconds=1)
        for name, at in (("before", theirs - tick), ("same", theirs), ("after", theirs + tick)):
            uow.add(Outbox(task="t", name=name, sent_at=at))

    stored = select(Outbox.sent_at).where(Outbox.name == "theirs").scalar_subquery()
    for compared, names in (
        (Outbox.sent_at == stored, {"theirs", "same"}),
        (Outbox.sent_at < stored, {"before"}),
        (Outbox.sent_at > stored, {"after"}),
    ):
        assert set(db.session.scalars(select(Outbox.name).where(compared))) == names


def test_a_moment_keeps_its_microseconds_and_comes_back_in_utc(app: Flask) -> None:
    told = datetime(2026, 11, 20, 23, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with unit_of_work() as uow:
        uow.add(Outbox(task="t", name="a", sent_at=told))

    stored = db.session.scalars(select(Outbox.sent_at)).one()
    assert (stored, stored.tzinfo) == (told, UTC)
    assert db.session.scalar(select(func.count(Outbox.id)).where(Outbox.sent_at == told)) == 1
    assert db.session.scalar(select(func.count(Outbox.id)).where(Outbox.sent_at < told)) == 0


def test_a_moment_without_a_zone_is_refused(app: Flask) -> None:
    with pytest.raises(StatementError, match="naive"), unit_of_work() as uow:
        uow.add(Outbox(task="t", name="a", sent_at=datetime(2026, 11, 20)))  # noqa: DTZ001


def test_order_by_moment_is_order_in_time_across_both_ways_of_writing(app: Flask) -> None:
    with unit_of_work() as uow:
        uow.add(Outbox(task="t", name="second", sent_at=now() + timedelta(seconds=5)))
        uow.add(Outbox(task="t", name="first"))
        uow.flush()
        uow.execute(update(Outbox).where(Outbox.name == "first").values(sent_at=db_now(1)))

    assert db.session.scalars(select(Outbox.name).order_by(Outbox.sent_at)).all() == ["first", "second"]
