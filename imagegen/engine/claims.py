"""Who works on what: claims, held by a lease that its owner keeps alive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Select, bindparam, func, select, update

from imagegen.core.ids import new_id
from imagegen.engine import fair_order, limits, states
from imagegen.engine.limits import Closed
from imagegen.engine.states import StartedShot
from imagegen.extensions import db
from imagegen.models import Attempt, Job, Shot, UnitOfWork, attempt_shots, writes, writes_first
from imagegen.models.columns import db_now
from imagegen.models.jobs import running, waiting
from imagegen.models.states import AttemptStatus, ShotStatus

AT_ONCE = 8
"""How many shots are claimed in one transaction: a few save commits, many would leave other workers without any."""
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


@writes
def claim(uow: UnitOfWork, *, owner: str, lease_seconds: float, lone_only: bool) -> Claim | None:
    """Claim the next waiting shot of any job for `owner`, with an attempt written down and nothing sent.

    `lone_only` takes only from small jobs of which nothing runs. None if nothing is claimable. What a provider has
    taken on already comes first: it is paid for, and its pictures may not be kept there for long.
    """
    found, _ = _claim(uow, owner=owner, lease_seconds=lease_seconds, free=1, keep_one=lone_only)
    return found[0] if found else None


@writes_first
def claim_some(
    uow: UnitOfWork, *, owner: str, lease_seconds: float, free: int, keep_one: bool, fetching: bool = True
) -> tuple[Sequence[Claim], bool]:
    """Claim for up to `free` slots, `AT_ONCE` of them at the most; also tell whether there may be more to claim.

    With `keep_one` the last free slot takes only from small jobs of which nothing runs. Not `fetching`, it does not
    look for what providers have taken on: nothing of it was left a moment ago.
    """
    return _claim(uow, owner=owner, lease_seconds=lease_seconds, free=free, keep_one=keep_one, fetching=fetching)


def _claim(
    uow: UnitOfWork, *, owner: str, lease_seconds: float, free: int, keep_one: bool, fetching: bool = True
) -> tuple[Sequence[Claim], bool]:
    most = min(free, AT_ONCE)
    left = _left_behind(uow, owner=owner, lease_seconds=lease_seconds, most=most) if fetching else ()
    if left:
        return left, True
    gate = limits.gate(uow)
    most = min(most, gate.room)
    lone = keep_one and most == free
    turns = Counter(fair_order.next_turns(uow, gate.shut, most=most - lone) if most > lone else ())
    if lone:
        turns.update(fair_order.lone_turn(uow, gate.shut))
    begun = _begin(uow, turns, gate.shut, owner=owner, lease_seconds=lease_seconds)
    return begun, bool(begun) and turns.total() == most


def _begin(
    uow: UnitOfWork, turns: Mapping[int, int], shut: Sequence[Closed], *, owner: str, lease_seconds: float
) -> Sequence[Claim]:
    """Claim so many shots of each job; fewer where another worker was quicker."""
    claims: list[Claim] = []
    # Whoever moves a shot holds its job: what is read behind this lock stays as it is.
    locked = {job.id: job for job in states.lock_jobs(uow, job_ids=turns.keys())}
    for job in [locked[job_id] for job_id in turns if job_id in locked]:
        which = fair_order.shots_of_job(shut)
        started = states.start(
            uow, job=job, which=which, most=turns[job.id], owner=owner, lease_seconds=lease_seconds
        )
        claims += _prepare(uow, job, started, shut)
    return claims


def _prepare(uow: UnitOfWork, job: Job, shots: Sequence[StartedShot], shut: Sequence[Closed]) -> Iterator[Claim]:
    """Write down the call that is to be made for each shot."""
    attempts = {new_id(): shot for shot in shots}
    rows = [
        {
            "public_id": public_id,
            "organisation_id": job.organisation_id,
            "job_id": job.id,
            "number": shot.fence,
            "provider": shot.provider,
            "model": shot.model,
            "provider_key": shot.provider_key,
        }
        for public_id, shot in attempts.items()
    ]
    numbers: dict[str, int] = dict(uow.append(Attempt, rows, "public_id", "id"))
    uow.append(attempt_shots, [{"attempt_id": numbers[key], "shot_id": shot.id} for key, shot in attempts.items()])
    closed = {(each.provider, each.key): each for each in shut}
    for public_id, shot in attempts.items():
        account = (shot.provider, shot.provider_key)
        yield Claim(shot.id, numbers[public_id], job.organisation_id, shot.fence, shut=closed.get(account))


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


@cache
def _some_to_be_fetched() -> Select[int, int]:
    return to_be_fetched().limit(bindparam("most"))


def _left_behind(uow: UnitOfWork, *, owner: str, lease_seconds: float, most: int) -> Sequence[Claim]:
    claims = []
    for shot_id, attempt_id in uow.execute(_some_to_be_fetched(), {"most": most}).all():
        locked = states.lock(uow, shot_id=shot_id)
        if locked is None:
            continue
        shot, job = locked
        again = uow.scalar(select(Shot.id).where(Shot.id == shot.id, Shot.lease_until < db_now()))
        if again is None:
            continue  # somebody else was quicker
        shot.lease_owner, shot.lease_until, shot.fence = owner, db_now(lease_seconds), shot.fence + 1
        claims.append(Claim(shot.id, attempt_id, job.organisation_id, shot.fence, taken_on=True))
    return claims


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
    count = db.session.scalar(select(func.count(Shot.id)).where(fair_order.claimable())) or 0
    count += db.session.scalar(select(func.count()).select_from(to_be_fetched().subquery())) or 0
    db.session.rollback()
    return count


def seconds_to_next() -> float | None:
    """Return in how many seconds the next shot may be claimed (0 if one may be now), None without any."""
    first, next_fetch, clock = db.session.execute(_next()).one()
    db.session.rollback()
    moments = [moment for moment in (first, next_fetch) if moment is not None]
    return max(0.0, (min(moments) - clock).total_seconds()) if moments else None


@cache
def _next() -> Select[datetime | None, datetime | None, datetime]:
    # Built once: every task that has nothing to do asks it.
    first_due = select(func.min(func.coalesce(Shot.not_before, db_now()))).where(
        waiting(), Shot.job_id.not_in(fair_order.paused())
    )
    kept = select(func.min(Shot.lease_until)).where(Shot.id.in_(_taken_on().with_only_columns(Shot.id)))
    return select(first_due.scalar_subquery(), kept.scalar_subquery(), db_now())
