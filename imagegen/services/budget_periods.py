"""Counting in budgets: what a job may cost is held there, and what it did cost stays there.

Everything here happens in the unit of work of the job or shot that it is about, after that one's own rows are
written. Rows are taken in one order everywhere: the organisation's budgets before the person's, months before days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, insert, literal, or_, select, update

from imagegen.core.calendar import Span, day_of, month_of
from imagegen.core.errors import ErrorKind, StudioError
from imagegen.core.money import Micro, display
from imagegen.core.text import N_, Message
from imagegen.models import Organisation, Reservation, UnitOfWork, built_once
from imagegen.models.budgets import Budget, BudgetPeriod, Per, reservation_periods
from imagegen.models.states import ReservationStatus

ORDER = (Budget.user_id.is_not(None), Budget.per.desc())
"""The order in which budgets are taken."""

SPANS: Mapping[str, Callable[[datetime, str], Span]] = {Per.MONTH: month_of, Per.DAY: day_of}

_WHOSE: Mapping[tuple[bool, str], Message] = {
    (False, Per.MONTH): N_("The organisation's budget for this month"),
    (False, Per.DAY): N_("The organisation's budget for today"),
    (True, Per.MONTH): N_("Your budget for this month"),
    (True, Per.DAY): N_("Your budget for today"),
}


class BudgetExceeded(StudioError):
    """A hard budget has no room for this. `left` is in micro-USD; `retry_after` in seconds, until it begins anew."""

    kind = ErrorKind.BUDGET
    status = 402

    def __init__(self, message: str, *, budget_id: str, left: Micro, retry_after: int | None) -> None:
        super().__init__(message)
        self.budget_id = budget_id
        self.left = left
        self.retry_after = retry_after


def named(budget: Budget) -> Message:
    """Return what a person calls their budget, at the beginning of a sentence."""
    return _WHOSE[budget.user_id is not None, budget.per]


def exceeded(
    budget: Budget, *, left: Micro, needed: Micro, ends_at: datetime, zone: str, now: datetime
) -> BudgetExceeded:
    """Return the refusal of something that may cost `needed`."""
    until = ends_at.astimezone(ZoneInfo(zone))
    message = N_(
        "{budget} has {left} left, and this may cost {needed}. It begins anew on {day} at {hour} ({zone})."
    ).format(
        budget=named(budget),
        left=display(max(0, left)),
        needed=display(needed),
        day=f"{until:%Y-%m-%d}",
        hour=f"{until:%H:%M}",
        zone=zone,
    )
    seconds = max(1, round((ends_at - now).total_seconds()))
    return BudgetExceeded(message, budget_id=budget.public_id, left=max(0, left), retry_after=seconds)


def price_unknown(budget: Budget, *, left: Micro) -> BudgetExceeded:
    """Return the refusal of something of which nobody knows what it costs."""
    message = N_("{budget} is a hard one, and nobody knows what this model costs. Choose one with a price.").format(
        budget=named(budget)
    )
    return BudgetExceeded(message, budget_id=budget.public_id, left=max(0, left), retry_after=None)


def hold(
    uow: UnitOfWork, *, organisation_id: int, user_id: int, reservations: Mapping[int, Micro | None], moment: datetime
) -> None:
    """Count `reservations`, written with these amounts at `moment`, in every budget that they concern.

    Raises BudgetExceeded if a hard one has no room for all of them together, or if a price is unknown.
    """
    budgets = uow.scalars(_concerned(), {"place": organisation_id, "person": user_id}).all()
    if not budgets:
        return
    zone = uow.scalars(select(Organisation.time_zone).where(Organisation.id == organisation_id)).one()
    mine = list(reservations)
    most = sum(amount or 0 for amount in reservations.values())
    known = None not in reservations.values()
    for budget in budgets:
        period = open_period(uow, budget, zone=zone, moment=moment, besides=mine)
        if budget.hard and not known:
            raise price_unknown(budget, left=left_of(period))
        if most and not _take(uow, period, most):
            uow.refresh(period)
            raise exceeded(budget, left=left_of(period), needed=most, ends_at=period.ends_at, zone=zone, now=moment)
        links = [{"reservation_id": reservation_id, "period_id": period.id} for reservation_id in mine]
        uow.execute(insert(reservation_periods), links)


@cache
def _concerned() -> Select[Budget]:
    # Every job asks it.
    whose = or_(Budget.user_id.is_(None), Budget.user_id == bindparam("person"))
    return built_once(select(Budget).where(Budget.organisation_id == bindparam("place"), whose).order_by(*ORDER))


def change(uow: UnitOfWork, *, reservation: Reservation, amount: Micro | None, moment: datetime) -> None:
    """Count `amount` in place of what `reservation` holds now, wherever it was counted.

    Raises BudgetExceeded if a hard budget has no room for it, or if it is unknown.
    """
    more = (amount or 0) - (reservation.amount_micro or 0)
    rows = uow.execute(
        select(Budget, BudgetPeriod)
        .join(BudgetPeriod, BudgetPeriod.budget_id == Budget.id)
        .join(reservation_periods, reservation_periods.c.period_id == BudgetPeriod.id)
        .where(reservation_periods.c.reservation_id == reservation.id)
        .order_by(*ORDER)
    ).all()
    for budget, period in rows:
        if budget.hard and amount is None:
            raise price_unknown(budget, left=left_of(period))
        if more and not _take(uow, period, more):
            uow.refresh(period)
            zone = uow.scalars(select(Organisation.time_zone).where(Organisation.id == budget.organisation_id)).one()
            raise exceeded(budget, left=left_of(period), needed=more, ends_at=period.ends_at, zone=zone, now=moment)


def left_of(period: BudgetPeriod) -> Micro:
    """Return what a period still has; negative if it is over its cap."""
    return period.cap_micro + period.granted_micro - period.spent_micro - period.reserved_micro


def _take(uow: UnitOfWork, period: BudgetPeriod, amount: Micro) -> bool:
    """Set `amount` aside if it fits: looked at and written in one statement, so that no two can see the same room.

    Giving back, an `amount` below zero, always fits.
    """
    fits = (
        BudgetPeriod.spent_micro + BudgetPeriod.reserved_micro + amount
        <= BudgetPeriod.cap_micro + BudgetPeriod.granted_micro
    )
    taken = uow.execute(
        update(BudgetPeriod)
        .where(BudgetPeriod.id == period.id, or_(BudgetPeriod.hard.is_(False), fits, literal(amount <= 0)))
        .values(reserved_micro=BudgetPeriod.reserved_micro + amount)
        .returning(BudgetPeriod.id)
        .execution_options(synchronize_session=False)
    )
    return taken.first() is not None


def end(uow: UnitOfWork, *, reservation_id: int, held: Micro, cost: Micro) -> None:
    """End a reservation of `held` wherever it was counted: its true `cost` is spent, even if it is more."""
    counted = uow.scalars(_counted(), {"reservation": reservation_id}).all()
    used = BudgetPeriod.spent_micro + BudgetPeriod.reserved_micro + literal(cost - held)
    for period_id in counted:
        uow.execute(
            update(BudgetPeriod)
            .where(BudgetPeriod.id == period_id)
            .values(
                reserved_micro=BudgetPeriod.reserved_micro - held,
                spent_micro=BudgetPeriod.spent_micro + cost,
                over_micro=over(used),
            )
            .execution_options(synchronize_session=False)
        )


@cache
def _counted() -> Select[int]:
    # Built once: every picture asks it.
    return (
        select(BudgetPeriod.id)
        .join(Budget, Budget.id == BudgetPeriod.budget_id)
        .join(reservation_periods, reservation_periods.c.period_id == BudgetPeriod.id)
        .where(reservation_periods.c.reservation_id == bindparam("reservation"))
        .order_by(*ORDER)
    )


def over(used: ColumnElement[int], *, cap: ColumnElement[int] | None = None) -> ColumnElement[int]:
    """Return how much of `used` is above the cap (or a new one), at the least what was above it before."""
    above = used - (BudgetPeriod.cap_micro if cap is None else cap) - BudgetPeriod.granted_micro
    return case((above > BudgetPeriod.over_micro, above), else_=BudgetPeriod.over_micro)


def open_period(
    uow: UnitOfWork, budget: Budget, *, zone: str, moment: datetime, besides: Sequence[int] = ()
) -> BudgetPeriod:
    """Return the budget's period in which `moment` lies; the first to come makes it.

    A budget that is made in the middle of a month knows what has gone before: all reservations since the beginning
    count, but for those whose ids are in `besides`.
    """
    when = SPANS[budget.per](moment, zone)
    period = uow.scalar(
        select(BudgetPeriod).where(BudgetPeriod.budget_id == budget.id, BudgetPeriod.starts_on == when.first)
    )
    if period is not None:
        return period
    concerned = _since(budget, when.starts_at, besides)
    held, spent = uow.execute(select(*_SUMS).where(concerned)).one()
    cap = budget.cap_micro
    period = BudgetPeriod(
        organisation_id=budget.organisation_id,
        budget_id=budget.id,
        starts_on=when.first,
        starts_at=when.starts_at,
        ends_at=when.ends_at,
        hard=budget.hard,
        cap_micro=cap,
        reserved_micro=int(held),
        spent_micro=int(spent),
        over_micro=max(0, int(held) + int(spent) - cap),
    )
    uow.add(period)
    uow.flush()
    before = select(Reservation.id, literal(period.id)).where(concerned)
    uow.execute(insert(reservation_periods).from_select(["reservation_id", "period_id"], before))
    return period


_HELD = Reservation.status == ReservationStatus.HELD
_SUMS = (
    func.coalesce(func.sum(case((_HELD, func.coalesce(Reservation.amount_micro, 0)), else_=0)), 0),
    func.coalesce(func.sum(case((_HELD, 0), else_=func.coalesce(Reservation.posted_micro, 0))), 0),
)


def _since(budget: Budget, moment: datetime, besides: Sequence[int]) -> ColumnElement[bool]:
    concerned = and_(
        Reservation.organisation_id == budget.organisation_id,
        Reservation.created_at >= moment,
        Reservation.status != ReservationStatus.VOID,
        Reservation.id.not_in(besides),
    )
    return concerned if budget.user_id is None else and_(concerned, Reservation.user_id == budget.user_id)
