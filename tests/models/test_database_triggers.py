"""What the database itself refuses, whoever writes: illegal moves, and changes to books that are only added to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from imagegen.core.clock import now
from imagegen.engine import claims
from imagegen.extensions import db
from imagegen.models import Attempt, Job, LedgerEntry, Reservation, Shot, UnitOfWork, system_scope, unit_of_work
from imagegen.models.states import MOVES
from imagegen.services import ledger
from tests.models.conftest import Place


def _shot(job: Job, status: str) -> Shot:
    return Shot(
        organisation_id=job.organisation_id,
        job_id=job.id,
        slot=99,
        newest=False,
        status=status,
        lease_until=now() if status == "running" else None,
        provider="local",
        model="m",
        request={},
        width=1,
        height=1,
    )


def _attempt(job: Job, status: str) -> Attempt:
    return Attempt(
        organisation_id=job.organisation_id, job_id=job.id, number=1, status=status, provider="local", model="m"
    )


def _reservation(job: Job, status: str) -> Reservation:
    return Reservation(organisation_id=job.organisation_id, user_id=job.user_id, job_id=job.id, status=status)


ROWS: dict[str, Callable[[Job, str], Any]] = {"shots": _shot, "attempts": _attempt, "reservations": _reservation}


def _move(uow: UnitOfWork, table: str, row_id: int, to: str) -> bool:
    """Try to move a row past all our code; tell whether the database let it."""
    lease = f", lease_until = {'CURRENT_TIMESTAMP' if to == 'running' else 'NULL'}" if table == "shots" else ""
    try:
        with uow.begin_nested():
            uow.execute(text(f"UPDATE {table} SET status = :to{lease} WHERE id = :id"), {"to": to, "id": row_id})
    except DBAPIError as error:
        assert "refused by trigger" in str(error) or "illegal move" in str(error)
        return False
    return True


def _row(uow: UnitOfWork, job: Job, table: str, status: str) -> Any:
    row = ROWS[table](job, status)
    if table == "reservations":
        shot = _shot(job, "waiting")
        uow.add(shot)
        uow.flush()
        row.shot_id = shot.id
    uow.add(row)
    uow.flush()
    return row


@pytest.mark.parametrize("table", sorted(MOVES))
def test_the_database_lets_through_exactly_the_moves_of_the_table(one: Place, table: str) -> None:
    assert MOVES.keys() == ROWS.keys()
    moves, passed = MOVES[table], set()
    with system_scope(), unit_of_work() as uow:
        for old in moves:
            for new in moves:
                row = _row(uow, one.job, table, old)
                if _move(uow, table, row.id, new):
                    passed.add((str(old), str(new)))

    legal = {(str(old), str(new)) for old, news in moves.items() for new in news}
    assert passed == legal | {(str(old), str(old)) for old in moves}


@pytest.mark.parametrize("table", ["shots", "attempts", "reservations", "jobs"])
def test_a_state_that_there_is_not_is_refused(one: Place, table: str) -> None:
    with pytest.raises(DBAPIError), system_scope(), unit_of_work() as uow:
        if table == "attempts":
            _row(uow, one.job, table, "prepared")
        uow.execute(text(f"UPDATE {table} SET status = 'held up'"))


def test_a_shot_runs_with_a_lease_or_not_at_all(one: Place) -> None:
    for change in ("status = 'running'", "lease_until = CURRENT_TIMESTAMP"):
        with pytest.raises(DBAPIError, match="lease"), unit_of_work() as uow:
            uow.execute(text(f"UPDATE shots SET {change}"))


def test_counts_of_a_job_never_fall_below_zero(one: Place) -> None:
    with pytest.raises(DBAPIError, match="counts"), unit_of_work() as uow:
        uow.execute(text("UPDATE jobs SET n_running = n_running - 1"))


@pytest.fixture
def booked(one: Place) -> Place:
    """An organisation that has spent something."""
    with system_scope():
        claim = claims.claim(owner="test", lease_seconds=60, lone_only=False)
        assert claim is not None
        with unit_of_work() as uow:
            shot, attempt = uow.get_one(Shot, claim.shot_id), uow.get_one(Attempt, claim.attempt_id)
            ledger.settle(uow, job=one.job, shot=shot, attempt=attempt, cost=7, price_date=None)
    return one


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET amount_micro = 0",
        "DELETE FROM ledger_entries",
        "UPDATE events SET type = 'job.succeeded'",
    ],
)
def test_books_are_only_added_to(booked: Place, statement: str) -> None:
    with pytest.raises(DBAPIError, match=r"only added to|refused by trigger"), unit_of_work() as uow:
        uow.execute(text(statement))

    with system_scope():
        assert db.session.scalar(select(func.count(LedgerEntry.id))) == 2


def test_a_reservation_ends_once(booked: Place) -> None:
    with system_scope():
        shot_id = db.session.scalars(select(Reservation.shot_id).where(Reservation.status == "posted")).one()
        with pytest.raises(RuntimeError, match="ended already"), unit_of_work() as uow:
            ledger.release(uow, shot=uow.get_one(Shot, shot_id))
