"""I1 to I4: budgets, reservations, bookings, and what providers are owed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from imagegen.engine.invariants.rule import Invariant, Question, Rule, differ
from imagegen.models import Attempt, AuditEntry, Event, Job, LedgerEntry, Reservation, Shot, attempt_shots
from imagegen.models.audit import Action
from imagegen.models.budgets import Budget, BudgetPeriod, reservation_periods
from imagegen.models.states import SHOT_ENDS, AttemptStatus, ReservationStatus, ShotStatus

_HELD = Reservation.status == ReservationStatus.HELD
_AMOUNT = func.coalesce(Reservation.amount_micro, 0)
_POSTED = func.coalesce(Reservation.posted_micro, 0)
_SPEND = LedgerEntry.account == "spend"

# --- I1 --------------------------------------------------------------------------------------------------------

_counted = (
    select(
        reservation_periods.c.period_id,
        func.sum(case((_HELD, _AMOUNT), else_=0)).label("held"),
        func.sum(_POSTED).label("posted"),
    )
    .join_from(reservation_periods, Reservation, Reservation.id == reservation_periods.c.reservation_id)
    .group_by(reservation_periods.c.period_id)
    .subquery()
)
_held = func.coalesce(_counted.c.held, 0)
_posted = func.coalesce(_counted.c.posted, 0)


def _of_period(*conditions: ColumnElement[bool]) -> Question:
    return (
        select(
            BudgetPeriod.id,
            BudgetPeriod.starts_on,
            BudgetPeriod.reserved_micro.label("reserved"),
            BudgetPeriod.spent_micro.label("spent"),
            BudgetPeriod.over_micro.label("over"),
            (BudgetPeriod.cap_micro + BudgetPeriod.granted_micro + BudgetPeriod.over_micro).label("allowed"),
            _held.label("held"),
            _posted.label("posted"),
        )
        .join(Budget, Budget.id == BudgetPeriod.budget_id)
        .outerjoin(_counted, _counted.c.period_id == BudgetPeriod.id)
        .where(*conditions)
    )


_forgotten = (
    select(func.coalesce(func.sum(LedgerEntry.amount_micro), 0))
    .where(
        _SPEND,
        LedgerEntry.organisation_id == BudgetPeriod.organisation_id,
        LedgerEntry.created_at >= BudgetPeriod.starts_at,
        or_(Budget.user_id.is_(None), LedgerEntry.user_id == Budget.user_id),
        ~exists().where(Reservation.shot_id == LedgerEntry.shot_id),
    )
    .correlate(BudgetPeriod, Budget)
    .scalar_subquery()
)
"""Spent in the period by jobs that are deleted: with them went the reservations, the ledger keeps their cost."""

_cost_more = exists().where(
    reservation_periods.c.period_id == BudgetPeriod.id,
    reservation_periods.c.reservation_id == Reservation.id,
    or_(Reservation.amount_micro.is_(None), Reservation.amount_micro < _POSTED),
)
_was_changed = exists().where(
    AuditEntry.action.in_([Action.BUDGET_SET, Action.ORGANISATION_CHANGED]),
    or_(AuditEntry.organisation_id.is_(None), AuditEntry.organisation_id == BudgetPeriod.organisation_id),
)

_BUDGET = "period {id} from {starts_on}"

BUDGETS = Invariant(
    "I1",
    "Budgets: what is set aside and spent stays within the cap, and is what the reservations say",
    (
        Rule(
            _BUDGET,
            "says that {reserved} micro-USD are set aside; its reservations say {held}",
            _of_period(BudgetPeriod.reserved_micro != _held),
        ),
        Rule(
            _BUDGET,
            "says that {spent} micro-USD are spent; its reservations and the books of deleted jobs say otherwise "
            "({posted} posted)",
            _of_period(
                or_(
                    BudgetPeriod.spent_micro < _posted,
                    and_(BudgetPeriod.spent_micro > _posted, BudgetPeriod.spent_micro - _posted > _forgotten),
                )
            ),
        ),
        Rule(
            _BUDGET,
            "is hard and has {spent} spent and {reserved} set aside, above the {allowed} micro-USD that it may",
            _of_period(
                BudgetPeriod.hard.is_(True),
                BudgetPeriod.spent_micro + BudgetPeriod.reserved_micro
                > BudgetPeriod.cap_micro + BudgetPeriod.granted_micro + BudgetPeriod.over_micro,
            ),
        ),
        Rule(
            _BUDGET,
            "is {over} micro-USD over its cap, and nothing explains that: no picture cost more than was set aside, "
            "nobody changed the budget",
            _of_period(
                BudgetPeriod.hard.is_(True), BudgetPeriod.over_micro > 0, ~_cost_more, ~_was_changed, _forgotten == 0
            ),
        ),
    ),
)

# --- I2 --------------------------------------------------------------------------------------------------------

_OVERRUN = "shot.overrun"
_said = exists().where(
    Event.job_id == Reservation.job_id, Event.shot_id == Reservation.shot_id, Event.type == _OVERRUN
)
_overran = and_(Reservation.amount_micro.is_not(None), func.coalesce(Reservation.amount_micro, 0) < _POSTED)


def _of_reservation(*conditions: ColumnElement[bool]) -> Question:
    return (
        select(
            Reservation.id,
            Reservation.status,
            Reservation.amount_micro.label("amount"),
            Reservation.posted_micro.label("posted"),
            Shot.public_id.label("shot"),
            Shot.status.label("shot_status"),
        )
        .join(Shot, Shot.id == Reservation.shot_id)
        .join(Job, Job.id == Shot.job_id)
        .where(*conditions)
    )


_RESERVATION = "reservation {id} of shot {shot}"

RESERVATIONS = Invariant(
    "I2",
    "Reservations: each ends exactly once, with its shot, and covers the cost or is called an overrun",
    (
        Rule(
            "shot {shot}",
            "has no reservation",
            select(Shot.public_id.label("shot")).where(~Shot.reused, ~exists().where(Reservation.shot_id == Shot.id)),
        ),
        Rule(
            _RESERVATION,
            "sets money aside for a picture that was there before",
            _of_reservation(Shot.reused.is_(True)),
        ),
        Rule(
            _RESERVATION,
            "is {status} while the shot is {shot_status}",
            _of_reservation(differ(_HELD, Shot.status.not_in(SHOT_ENDS))),
        ),
        Rule(
            _RESERVATION,
            "is {status}, and whether it has an end does not fit that",
            _of_reservation(differ(_HELD, Reservation.ended_at.is_(None))),
        ),
        Rule(
            _RESERVATION,
            "is {status} and yet has {posted} micro-USD posted",
            _of_reservation(Reservation.posted_micro.is_not(None), Reservation.status != ReservationStatus.POSTED),
        ),
        Rule(
            _RESERVATION,
            "set {amount} micro-USD aside and cost {posted}, and no event says so",
            _of_reservation(_overran, ~_said),
        ),
        Rule(
            _RESERVATION,
            "is said to have cost more than was set aside ({amount}), and did not ({posted})",
            _of_reservation(_said, ~_overran),
        ),
        Rule(
            _RESERVATION,
            "belongs to another job, person or organisation than its shot",
            _of_reservation(
                or_(
                    Reservation.job_id != Shot.job_id,
                    Reservation.user_id != Job.user_id,
                    Reservation.organisation_id != Shot.organisation_id,
                )
            ),
        ),
    ),
)

# --- I3 --------------------------------------------------------------------------------------------------------


def _spent_by(column: InstrumentedAttribute[int]) -> Any:
    return (
        select(column.label("id"), func.sum(LedgerEntry.amount_micro).label("spent")).where(_SPEND).group_by(column)
    )


_job_spent = _spent_by(LedgerEntry.job_id).subquery()
_shot_spent = _spent_by(LedgerEntry.shot_id).subquery()
_job_posted = (
    select(Reservation.job_id.label("id"), func.sum(_POSTED).label("posted")).group_by(Reservation.job_id).subquery()
)


def _fractions(table: str, column: InstrumentedAttribute[Any], id_: InstrumentedAttribute[int]) -> Rule:
    return Rule(
        f"{table} {{id}}",
        "counts in fractions of a micro-USD ({amount})",
        select(id_.label("id"), column.label("amount")).where(column != cast(column, BigInteger)),
    )


BOOKS = Invariant(
    "I3",
    "Books: both sides of a booking sum to zero, in whole micro-dollars, and stored sums are those of the entries",
    (
        Rule(
            "booking {booking}",
            "sums to {sum} micro-USD, not to zero",
            select(LedgerEntry.booking, func.sum(LedgerEntry.amount_micro).label("sum"))
            .group_by(LedgerEntry.booking)
            .having(func.sum(LedgerEntry.amount_micro) != 0),
        ),
        _fractions("ledger entry", LedgerEntry.amount_micro, LedgerEntry.id),
        _fractions("reservation", Reservation.amount_micro, Reservation.id),
        _fractions("reservation", Reservation.posted_micro, Reservation.id),
        _fractions("period", BudgetPeriod.spent_micro, BudgetPeriod.id),
        _fractions("period", BudgetPeriod.reserved_micro, BudgetPeriod.id),
        Rule(
            "attempt {id}",
            "was booked {times} times",
            select(LedgerEntry.attempt_id.label("id"), func.count().label("times"))
            .where(_SPEND)
            .group_by(LedgerEntry.attempt_id)
            .having(func.count() > 1),
        ),
        Rule(
            "job {job}",
            "says that it cost {actual} micro-USD; the ledger says {spent}, its reservations {posted}",
            select(
                Job.public_id.label("job"),
                Job.actual_micro.label("actual"),
                func.coalesce(_job_spent.c.spent, 0).label("spent"),
                func.coalesce(_job_posted.c.posted, 0).label("posted"),
            )
            .outerjoin(_job_spent, _job_spent.c.id == Job.id)
            .outerjoin(_job_posted, _job_posted.c.id == Job.id)
            .where(
                or_(
                    Job.actual_micro != func.coalesce(_job_spent.c.spent, 0),
                    Job.actual_micro != func.coalesce(_job_posted.c.posted, 0),
                )
            ),
        ),
        Rule(
            "shot {shot}",
            "says that it cost {actual} micro-USD; the ledger says {spent}, its reservation {posted}",
            select(
                Shot.public_id.label("shot"),
                func.coalesce(Shot.actual_micro, 0).label("actual"),
                func.coalesce(_shot_spent.c.spent, 0).label("spent"),
                _POSTED.label("posted"),
            )
            .join(Reservation, Reservation.shot_id == Shot.id)
            .outerjoin(_shot_spent, _shot_spent.c.id == Shot.id)
            .where(
                or_(
                    func.coalesce(Shot.actual_micro, 0) != func.coalesce(_shot_spent.c.spent, 0),
                    func.coalesce(_shot_spent.c.spent, 0) != _POSTED,
                )
            ),
        ),
    ),
)

# --- I4 --------------------------------------------------------------------------------------------------------

_BILLED = (AttemptStatus.SUCCEEDED, AttemptStatus.BILLED_NO_IMAGE)
_call_spent = _spent_by(LedgerEntry.attempt_id).subquery()
_booked = func.coalesce(_call_spent.c.spent, 0)
_unknown_calls = (
    select(attempt_shots.c.shot_id, func.count().label("calls"))
    .join(Attempt, Attempt.id == attempt_shots.c.attempt_id)
    .where(Attempt.status == AttemptStatus.UNKNOWN)
    .group_by(attempt_shots.c.shot_id)
    .subquery()
)

BILL = Invariant(
    "I4",
    "The provider's bill: what calls cost is what is booked, and a call of unknown fate keeps its money set aside",
    (
        Rule(
            "attempt {id}",
            "is {status} and cost {cost} micro-USD; {booked} are booked",
            select(
                Attempt.public_id.label("id"),
                Attempt.status,
                func.coalesce(Attempt.cost_micro, 0).label("cost"),
                _booked.label("booked"),
            )
            .outerjoin(_call_spent, _call_spent.c.id == Attempt.id)
            .where(case((Attempt.status.in_(_BILLED), func.coalesce(Attempt.cost_micro, 0)), else_=0) != _booked),
        ),
        Rule(
            "attempt {id}",
            "is of unknown fate, while its shot {shot} is {shot_status} and the money for it {reservation}",
            select(
                Attempt.public_id.label("id"),
                Shot.public_id.label("shot"),
                Shot.status.label("shot_status"),
                Reservation.status.label("reservation"),
            )
            .join(attempt_shots, attempt_shots.c.attempt_id == Attempt.id)
            .join(Shot, Shot.id == attempt_shots.c.shot_id)
            .join(Reservation, Reservation.shot_id == Shot.id)
            .where(
                Attempt.status == AttemptStatus.UNKNOWN,
                or_(Shot.status != ShotStatus.UNKNOWN, Reservation.status != ReservationStatus.HELD),
            ),
        ),
        Rule(
            "shot {shot}",
            "is of unknown fate for the sake of {calls} calls, not of one",
            select(Shot.public_id.label("shot"), func.coalesce(_unknown_calls.c.calls, 0).label("calls"))
            .outerjoin(_unknown_calls, _unknown_calls.c.shot_id == Shot.id)
            .where(Shot.status == ShotStatus.UNKNOWN, func.coalesce(_unknown_calls.c.calls, 0) != 1),
        ),
    ),
)
