"""Moving shots: the only code that changes a shot's state, its job's counts and the job's derived state."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from imagegen.models import Attempt, Job, ProviderKey, Shot, UnitOfWork
from imagegen.models.bare import table_of
from imagegen.models.columns import db_now
from imagegen.models.provider_states import NO_KEY
from imagegen.models.states import JOB_ENDS, SHOT_MOVES, AttemptStatus, ShotStatus, derive
from imagegen.services import events, ledger


class IllegalMove(RuntimeError):
    """Somebody tried to move a shot where it cannot go: a mistake in the code, not in the world."""


class StartedShot(NamedTuple):
    """What is known of a shot that has just been claimed."""

    id: int
    public_id: str
    newest: bool
    fence: int
    provider: str
    model: str
    provider_key: str


# Built once: building them takes longer than they take, and every picture runs them several times.
_JOB_OF_SHOT = (
    select(Job)
    .join(Shot, Shot.job_id == Job.id)
    .where(Shot.id == bindparam("shot"))
    .with_for_update(of=Job)
    .execution_options(populate_existing=True)
)
_SHOT = select(Shot).where(Shot.id == bindparam("shot")).with_for_update().execution_options(populate_existing=True)
_JOBS = (
    select(Job)
    .where(Job.id.in_(bindparam("which", expanding=True)))
    .order_by(Job.id)
    .with_for_update()
    .execution_options(populate_existing=True)
)


def lock(
    uow: UnitOfWork, *, shot_id: int, fence: int | None = None, also_unknown: bool = False
) -> tuple[Shot, Job] | None:
    """Return the shot and its job, locked until the end of `uow`: the job first, as everywhere.

    With `fence`, None if the shot has been claimed by somebody else since, or has ended: the caller was thought
    dead and must change nothing. `also_unknown` lets through whoever brings the answer after all.
    """
    job = uow.scalar(_JOB_OF_SHOT, {"shot": shot_id})
    shot = uow.scalar(_SHOT, {"shot": shot_id})
    at_work = {ShotStatus.RUNNING, ShotStatus.UNKNOWN} if also_unknown else {ShotStatus.RUNNING}
    if job is None or shot is None or (fence is not None and (shot.fence != fence or shot.status not in at_work)):
        return None
    return shot, job


def lock_jobs(uow: UnitOfWork, *, job_ids: Collection[int]) -> Sequence[Job]:
    """Return jobs, locked until the end of `uow`, in the order in which everybody locks several."""
    if not job_ids:
        return []
    return uow.scalars(_JOBS, {"which": list(job_ids)}).all()


def move(uow: UnitOfWork, *, shot: Shot, job: Job, to: ShotStatus, **facts: Any) -> None:
    """Move a locked shot to state `to`, set `facts` on it, and bring its job and the event log up to date."""
    old = ShotStatus(shot.status)
    if to not in SHOT_MOVES[old]:
        raise IllegalMove(f"a shot cannot go from {old} to {to}")
    shot.status = to
    if to != ShotStatus.RUNNING:
        shot.lease_owner = shot.lease_until = None
        shot.step = ""
    if to not in (ShotStatus.RUNNING, ShotStatus.WAITING):
        shot.finished_at = db_now()
    for name, value in facts.items():
        setattr(shot, name, value)
    _follow(uow, job, [shot], leaves=old, enters=to)


def end_attempt(uow: UnitOfWork, attempt_id: int, status: AttemptStatus, facts: Mapping[str, Any]) -> Attempt:
    """End a call to a provider as `status`, and set `facts` on it."""
    attempt = uow.get_one(Attempt, attempt_id)
    attempt.status = status
    attempt.answered_at = attempt.ended_at = db_now()
    for name, value in facts.items():
        setattr(attempt, name, value)
    return attempt


def start(
    uow: UnitOfWork, *, job: Job, which: Select[int], most: int, owner: str, lease_seconds: float
) -> Sequence[StartedShot]:
    """Let the first `most` waiting shots of a locked `job` run that `which` finds; return them, in order.

    `which` is a query for their ids whose parameters are `job` and `most`.
    """
    values = {"job": job.id, "most": most, "owner": owner, "seconds": lease_seconds}
    begun = uow.connection().execute(_start(which), values)
    shots = sorted(StartedShot(*row) for row in begun)
    _follow(uow, job, shots, leaves=ShotStatus.WAITING, enters=ShotStatus.RUNNING)
    return shots


@lru_cache(8)
def _start(which: Select[int]) -> ReturningUpdate[Any]:
    shots, keys = table_of(Shot), table_of(ProviderKey)
    # The organisation's own key to the provider that the shot is to be drawn by, blank if it has none.
    own = select(keys.c.digest).where(
        keys.c.organisation_id == shots.c.organisation_id, keys.c.provider == shots.c.provider
    )
    return (
        update(shots)
        .where(shots.c.id.in_(which.correlate(None)), shots.c.status == ShotStatus.WAITING)
        .values(
            status=ShotStatus.RUNNING,
            step="calling",
            provider_key=func.coalesce(own.scalar_subquery(), NO_KEY),
            lease_owner=bindparam("owner"),
            lease_until=db_now(bindparam("seconds")),
            fence=shots.c.fence + 1,
            tries=shots.c.tries + 1,
            not_before=None,
            error_kind=None,
            error_message=None,
            started_at=db_now(),
        )
        .returning(*(shots.c[name] for name in StartedShot._fields))
    )


def _follow(
    uow: UnitOfWork, job: Job, shots: Sequence[Shot | StartedShot], *, leaves: ShotStatus, enters: ShotStatus
) -> None:
    """Bring a job and the event log up to date with shots that have moved."""
    if enters == ShotStatus.RUNNING and job.started_at is None:
        job.started_at = db_now()
    for shot in shots:
        if shot.newest:
            count(job, leaves=leaves, enters=enters)
        events.record(uow, job=job, shot=shot, type=f"shot.{enters}")
    before = job.status
    job.status = derive(job.counts, begun=job.started_at is not None)
    if job.status != before:
        if job.status in JOB_ENDS:
            job.finished_at = db_now()
        events.record(uow, job=job, type=f"job.{job.status}")


def count(job: Job, *, leaves: ShotStatus, enters: ShotStatus) -> None:
    """Bring the counts of a locked job up to date for one slot."""
    setattr(job, f"n_{leaves}", getattr(job, f"n_{leaves}") - 1)
    setattr(job, f"n_{enters}", getattr(job, f"n_{enters}") + 1)


def give_back(uow: UnitOfWork, *, shot: Shot, job: Job, **facts: Any) -> None:
    """Put a running shot back in line, of which the provider has taken nothing on; end it if its job was canceled."""
    if job.cancel_requested_at is None:
        move(uow, shot=shot, job=job, to=ShotStatus.WAITING, **facts)
        return
    move(uow, shot=shot, job=job, to=ShotStatus.CANCELED)
    ledger.release(uow, shot=shot)
