"""What must hold of budgets and bookings at every moment, read from the database alone; and how to ask and answer."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select

from imagegen.core.money import Micro
from imagegen.engine import attempts, claims, states
from imagegen.engine.claims import Claim
from imagegen.extensions import db
from imagegen.models import (
    Attempt,
    Job,
    LedgerEntry,
    Membership,
    Reservation,
    UnitOfWork,
    system_scope,
    unit_of_work,
    writes,
)
from imagegen.models.budgets import BudgetPeriod, reservation_periods
from imagegen.models.states import AttemptStatus, ReservationStatus, ShotStatus
from imagegen.services import ledger
from tests.models.rows import Member, add_member, submit

MODEL = "gpt-image-1-mini"
EACH: Micro = 11_002
"""What a picture by MODEL in medium quality may cost at most, with a prompt of one token."""


def ask(member: Member, *, n: int = 1, **wishes: object) -> Job:
    """Submit a job that costs EACH a picture."""
    wanted = {"provider": "openai", "model": MODEL, "quality": "medium", "size": "1024x1024", "prompt": "x"}
    return submit(member, n=n, **(wanted | wishes))


def colleague(member: Member, name: str) -> Member:
    """Return somebody else in the organisation of `member`."""
    other = add_member(name, f"{name}'s own")
    with unit_of_work() as uow:
        uow.add(Membership(user_id=other.user_id, organisation_id=member.organisation_id, role="editor"))
    return Member(other.user_id, member.organisation_id)


def take() -> Claim:
    """Claim the next shot, as if its call had been sent."""
    claim = claims.claim(owner="test", lease_seconds=60, lone_only=False)
    assert claim is not None
    assert attempts._mark_sent(claim)
    return claim


@writes
def settle(uow: UnitOfWork, claim: Claim, cost: Micro | None) -> None:
    """End a claimed shot that was billed with `cost`, without a picture."""
    locked = states.lock(uow, shot_id=claim.shot_id, fence=claim.fence)
    assert locked is not None
    shot, job = locked
    attempt = uow.get_one(Attempt, claim.attempt_id)
    attempt.status = AttemptStatus.BILLED_NO_IMAGE
    attempt.cost_micro = cost
    job.actual_micro += cost or 0
    ledger.settle(uow, job=job, shot=shot, attempt=attempt, cost=cost, price_date="2026-11-20")
    states.move(
        uow, shot=shot, job=job, to=ShotStatus.FAILED, actual_micro=cost, error_kind="bad_answer", error_message="-"
    )


@writes
def fail(uow: UnitOfWork, claim: Claim) -> None:
    """End a claimed shot for which nothing is owed."""
    locked = states.lock(uow, shot_id=claim.shot_id, fence=claim.fence)
    assert locked is not None
    shot, job = locked
    uow.get_one(Attempt, claim.attempt_id).status = AttemptStatus.REJECTED
    states.move(uow, shot=shot, job=job, to=ShotStatus.FAILED, error_kind="bad_request", error_message="-")
    ledger.release(uow, shot=shot)


def the_period() -> BudgetPeriod:
    """Return the only period that there is."""
    db.session.rollback()
    with system_scope():
        return db.session.scalars(select(BudgetPeriod)).one()


def check_books() -> None:
    """Raise AssertionError if budgets, reservations and ledger do not agree (I1 to I3)."""
    db.session.rollback()
    with system_scope():
        reservations = {row.id: row for row in db.session.scalars(select(Reservation))}
        _check_periods(reservations)
        _check_ends(reservations)
        _check_bookings()
    db.session.rollback()


def _check_periods(reservations: dict[int, Reservation]) -> None:
    """Hold every period to what the reservations counted in it say, and hard ones to their cap."""
    counted = defaultdict(list)
    for reservation_id, period_id in db.session.execute(select(reservation_periods)):
        counted[period_id].append(reservations[reservation_id])
    for period in db.session.scalars(select(BudgetPeriod)):
        rows = counted[period.id]
        held = sum(row.amount_micro or 0 for row in rows if row.status == ReservationStatus.HELD)
        spent = sum(row.posted_micro or 0 for row in rows)
        assert (period.reserved_micro, period.spent_micro) == (held, spent)
        if period.hard:
            assert held + spent <= period.cap_micro + period.granted_micro + period.over_micro


def _check_ends(reservations: dict[int, Reservation]) -> None:
    """Hold every reservation to one end, and each that cost more than was set aside to an event that says so."""
    for row in reservations.values():
        assert (row.status == ReservationStatus.HELD) == (row.ended_at is None)
        assert row.posted_micro is None or row.status == ReservationStatus.POSTED


def _check_bookings() -> None:
    """Hold every booking to a sum of zero and whole micro-dollars, and the posted to the booked."""
    bookings: dict[str, int] = defaultdict(int)
    spent: dict[int, int] = defaultdict(int)
    for entry in db.session.scalars(select(LedgerEntry)):
        assert isinstance(entry.amount_micro, int)
        bookings[entry.booking] += entry.amount_micro
        if entry.account == "spend":
            spent[entry.shot_id] += entry.amount_micro
    assert set(bookings.values()) <= {0}
    posted = db.session.execute(select(Reservation.shot_id, Reservation.posted_micro))
    assert {shot: amount for shot, amount in posted if amount} == dict(spent)
