"""What a person sees after a fault, and what must hold: no picture lost, none bought twice, every cent explained."""

from __future__ import annotations

from sqlalchemy import select

from imagegen.extensions import db
from imagegen.models import Attempt, LedgerEntry, Reservation, Shot, system_scope
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.waiting import eventually

SETTLED_WITHIN = 60.0
"""Seconds after a fault in which a person must see how their pictures ended, or that it is not known."""


def statuses() -> list[str]:
    """Return the states of all shots, in the order in which they were asked for."""
    db.session.rollback()
    with system_scope():
        return list(db.session.scalars(select(Shot.status).order_by(Shot.job_id, Shot.slot)))


def expect_settled(*wanted: str) -> None:
    """Wait until the shots are in the states `wanted`, in whatever order; they must be in time."""
    try:
        eventually(lambda: sorted(statuses()) == sorted(wanted), within=SETTLED_WITHIN)
    except AssertionError:
        raise AssertionError(f"{statuses()}, not {list(wanted)}, {SETTLED_WITHIN:.0f} s after the fault") from None


def expect_sound(openai: OpenAIServer) -> None:
    """Hold the books to the provider's own bill, its requests to the calls that were allowed, and all invariants.

    All requests of a test must cost the same: what is billed and not booked is told by its number.
    """
    check_invariants()
    with system_scope():
        sent = db.session.scalars(select(Attempt).where(Attempt.sent_at.is_not(None))).all()
        spent = sum(db.session.scalars(select(LedgerEntry.amount_micro).where(LedgerEntry.account == "spend")))
        booked = sum(bool(call.cost_micro) for call in sent)
        open_calls = sum(call.status == "unknown" for call in sent)
        held = db.session.scalars(select(Reservation).join(Shot).where(Shot.status == "unknown")).all()
    assert len(openai.requests) <= len(sent), "every request to the provider was written down before it was sent"
    billed = [seen.billed_micro for seen in openai.requests if seen.billed_micro]
    assert len(set(billed)) <= 1
    assert 0 <= len(billed) - booked <= open_calls, "what is billed is booked, or open"
    assert openai.bill == spent + sum(billed[booked:])
    assert {row.status for row in held} <= {"held"}, "what may have been billed stays set aside"
    db.session.rollback()
