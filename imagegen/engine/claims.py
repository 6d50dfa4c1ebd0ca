"""Who works on what: claims in fair order, held by a lease that its owner keeps alive."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from imagegen.engine import limits, states
from imagegen.engine.limits import Closed
from imagegen.extensions import db
from imagegen.models import Attempt, Job, ProviderKey, Shot, UnitOfWork, writes
from imagegen.models.columns import db_now
from imagegen.models.provider_states import NO_KEY
from imagegen.models.states import JobStatus, ShotStatus

_ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True)
class Claim:
    """The right to work on one shot, as long as its lease is kept; `fence` tells it from later claims.

    With `shut`, its provider must not be called: it is claimed to move on to another one, or to end.
    """

    shot_id: int
    attempt_id: int
    organisation_id: int
    fence: int
    shut: Closed | None = None


def _claimable(shut: Sequence[Closed] = ()) -> ColumnElement[bool]:
    due = or_(Shot.not_before.is_(None), Shot.not_before <= db_now())
    return (Shot.status == ShotStatus.WAITING) & due & Shot.job_id.not_in(_paused()) & limits.allowed(shut)


def _paused() -> Select[int]:
    return select(Job.id).where(Job.paused_at.is_not(None))


def _fairest_job(lone_only: bool, shut: Sequence[Closed]) -> Select[int]:
    """The organisation with the fewest running; of its jobs what was moved to the front, the fewest, the oldest."""
    other = aliased(Job)
    busy = (
        select(other.organisation_id, func.sum(other.n_running).label("running"))
        .where(other.status.in_(_ACTIVE))
        .group_by(other.organisation_id)
        .subquery()
    )
    query = (
        select(Job.id)
        .join(busy, busy.c.organisation_id == Job.organisation_id)
        .where(Job.status.in_(_ACTIVE), exists().where(Shot.job_id == Job.id, _claimable(shut)))
        .order_by(busy.c.running, Job.priority.desc(), Job.n_running, Job.id)
        .limit(1)
    )
    return query.where(Job.n_running == 0) if lone_only else query


@writes
def claim(uow: UnitOfWork, *, owner: str, lease_seconds: float, lone_only: bool) -> Claim | None:
    """Claim the next waiting shot of any job for `owner`, with an attempt written down and nothing sent.

    `lone_only` takes only from jobs of which nothing runs. None if nothing is claimable.
    """
    shut = limits.closed(uow)
    job_id = uow.scalar(_fairest_job(lone_only, shut))
    if job_id is None:
        return None
    # Whoever moves a shot holds its job: what is read behind this lock stays as it is.
    uow.execute(select(Job.id).where(Job.id == job_id).with_for_update())
    shot_id = uow.scalar(select(Shot.id).where(Shot.job_id == job_id, _claimable(shut)).order_by(Shot.slot).limit(1))
    locked = states.lock(uow, shot_id=shot_id) if shot_id is not None else None
    if locked is None:
        return None
    shot, job = locked
    key = _key_of(uow, shot)
    states.move(
        uow,
        shot=shot,
        job=job,
        to=ShotStatus.RUNNING,
        provider_key=key,
        lease_owner=owner,
        lease_until=db_now(lease_seconds),
        fence=shot.fence + 1,
        tries=shot.tries + 1,
        step="calling",
        not_before=None,
        error_kind=None,
        error_message=None,
        started_at=db_now(),
    )
    attempt = Attempt(
        organisation_id=job.organisation_id,
        job_id=job.id,
        number=shot.fence,
        provider=shot.provider,
        model=shot.model,
        provider_key=key,
        shots=[shot],
    )
    uow.add(attempt)
    uow.flush()
    return Claim(
        shot.id,
        attempt.id,
        job.organisation_id,
        shot.fence,
        shut=next((one for one in shut if (one.provider, one.key) == (shot.provider, key)), None),
    )


def _key_of(uow: UnitOfWork, shot: Shot) -> str:
    """Return the digest of the organisation's own key to the shot's provider, blank if it has none."""
    own = select(ProviderKey.digest).where(
        ProviderKey.organisation_id == shot.organisation_id, ProviderKey.provider == shot.provider
    )
    return uow.scalar(own) or NO_KEY


@writes
def keep(uow: UnitOfWork, *, owner: str, shot_ids: Collection[int], lease_seconds: float) -> None:
    """Renew the leases that `owner` still holds."""
    uow.execute(
        update(Shot)
        .where(Shot.id.in_(shot_ids), Shot.lease_owner == owner, Shot.status == ShotStatus.RUNNING)
        .values(lease_until=db_now(lease_seconds))
        .execution_options(synchronize_session=False)
    )


def due() -> int:
    """Return how many shots could be claimed now."""
    count = db.session.scalar(select(func.count(Shot.id)).where(_claimable())) or 0
    db.session.rollback()
    return count


def seconds_to_next() -> float | None:
    """Return in how many seconds the next waiting shot may be claimed (0 if one may be now), None without any."""
    row = db.session.execute(
        select(func.min(func.coalesce(Shot.not_before, db_now())), db_now()).where(
            Shot.status == ShotStatus.WAITING, Shot.job_id.not_in(_paused())
        )
    ).one()
    db.session.rollback()
    first, clock = row
    return None if first is None else max(0.0, (first - clock).total_seconds())
