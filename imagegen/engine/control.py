"""What people decide about a job that exists: cancel, try again, pause, resume, move to the front."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select

from imagegen.core.errors import Conflict, ErrorKind, NotFound
from imagegen.core.ids import is_id, new_id
from imagegen.core.text import N_
from imagegen.engine import dispatch, states
from imagegen.extensions import stir
from imagegen.models import Attempt, Job, Outbox, Shot, UnitOfWork, attempt_shots, writes
from imagegen.models.columns import db_now
from imagegen.models.states import AttemptStatus, ShotStatus, derive
from imagegen.services import events, generation, ledger

RETRYABLE = (ShotStatus.FAILED, ShotStatus.REFUSED, ShotStatus.CANCELED)
"""Ends after which the same may be asked again without paying twice; `unknown` has to be cleared up first."""


class Resolution(StrEnum):
    """What a person knows of a call whose fate the studio does not know."""

    NOT_BILLED = "not_billed"
    BILLED = "billed"


@writes
def cancel(uow: UnitOfWork, public_id: str) -> None:
    """End what has not begun, at once; what is under way is finished and kept, for it is paid for.

    Raises Conflict if the job has ended already.
    """
    job = _locked(uow, public_id)
    if job.finished:
        raise Conflict(N_("This job has ended already."))
    if job.cancel_requested_at is not None:
        return
    job.cancel_requested_at = db_now()
    job.paused_at = None
    # First, so that a job's last event is its end; and always, so that its page hears of it with nothing left to end.
    events.record(uow, job=job, type="job.canceling")
    for shot in _shots(uow, job, (ShotStatus.WAITING,)):
        states.move(uow, shot=shot, job=job, to=ShotStatus.CANCELED)
        ledger.release(uow, shot=shot)


def retry(public_id: str) -> int:
    """Make a new shot in the slot of each that failed, was refused or canceled; return how many.

    Raises Conflict if there is none. The earlier shots stay as they ended.
    """
    name = f"{generation.WAKE}-{public_id}-{new_id()}"
    count = _retry(public_id, name=name)
    dispatch.send(name, shots=count)
    return count


@writes
def _retry(uow: UnitOfWork, public_id: str, *, name: str) -> int:
    job = _locked(uow, public_id)
    shots = _shots(uow, job, RETRYABLE)
    if not shots:
        raise Conflict(N_("Nothing of this job can be tried again."))
    job.cancel_requested_at = job.paused_at = job.finished_at = None
    again = [_again(uow, job, shot) for shot in shots]
    uow.flush()
    ledger.reserve(uow, job=job, shots=again)
    for shot in again:
        events.record(uow, job=job, shot=shot, type="shot.waiting")
    job.status = derive(job.counts, begun=job.started_at is not None)
    events.record(uow, job=job, type=f"job.{job.status}")
    uow.add(Outbox(task=generation.WAKE, name=name))
    uow.after_commit(stir)
    return len(again)


def _again(uow: UnitOfWork, job: Job, shot: Shot) -> Shot:
    shot.newest = False
    states.count(job, leaves=ShotStatus(shot.status), enters=ShotStatus.WAITING)
    new = Shot(
        organisation_id=job.organisation_id,
        job_id=job.id,
        retry_of_id=shot.id,
        slot=shot.slot,
        provider=shot.provider,
        model=shot.model,
        request=shot.request,
        width=shot.width,
        height=shot.height,
        estimated_micro=shot.estimated_micro,
    )
    uow.add(new)
    return new


@writes
def pause(uow: UnitOfWork, public_id: str) -> None:
    """Begin nothing more of the job until it is resumed; what is under way goes on."""
    job = _unfinished(uow, public_id)
    if job.paused_at is None:
        job.paused_at = db_now()
        events.record(uow, job=job, type="job.paused")


def resume(public_id: str) -> None:
    """Go on with a paused job."""
    waiting = _resume(public_id)
    dispatch.send(f"{generation.WAKE}-{public_id}-{new_id()}", shots=max(1, waiting))


@writes
def _resume(uow: UnitOfWork, public_id: str) -> int:
    job = _unfinished(uow, public_id)
    if job.paused_at is not None:
        job.paused_at = None
        uow.after_commit(stir)
        events.record(uow, job=job, type="job.resumed")
    return job.n_waiting


@writes
def to_the_front(uow: UnitOfWork, public_id: str) -> None:
    """Let the job's shots come before those of the organisation's other jobs."""
    job = _unfinished(uow, public_id)
    first = uow.scalar(select(func.coalesce(func.max(Job.priority), 0)).where(Job.id != job.id)) or 0
    if job.priority <= first:
        job.priority = first + 1
        events.record(uow, job=job, type="job.moved")


@writes
def delete(uow: UnitOfWork, public_id: str) -> None:
    """Forget a job that has ended; its pictures stay in the library, its cost in the books.

    Raises Conflict while anything of it is open: something under way, or a call of unknown fate.
    """
    job = _locked(uow, public_id)
    if not job.finished:
        raise Conflict(N_("This job has not ended yet. Cancel it first."))
    if job.n_unknown:
        raise Conflict(N_("The fate of a call is not known yet. Say first whether it was billed."))
    uow.execute(sql_delete(Job).where(Job.id == job.id))


@writes
def resolve(uow: UnitOfWork, *, shot_id: str, resolution: Resolution) -> None:
    """Clear up a call of unknown fate, as a person found it out from the provider."""
    found = uow.scalar(select(Shot.id).where(Shot.public_id == shot_id)) if is_id(shot_id) else None
    locked = states.lock(uow, shot_id=found) if found is not None else None
    if locked is None:
        raise NotFound(N_("There is no such picture."))
    shot, job = locked
    if shot.status != ShotStatus.UNKNOWN:
        raise Conflict(N_("This has been cleared up already."))
    attempt = uow.scalars(
        select(Attempt)
        .join(attempt_shots)
        .where(attempt_shots.c.shot_id == shot.id, Attempt.status == AttemptStatus.UNKNOWN)
        .order_by(Attempt.id.desc())
        .limit(1)
    ).one()
    if resolution == Resolution.BILLED:
        attempt.status = AttemptStatus.BILLED_NO_IMAGE
        attempt.cost_micro = shot.estimated_micro
        job.actual_micro += shot.estimated_micro or 0
        ledger.settle(uow, job=job, shot=shot, attempt=attempt, cost=shot.estimated_micro, price_date=None)
        message = N_("It was billed, and no picture came.")
    else:
        attempt.status = AttemptStatus.REJECTED
        ledger.release(uow, shot=shot)
        message = N_("It was never made, and nothing was billed.")
    states.move(
        uow,
        shot=shot,
        job=job,
        to=ShotStatus.FAILED,
        error_kind=ErrorKind.UNKNOWN,
        error_message=message,
        actual_micro=attempt.cost_micro,
    )


def _locked(uow: UnitOfWork, public_id: str) -> Job:
    query = select(Job).where(Job.public_id == public_id).with_for_update()
    job = uow.scalar(query) if is_id(public_id) else None
    if job is None:
        raise NotFound(N_("There is no such job."))
    return job


def _unfinished(uow: UnitOfWork, public_id: str) -> Job:
    job = _locked(uow, public_id)
    if job.finished:
        raise Conflict(N_("This job has ended already."))
    return job


def _shots(uow: UnitOfWork, job: Job, statuses: tuple[ShotStatus, ...]) -> list[Shot]:
    query = select(Shot).where(Shot.job_id == job.id, Shot.newest, Shot.status.in_(statuses))
    return list(uow.scalars(query.order_by(Shot.slot).with_for_update()))
