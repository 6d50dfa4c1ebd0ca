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
    told = clock(offset)

    assert told.tzinfo == UTC
    assert abs((told - now()).total_seconds() - offset) < 1.0


def test_two_offsets_are_two_statements_worth_of_time(app: Flask) -> None:
    first, later = db.session.execute(select(db_now(1.0), db_now(61.0))).one()

    assert (later - first).total_seconds() == pytest.approx(60, abs=0.1)


def test_stored_moments_compare_with_the_databases_clock_to_the_millisecond(app: Flask) -> None:
    steps = [-3600.0, -1.0, -0.2, 0.2, 1.0, 3600.0]
    moment = clock()
    with unit_of_work() as uow:
        for step in steps:
            uow.add(Outbox(task="t", name=str(step), sent_at=moment + timedelta(seconds=step)))
        for step in steps:
            row = {"task": "t", "name": f"by the database {step}", "sent_at": db_now(step), "created_at": db_now()}
            uow.execute(insert(Outbox).values(row))
        past = set(uow.scalars(select(Outbox.name).where(Outbox.sent_at < db_now())))
    lag = (clock() - moment).total_seconds()

    assert lag < 0.2, "the machine was too slow for this test to mean anything"
    assert past == {name for step in steps if step < 0 for name in (str(step), f"by the database {step}")}


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
