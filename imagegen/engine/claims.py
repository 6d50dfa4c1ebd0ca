"""Who works on what: claims in fair order, held by a lease that its owner keeps alive."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import ColumnElement, Select, exists, func, literal, or_, select, update

from imagegen.engine import limits, states
from imagegen.engine.limits import Closed
from imagegen.extensions import db
from imagegen.models import Attempt, Job, ProviderKey, Shot, UnitOfWork, attempt_shots, writes
from imagegen.models.columns import db_now
from imagegen.models.jobs import running, unfinished, waiting
from imagegen.models.provider_states import NO_KEY
from imagegen.models.states import AttemptStatus, ShotStatus

SMALL_JOB = 4
"""How many pictures a job may have for which a slot is kept free, so that it begins at once behind any large ones."""
AT_ONCE = 4
"""How many shots are claimed in one transaction: a few save commits, many would make other writers wait."""
KEPT_SECONDS = 1800.0
"""How long after it was asked for the pictures of a call are fetched; providers keep them for an hour."""


@dataclass(frozen=True)
class Claim:
    """The right to work on one shot, as long as its lease is kept; `fence` tells it from later claims.

    With `shut`, its provider must not be called: it is claimed to move on to another one, or to end. With `taken_on`
    the provider has the work already, and only its pictures are to be fetched.
    """

    shot_id: int
    attempt_id: int
    organisation_id: int
    fence: int
    shut: Closed | None = None
    taken_on: bool = False


def _claimable(shut: Sequence[Closed] = ()) -> ColumnElement[bool]:
    due = or_(Shot.not_before.is_(None), Shot.not_before <= db_now())
    return waiting() & due & Shot.job_id.not_in(_paused()) & limits.allowed(shut)


def _paused() -> Select[int]:
    return select(Job.id).where(Job.paused_at.is_not(None))


def _fairest_job(lone_only: bool, shut: Sequence[Closed]) -> Select[int]:
    """The organisation with the fewest running; of its jobs what was moved to the front, the fewest, the oldest."""
    return _fairest(lone_only, shut) if shut else _fairest_with_all_open(lone_only)


@cache
def _fairest_with_all_open(lone_only: bool) -> Select[int]:
    # Building this takes longer than asking it, and it is asked for every picture.
    return _fairest(lone_only, ())


def _fairest(lone_only: bool, shut: Sequence[Closed]) -> Select[int]:
    busy = func.sum(Job.n_running).over(partition_by=Job.organisation_id).label("busy")
    pictures = sum((getattr(Job, f"n_{status}") for status in ShotStatus), start=literal(0)).label("pictures")
    columns = (Job.id, Job.priority, Job.n_running, Job.n_waiting, pictures)
    jobs = select(*columns, busy).where(unfinished()).subquery()
    query = (
        select(jobs.c.id)
        .where(jobs.c.n_waiting > 0, exists().where(Shot.job_id == jobs.c.id, _claimable(shut)))
        .order_by(jobs.c.busy, jobs.c.priority.desc(), jobs.c.n_running, jobs.c.id)
        .limit(1)
    )
    return query.where(jobs.c.n_running == 0, jobs.c.pictures <= SMALL_JOB) if lone_only else query


@writes
def claim(uow: UnitOfWork, *, owner: str, lease_seconds: float, lone_only: bool) -> Claim | None:
    """Claim the next waiting shot of any job for `owner`, with an attempt written down and nothing sent.

    `lone_only` takes only from small jobs of which nothing runs. None if nothing is claimable. What a provider has
    taken on already comes first: it is paid for, and its pictures may not be kept there for long.
    """
    return _claim(uow, owner=owner, lease_seconds=lease_seconds, lone_only=lone_only)


@writes
def claim_some(uow: UnitOfWork, *, owner: str, lease_seconds: float, free: int, keep_one: bool) -> list[Claim]:
    """Claim for up to `free` slots at once; fewer than `AT_ONCE` of them say that nothing more is claimable.

    With `keep_one` the last free slot takes only from small jobs of which nothing runs.
    """
    claims: list[Claim] = []
    while len(claims) < min(free, AT_ONCE):
        lone_only = keep_one and free - len(claims) == 1
        claim = _claim(uow, owner=owner, lease_seconds=lease_seconds, lone_only=lone_only)
        if claim is None:
            break
        claims.append(claim)
    return claims


def _claim(uow: UnitOfWork, *, owner: str, lease_seconds: float, lone_only: bool) -> Claim | None:
    left = _left_behind(uow, owner=owner, lease_seconds=lease_seconds)
    if left is not None:
        return left
    shut = limits.closed(uow)
    job_id = uow.scalar(_fairest_job(lone_only, shut))
    if job_id is None:
        return None
    # Whoever moves a shot holds its job: what is read behind this lock stays as it is. SQLite has one writer anyway.
    if uow.get_bind().dialect.name != "sqlite":
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


@cache
def to_be_fetched() -> Select[int, int]:
    """Return what a provider has taken on for somebody who has lost touch with it since: the shot and the call."""
    return _taken_on().where(Shot.lease_until < db_now()).order_by(Shot.lease_until)


def _taken_on() -> Select[int, int]:
    return (
        select(Shot.id, Attempt.id)
        .join(attempt_shots, attempt_shots.c.shot_id == Shot.id)
        .join(Attempt, Attempt.id == attempt_shots.c.attempt_id)
        .where(
            running(),
            Attempt.status == AttemptStatus.ACCEPTED,
            Attempt.sent_at > db_now(-KEPT_SECONDS),
        )
    )


def _left_behind(uow: UnitOfWork, *, owner: str, lease_seconds: float) -> Claim | None:
    found = uow.execute(to_be_fetched().limit(1)).one_or_none()
    locked = states.lock(uow, shot_id=found[0]) if found is not None else None
    if found is None or locked is None:
        return None
    shot, job = locked
    again = uow.scalar(select(Shot.id).where(Shot.id == shot.id, Shot.lease_until < db_now()))
    if again is None:
        return None  # somebody else was quicker
    shot.lease_owner, shot.lease_until, shot.fence = owner, db_now(lease_seconds), shot.fence + 1
    return Claim(shot.id, found[1], job.organisation_id, shot.fence, taken_on=True)


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
    count += db.session.scalar(select(func.count()).select_from(to_be_fetched().subquery())) or 0
    db.session.rollback()
    return count


def seconds_to_next() -> float | None:
    """Return in how many seconds the next shot may be claimed (0 if one may be now), None without any."""
    first_due = select(func.min(func.coalesce(Shot.not_before, db_now()))).where(
        waiting(), Shot.job_id.not_in(_paused())
    )
    kept = select(func.min(Shot.lease_until)).where(Shot.id.in_(_taken_on().with_only_columns(Shot.id)))
    first, next_fetch, clock = db.session.execute(
        select(first_due.scalar_subquery(), kept.scalar_subquery(), db_now())
    ).one()
    db.session.rollback()
    moments = [moment for moment in (first, next_fetch) if moment is not None]
    return max(0.0, (min(moments) - clock).total_seconds()) if moments else None
