"""What must hold of budgets and bookings at every moment, read from the database alone; and how to ask and answer."""

from __future__ import annotations

from sqlalchemy import select

from imagegen.core.money import Micro
from imagegen.engine import claims, departures, states
from imagegen.engine.claims import Claim
from imagegen.engine.invariants import check
from imagegen.extensions import db
from imagegen.models import (
    Attempt,
    Job,
    Membership,
    UnitOfWork,
    system_scope,
    unit_of_work,
    writes,
)
from imagegen.models.budgets import BudgetPeriod
from imagegen.models.states import AttemptStatus, ShotStatus
from imagegen.services import ledger
from tests.engine.questions import broken_ones
from tests.models.rows import Member, add_member, submit

MODEL = "gpt-image-1-mini"
EACH: Micro = 11_002
"""What a picture by MODEL in medium quality may cost at most, with a prompt of one token."""


OF_MONEY = ("I1", "I2", "I3", "I4")
_BROKEN = broken_ones(OF_MONEY)


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
    assert departures.mark_sent(claim)
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
    """Raise AssertionError if budgets, reservations, ledger and calls do not agree (I1 to I4)."""
    if broken := _BROKEN.rows():
        raise AssertionError((broken, check(only=OF_MONEY)))
