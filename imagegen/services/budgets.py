"""Budgets as people meet them: set, raised, asked for, and how far they are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cache

from sqlalchemy import Select, and_, bindparam, literal, or_, select, update
from sqlalchemy.orm import joinedload

from imagegen.core.clock import now
from imagegen.core.errors import NotFound, StudioError
from imagegen.core.ids import is_id
from imagegen.core.money import Micro
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import Membership, Organisation, UnitOfWork, User, built_once, writes
from imagegen.models.audit import Action, Target
from imagegen.models.budgets import Budget, BudgetPeriod, Per
from imagegen.services import audit
from imagegen.services.audit import Actor
from imagegen.services.budget_periods import (
    ORDER,
    SPANS,
    BudgetExceeded,
    exceeded,
    open_period,
    over,
    price_unknown,
)

LARGEST: Micro = 1_000_000_000_000
"""A million dollars: whoever types more has slipped."""


class Step(IntEnum):
    """From how many percent of a budget something is done about it."""

    FINE = 0
    WARN = 75
    CHEAPER = 90
    FULL = 100


@dataclass(frozen=True)
class Standing:
    """A budget, and how far its present period is used; `period` is None while nothing was asked for in it."""

    budget: Budget
    period: BudgetPeriod | None
    zone: str

    @property
    def ends_at(self) -> datetime:
        """When the present period ends."""
        return self.period.ends_at if self.period else SPANS[self.budget.per](now(), self.zone).ends_at

    @property
    def cap(self) -> Micro:
        """What may be used now: the cap and what was granted on top."""
        return self.period.cap_micro + self.period.granted_micro if self.period else self.budget.cap_micro

    @property
    def used(self) -> Micro:
        """What is spent or set aside."""
        return self.period.spent_micro + self.period.reserved_micro if self.period else 0

    @property
    def left(self) -> Micro:
        """What is still free; negative if it is over its cap."""
        return self.cap - self.used

    def percent(self, more: Micro = 0) -> int:
        """Return how much would be used with `more`, rounded down: 100 only when nothing is left."""
        return 100 * (self.used + more) // self.cap if self.cap else 100

    def step(self, more: Micro = 0) -> Step:
        """Return the step that is reached with `more`."""
        return max(step for step in Step if step <= max(0, self.percent(more)))


@dataclass(frozen=True)
class Verdict:
    """What the budgets say to something before it is asked for: about the tightest of them."""

    standing: Standing
    step: Step
    refusal: BudgetExceeded | None


def standings(*, organisation_id: int, user_id: int | None = None) -> list[Standing]:
    """Return the organisation's budgets and the person's (all people's without one), in the order they are taken."""
    parameters = {"place": organisation_id, "now": now()} | ({} if user_id is None else {"person": user_id})
    rows = db.session.execute(_standings(user_id is not None), parameters)
    # After a change of the time zone two days may lie over each other; the newer one counts.
    return list({budget.id: Standing(budget, period, zone) for budget, period, zone in rows}.values())


@cache
def _standings(of_person: bool) -> Select[Budget, BudgetPeriod, str]:
    # Every page asks it, and every event of a person's own.
    present = and_(
        BudgetPeriod.budget_id == Budget.id,
        BudgetPeriod.starts_at <= bindparam("now"),
        BudgetPeriod.ends_at > bindparam("now"),
    )
    query = (
        select(Budget, BudgetPeriod, Organisation.time_zone)
        .join(Organisation, Organisation.id == Budget.organisation_id)
        .outerjoin(BudgetPeriod, present)
        .where(Budget.organisation_id == bindparam("place"))
        .order_by(*ORDER, Budget.id, BudgetPeriod.id)
    )
    if of_person:
        return built_once(query.where(or_(Budget.user_id.is_(None), Budget.user_id == bindparam("person"))))
    # Whose they are is told where all people's stand.
    return built_once(query.options(joinedload(Budget.user), joinedload(BudgetPeriod.asked_by)))


def tightest(found: Sequence[Standing]) -> Standing | None:
    """Return the budget of which most is used; None without any."""
    return max(found, key=lambda standing: standing.percent(), default=None)


def verdict(*, organisation_id: int, user_id: int, estimate: Micro | None) -> Verdict | None:
    """Return what the budgets say to something that may cost `estimate`; None if it is nothing to them."""
    if estimate == 0:
        return None
    found = standings(organisation_id=organisation_id, user_id=user_id)
    for standing in found:
        refusal = _refusal(standing, estimate)
        if refusal is not None:
            return Verdict(standing, Step.FULL, refusal)
    if not found:
        return None
    near = max(found, key=lambda standing: standing.percent(estimate or 0))
    step = near.step(estimate or 0)
    return Verdict(near, step, None) if step > Step.FINE else None


def _refusal(standing: Standing, estimate: Micro | None) -> BudgetExceeded | None:
    budget = standing.budget
    if not budget.hard:
        return None
    if estimate is None:
        return price_unknown(budget, left=standing.left)
    if estimate <= standing.left:
        return None
    return exceeded(
        budget, left=standing.left, needed=estimate, ends_at=standing.ends_at, zone=standing.zone, now=now()
    )


@writes
def set_budget(
    uow: UnitOfWork, *, by: Actor, organisation_id: int, per: Per, cap: Micro, hard: bool, user_id: int | None = None
) -> Budget:
    """Set what the organisation, or one person in it, may spend; a budget that is there already is changed.

    It holds at once, and knows what was spent since the month or day began. Raises StudioError with a sentence.
    """
    _check_amount(cap, field="usd")
    organisation = uow.get_one(Organisation, organisation_id)
    if user_id is not None:
        _check_member(uow, organisation_id, user_id)
    budget = uow.scalar(
        select(Budget)
        .where(
            Budget.organisation_id == organisation_id,
            Budget.user_id.is_(None) if user_id is None else Budget.user_id == user_id,
            Budget.per == per,
        )
        .with_for_update()
    )
    if budget is None:
        budget = Budget(organisation_id=organisation_id, user_id=user_id, per=per, cap_micro=cap, hard=hard)
        uow.add(budget)
    else:
        budget.cap_micro, budget.hard = cap, hard
    uow.flush()
    _bring_up_to_date(uow, budget, zone=organisation.time_zone)
    facts = {"usd_micro": cap, "per": per.value, "hard": hard}
    audit.record(uow, Action.BUDGET_SET, by=by, target=_target(uow, organisation, user_id), facts=facts)
    return budget


def _bring_up_to_date(uow: UnitOfWork, budget: Budget, *, zone: str) -> None:
    period = open_period(uow, budget, zone=zone, moment=now())
    uow.execute(
        update(BudgetPeriod)
        .where(BudgetPeriod.id == period.id)
        .values(
            cap_micro=budget.cap_micro,
            hard=budget.hard,
            over_micro=over(BudgetPeriod.spent_micro + BudgetPeriod.reserved_micro, cap=literal(budget.cap_micro)),
        )
        .execution_options(synchronize_session=False)
    )


def _check_amount(amount: Micro, *, field: str) -> None:
    if not 0 <= amount <= LARGEST:
        raise StudioError(N_("An amount is between $0 and $1,000,000."), field=field)


def _check_member(uow: UnitOfWork, organisation_id: int, user_id: int) -> None:
    found = uow.scalar(
        select(Membership.id).where(Membership.organisation_id == organisation_id, Membership.user_id == user_id)
    )
    if found is None:
        raise StudioError(N_("There is nobody of that name in the organisation."), field="who")


def _target(uow: UnitOfWork, organisation: Organisation, user_id: int | None) -> tuple[Target, str]:
    if user_id is None:
        return Target.ORGANISATION, organisation.public_id
    return Target.USER, uow.scalars(select(User.public_id).where(User.id == user_id)).one()


@writes
def remove(uow: UnitOfWork, *, by: Actor, public_id: str) -> None:
    """Take a budget away; what it held back may be spent from now on."""
    budget = _locked(uow, public_id)
    organisation = uow.get_one(Organisation, budget.organisation_id)
    facts = {"usd_micro": budget.cap_micro, "per": budget.per}
    audit.record(uow, Action.BUDGET_REMOVED, by=by, target=_target(uow, organisation, budget.user_id), facts=facts)
    uow.delete(budget)


@writes
def grant(uow: UnitOfWork, *, by: Actor, public_id: str, amount: Micro) -> None:
    """Consent to `amount` more, in the present month or day alone; answers whoever has asked."""
    if amount <= 0:
        raise StudioError(N_("Say how much more may be spent."), field="usd")
    _check_amount(amount, field="usd")
    budget, period, organisation = _present(uow, public_id)
    uow.execute(
        update(BudgetPeriod)
        .where(BudgetPeriod.id == period.id)
        .values(granted_micro=BudgetPeriod.granted_micro + amount, asked_micro=None, asked_by_id=None, asked_at=None)
        .execution_options(synchronize_session=False)
    )
    facts = {"usd_micro": amount, "per": budget.per, "period": period.starts_on.isoformat()}
    audit.record(uow, Action.BUDGET_RAISED, by=by, target=_target(uow, organisation, budget.user_id), facts=facts)


@writes
def decline(uow: UnitOfWork, *, by: Actor, public_id: str) -> None:
    """Leave a budget as it is; the question is off the table. Nothing happens where nobody asks any more."""
    budget, period, organisation = _present(uow, public_id)
    if period.asked_micro is None:
        return
    facts = {"usd_micro": period.asked_micro, "per": budget.per}
    audit.record(uow, Action.BUDGET_DECLINED, by=by, target=_target(uow, organisation, budget.user_id), facts=facts)
    period.asked_micro = period.asked_by_id = period.asked_at = None


@writes
def ask(uow: UnitOfWork, *, user_id: int, public_id: str, amount: Micro) -> None:
    """Ask the admins for `amount` more in a budget that has no room; the last question stands."""
    _check_amount(amount, field="usd")
    budget, period, _ = _present(uow, public_id)
    if budget.user_id not in (None, user_id):
        raise NotFound(_NO_SUCH)
    period.asked_micro, period.asked_by_id, period.asked_at = max(1, amount), user_id, now()


_NO_SUCH = N_("There is no such budget any more.")


def _locked(uow: UnitOfWork, public_id: str) -> Budget:
    query = select(Budget).where(Budget.public_id == public_id).with_for_update()
    budget = uow.scalar(query) if is_id(public_id) else None
    if budget is None:
        raise NotFound(_NO_SUCH)
    return budget


def _present(uow: UnitOfWork, public_id: str) -> tuple[Budget, BudgetPeriod, Organisation]:
    budget = _locked(uow, public_id)
    organisation = uow.get_one(Organisation, budget.organisation_id)
    return budget, open_period(uow, budget, zone=organisation.time_zone, moment=now()), organisation


def everywhere() -> list[tuple[Organisation, Standing]]:
    """Return all budgets of all organisations, by name; for the command line, in the system's scope."""
    places = db.session.scalars(select(Organisation).order_by(Organisation.name)).all()
    return [(place, standing) for place in places for standing in standings(organisation_id=place.id)]


def short_of(standing: Standing, estimate: Micro) -> Micro:
    """Return how much more the budget would have to allow for something that may cost `estimate`."""
    return max(0, estimate - standing.left)
