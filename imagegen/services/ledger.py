"""Money: set aside with the job, settled when a shot ends. Called within the unit of work of that end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select, update

from imagegen.core.clock import now
from imagegen.core.ids import new_id
from imagegen.core.money import Micro
from imagegen.models import Attempt, Job, LedgerEntry, Reservation, Shot, UnitOfWork
from imagegen.models.states import ReservationStatus
from imagegen.services import allowances, budget_periods, events


def reserve(uow: UnitOfWork, *, job: Job, shots: Sequence[Shot]) -> None:
    """Set aside the most that `shots` of `job` may cost; nothing is known of those without a price.

    Raises BudgetExceeded if a hard budget has no room for them, and AllowanceUsed if they are too many pictures.
    """
    moment = now()
    allowances.check(
        uow, organisation_id=job.organisation_id, user_id=job.user_id, pictures=len(shots), moment=moment
    )
    _set_aside(uow, job, {shot.id: shot.estimated_micro for shot in shots}, moment)


def reserve_nothing(uow: UnitOfWork, *, job: Job, shot: Shot) -> None:
    """Set nothing aside for a shot that is paid for already: whatever it turns out to cost is an overrun."""
    _set_aside(uow, job, {shot.id: 0}, now())


def _set_aside(uow: UnitOfWork, job: Job, amounts: Mapping[int, Micro | None], moment: datetime) -> None:
    whose = {"organisation_id": job.organisation_id, "user_id": job.user_id}
    rows = [
        {**whose, "job_id": job.id, "shot_id": shot_id, "amount_micro": amount, "created_at": moment}
        for shot_id, amount in amounts.items()
    ]
    # Before the budgets are read: one that is made just now counts these, or is seen here.
    held = uow.append(Reservation, rows, "id", "amount_micro")
    budget_periods.hold(uow, **whose, reservations=dict(held), moment=moment)


def change(uow: UnitOfWork, *, shot: Shot, estimate: Micro | None) -> None:
    """Set `estimate` aside for the shot in place of what is; raises BudgetExceeded if a hard budget has no room."""
    reservation = uow.scalars(
        select(Reservation).where(Reservation.shot_id == shot.id, Reservation.status == ReservationStatus.HELD)
    ).one()
    budget_periods.change(uow, reservation=reservation, amount=estimate, moment=now())
    reservation.amount_micro = estimate


def settle(
    uow: UnitOfWork, *, job: Job, shot: Shot, attempt: Attempt, cost: Micro | None, price_date: str | None
) -> None:
    """End the shot's reservation with what it really cost, and book that.

    A cost above what was set aside is booked all the same, and said with an event. A cost of None (no price known)
    posts the reservation and books nothing: it is not zero, it is unknown.
    """
    held = _end(uow, shot=shot, status=ReservationStatus.POSTED, posted=cost)
    if held is not None and cost is not None and cost > held:
        events.record(uow, job=job, shot=shot, type="shot.overrun")
    if not cost:
        return
    booking = {
        "organisation_id": job.organisation_id,
        "booking": new_id(),
        "user_id": job.user_id,
        "job_id": job.id,
        "shot_id": shot.id,
        "attempt_id": attempt.id,
        "client_id": job.client_id,
        "campaign_id": job.campaign_id,
        "operation": job.kind,
        "provider": attempt.provider,
        "model": attempt.model,
        "price_date": price_date,
    }
    sides = (("spend", cost), (f"provider:{attempt.provider}", -cost))
    uow.append(LedgerEntry, [{**booking, "account": account, "amount_micro": amount} for account, amount in sides])


def release(uow: UnitOfWork, *, shot: Shot) -> None:
    """End the shot's reservation without cost: nothing was made, nothing is owed."""
    _end(uow, shot=shot, status=ReservationStatus.VOID, posted=None)


def _end(uow: UnitOfWork, *, shot: Shot, status: ReservationStatus, posted: Micro | None) -> Micro | None:
    """End the shot's reservation, here and in the budgets; return what was set aside."""
    ended = uow.execute(
        update(Reservation)
        .where(Reservation.shot_id == shot.id, Reservation.status == ReservationStatus.HELD)
        .values(status=status, posted_micro=posted, ended_at=now())
        .returning(Reservation.id, Reservation.amount_micro)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if ended is None:
        raise RuntimeError(f"the reservation of shot {shot.public_id} has ended already")
    budget_periods.end(uow, reservation_id=ended.id, held=ended.amount_micro or 0, cost=posted or 0)
    held: Micro | None = ended.amount_micro
    return held
