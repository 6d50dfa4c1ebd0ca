"""Moving shots: the only code that changes a shot's state, its job's counts and the job's derived state."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from imagegen.models import Job, Shot, UnitOfWork
from imagegen.models.columns import db_now
from imagegen.models.states import JOB_ENDS, SHOT_MOVES, ShotStatus, derive
from imagegen.services import events


class IllegalMove(RuntimeError):
    """Somebody tried to move a shot where it cannot go: a mistake in the code, not in the world."""


def lock(uow: UnitOfWork, *, shot_id: int, fence: int | None = None) -> tuple[Shot, Job] | None:
    """Return the shot and its job, locked until the end of `uow`.

    With `fence`, None if the shot has been claimed by somebody else since: the caller was thought dead and must
    change nothing.
    """
    shot = uow.scalar(
        select(Shot).where(Shot.id == shot_id).with_for_update().execution_options(populate_existing=True)
    )
    if shot is None or (fence is not None and (shot.fence != fence or shot.status != ShotStatus.RUNNING)):
        return None
    job = uow.scalars(
        select(Job).where(Job.id == shot.job_id).with_for_update().execution_options(populate_existing=True)
    ).one()
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
    _count(job, shot, old, to)
    events.record(uow, job=job, shot=shot, type=f"shot.{to}")
    before = job.status
    job.status = derive(job.counts, begun=job.started_at is not None)
    if job.status != before:
        if job.status in JOB_ENDS:
            job.finished_at = db_now()
        events.record(uow, job=job, type=f"job.{job.status}")


def _count(job: Job, shot: Shot, old: ShotStatus, new: ShotStatus) -> None:
    if new == ShotStatus.RUNNING and job.started_at is None:
        job.started_at = db_now()
    if shot.newest:
        setattr(job, f"n_{old}", getattr(job, f"n_{old}") - 1)
        setattr(job, f"n_{new}", getattr(job, f"n_{new}") + 1)
