"""Moving shots: the only code that changes a shot's state, its job's counts and the job's derived state."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from imagegen.models import Job, Shot, UnitOfWork
from imagegen.models.columns import db_now
from imagegen.models.states import JOB_ENDS, SHOT_MOVES, ShotStatus, derive
from imagegen.services import events, ledger


class IllegalMove(RuntimeError):
    """Somebody tried to move a shot where it cannot go: a mistake in the code, not in the world."""


def lock(
    uow: UnitOfWork, *, shot_id: int, fence: int | None = None, also_unknown: bool = False
) -> tuple[Shot, Job] | None:
    """Return the shot and its job, locked until the end of `uow`: the job first, as everywhere.

    With `fence`, None if the shot has been claimed by somebody else since, or has ended: the caller was thought
    dead and must change nothing. `also_unknown` lets through whoever brings the answer after all.
    """
    job = uow.scalar(
        select(Job)
        .join(Shot, Shot.job_id == Job.id)
        .where(Shot.id == shot_id)
        .with_for_update(of=Job)
        .execution_options(populate_existing=True)
    )
    shot = uow.scalar(
        select(Shot).where(Shot.id == shot_id).with_for_update().execution_options(populate_existing=True)
    )
    at_work = {ShotStatus.RUNNING, ShotStatus.UNKNOWN} if also_unknown else {ShotStatus.RUNNING}
    if job is None or shot is None or (fence is not None and (shot.fence != fence or shot.status not in at_work)):
        return None
    return shot, job


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
    if to == ShotStatus.RUNNING and job.started_at is None:
        job.started_at = db_now()
    if shot.newest:
        count(job, leaves=old, enters=to)
    events.record(uow, job=job, shot=shot, type=f"shot.{to}")
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
