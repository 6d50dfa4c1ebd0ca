"""What must hold after anything that can happen: what the studio checks of itself, and a little more."""

from __future__ import annotations

from sqlalchemy import select

from imagegen.engine.invariants import INVARIANTS, check
from imagegen.extensions import db
from imagegen.models import Event, Organisation, system_scope

AT_ONCE = tuple(each.id for each in INVARIANTS if each.id not in ("I12", "I16"))
"""All but those that are about being found in time: a test stops in the middle of things."""


def check_invariants() -> None:
    """Raise AssertionError if anything is amiss."""
    broken = check(only=AT_ONCE)
    assert broken == [], broken
    with system_scope():
        _check_numbers()
    db.session.rollback()


def _check_numbers() -> None:
    """Hold each organisation's events to numbers without a gap: nobody deletes a job before they are checked."""
    for organisation in db.session.scalars(select(Organisation)):
        numbers = db.session.scalars(
            select(Event.organisation_seq)
            .where(Event.organisation_id == organisation.id)
            .order_by(Event.organisation_seq)
        ).all()
        assert list(numbers) == list(range(1, organisation.event_seq + 1))
