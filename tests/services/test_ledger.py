"""Money: set aside once, ended once, booked twice over so that every booking sums to zero."""

from __future__ import annotations

from collections import defaultdict

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from imagegen.engine import claims
from imagegen.engine.claims import Claim
from imagegen.extensions import db
from imagegen.models import Attempt, Job, LedgerEntry, Reservation, Shot, system_scope, unit_of_work
from imagegen.services import ledger
from tests.models.rows import Member, add_member, submit


@pytest.fixture
def ann(app: Flask) -> Member:
    """A member of the organisation One."""
    return add_member()


def claimed(member: Member) -> Claim:
    """Return a fresh shot's claim, whose money is set aside."""
    submit(member)
    claim = claims.claim(owner="test", lease_seconds=3600, lone_only=True)
    assert claim is not None
    return claim


def settle(claim: Claim, cost: int | None) -> None:
    """End the claim's reservation with `cost`."""
    with unit_of_work() as uow:
        shot, attempt = uow.get_one(Shot, claim.shot_id), uow.get_one(Attempt, claim.attempt_id)
        job = uow.get_one(Job, shot.job_id)
        ledger.settle(uow, job=job, shot=shot, attempt=attempt, cost=cost, price_date="2026-11-01")


def release(claim: Claim) -> None:
    """End the claim's reservation without cost."""
    with unit_of_work() as uow:
        ledger.release(uow, shot=uow.get_one(Shot, claim.shot_id))


costs = st.lists(st.one_of(st.none(), st.integers(0, 2**40)), min_size=1, max_size=4)


@settings(max_examples=5)
@given(costs=costs)
def test_bookings_sum_to_zero_and_name_every_cost_once(ann: Member, costs: list[int | None]) -> None:
    with system_scope():
        before = db.session.scalar(select(func.coalesce(func.max(LedgerEntry.id), 0)))
        for cost in costs:
            settle(claimed(ann), cost)

        bookings: dict[str, list[int]] = defaultdict(list)
        for entry in db.session.scalars(select(LedgerEntry).where(LedgerEntry.id > before)):
            bookings[entry.booking].append(entry.amount_micro)
        db.session.rollback()
    assert all(sum(sides) == 0 and len(sides) == 2 for sides in bookings.values())
    assert sorted(max(sides) for sides in bookings.values()) == sorted(cost for cost in costs if cost)


def test_a_cost_is_booked_with_everything_that_a_report_asks_for(ann: Member) -> None:
    with system_scope():
        claim = claimed(ann)
        settle(claim, 41_230)

        spend, owed = db.session.scalars(select(LedgerEntry).order_by(LedgerEntry.amount_micro.desc()))
        assert (spend.account, owed.account) == ("spend", "provider:local")
        assert (spend.amount_micro, owed.amount_micro) == (41_230, -41_230)
        for entry in (spend, owed):
            assert (entry.user_id, entry.organisation_id) == (ann.user_id, ann.organisation_id)
            assert (entry.shot_id, entry.attempt_id) == (claim.shot_id, claim.attempt_id)
            assert (entry.operation, entry.provider, entry.price_date) == ("generate", "local", "2026-11-01")


@pytest.mark.parametrize("first", ["settled", "released"])
@pytest.mark.parametrize("second", ["settled", "released"])
def test_a_reservation_ends_once_and_a_second_end_books_nothing(ann: Member, first: str, second: str) -> None:
    ends = {"settled": lambda claim: settle(claim, 500), "released": release}
    with system_scope():
        claim = claimed(ann)
        ends[first](claim)

        with pytest.raises(RuntimeError, match="ended already"):
            ends[second](claim)

        row = db.session.scalars(select(Reservation)).one()
        assert (row.status, row.posted_micro) == (("posted", 500) if first == "settled" else ("void", None))
        assert db.session.scalar(select(func.count(LedgerEntry.id))) == (2 if first == "settled" else 0)


@pytest.mark.parametrize("cost", [None, 0])
def test_nothing_is_booked_where_nothing_was_spent_or_no_price_is_known(ann: Member, cost: int | None) -> None:
    with system_scope():
        settle(claimed(ann), cost)

        row = db.session.scalars(select(Reservation)).one()
        assert (row.status, row.posted_micro) == ("posted", cost)
        assert db.session.scalar(select(func.count(LedgerEntry.id))) == 0
