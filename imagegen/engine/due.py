"""Work whose time has come: from a schedule to a job, exactly one for each of its times.

A time is taken in one transaction: its run is written and the schedule moves on, by the database's clock. Then the
job is asked for, under a key made of schedule and time, and what became of it is written down. Whoever dies in
between leaves a run that is `due`. Once its lease is over the next sweep asks again, under the same key, and gets the
same job.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import structlog
from pydantic import ValidationError
from sqlalchemy import Select, select, update

from imagegen.core.errors import ErrorKind, StudioError
from imagegen.core.text import N_, Message
from imagegen.engine import dispatch
from imagegen.extensions import db
from imagegen.models import (
    IdempotencyKey,
    Job,
    Membership,
    Schedule,
    ScheduleRun,
    UnitOfWork,
    User,
    system_scope,
    writes,
)
from imagegen.models.columns import db_now
from imagegen.models.schedules import Missed, RunStatus
from imagegen.models.states import JobStatus
from imagegen.services import schedules, slots
from imagegen.services.generation import GenerationRequest
from imagegen.services.rights import Right, rights_of

log = structlog.get_logger(__name__)

BATCH = 1000
LATE = timedelta(minutes=10)
"""A time that nobody took for so long was missed."""

PATIENCE = timedelta(minutes=10)
"""For so long a job that is refused for now (too many at once, something is away) is asked for again."""

LEASE_SECONDS = 60.0
FAILURES = 5
"""So many failed runs in a row pause a schedule."""

MOST_COUNTED = 1000
"""Missed times are counted no further."""

_PASSING = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT})
_GONE = N_("The person who made this schedule is no longer in the organisation.")
_NO_RIGHT = N_("The person who made this schedule may no longer create pictures.")
_UNREADABLE = N_("The schedule's request is of an older kind that is no longer understood. Write it anew.")


@dataclass(frozen=True)
class _Taken:
    """A run that this process holds the lease of."""

    run_id: int
    key: str
    organisation_id: int
    user_id: int
    request: dict[str, object]


def begin_due() -> dict[str, int]:
    """Ask for the jobs whose time has come; returns how many runs were taken, and taken over.

    Any number of schedulers may do this at once. Running it twice changes nothing more.
    """
    with system_scope():
        found = {"taken": _each(_take, _due_schedules()), "taken_over": _each(_take_over, _left_runs())}
    if any(found.values()):
        log.info("due", **found)
    return found


def _each(take: Callable[..., _Taken | None], ids: Sequence[int]) -> int:
    """Take each of `ids` and ask for its job; returns how many were taken."""
    taken = 0
    for row_id in ids:
        try:
            one = take(row_id)
            if one is not None:
                taken += 1
                _begin(one)
        except Exception:
            # One that breaks must not keep the others from their time. What was taken is tried again after its lease.
            log.exception("due.broke", row=row_id, taking=take.__name__)
        finally:
            db.session.remove()
    return taken


def _due_schedules() -> list[int]:
    query = select(Schedule.id).where(Schedule.next_at <= db_now(), Schedule.paused_at.is_(None))
    return list(db.session.scalars(query.order_by(Schedule.next_at, Schedule.id).limit(BATCH)))


def _left_runs() -> list[int]:
    query = select(ScheduleRun.id).where(ScheduleRun.status == RunStatus.DUE, ScheduleRun.lease_until <= db_now())
    return list(db.session.scalars(query.order_by(ScheduleRun.id).limit(BATCH)))


# Taking


@writes
def _take(uow: UnitOfWork, schedule_id: int) -> _Taken | None:
    """Write the run of the time that has come, and move the schedule on; None if another one was quicker."""
    query = select(Schedule).where(Schedule.id == schedule_id, Schedule.paused_at.is_(None)).with_for_update()
    schedule = uow.scalar(query)
    now = schedules.database_time(uow)
    if schedule is None or schedule.next_at is None or schedule.next_at > now:
        return None
    reason = _why_paused(uow, schedule)
    if reason is not None:
        schedule.paused_at, schedule.paused_because = now, reason
        return None
    slot, missed, skipped = _settled(schedule, now)
    # A clock that was put back may lead to a time a second time; what it made is not made again.
    if skipped is not None and not _is_settled(uow, schedule, skipped):
        uow.add(_run(schedule, skipped, RunStatus.SKIPPED, now, missed=missed - 1, ended_at=now))
    run = None
    if slot is not None and not _is_settled(uow, schedule, slot):
        schedule.runs += 1
        lease = now + timedelta(seconds=LEASE_SECONDS)
        run = _run(schedule, slot, RunStatus.DUE, now, missed=0 if skipped else missed, lease_until=lease)
        uow.add(run)
    schedule.last_at = slot or skipped
    schedule.next_at = schedules.following(schedule, now)
    uow.flush()
    return _taken(run, schedule) if run is not None else None


def _is_settled(uow: UnitOfWork, schedule: Schedule, slot: datetime) -> bool:
    run = select(ScheduleRun.id).where(ScheduleRun.schedule_id == schedule.id, ScheduleRun.slot_at == slot)
    return uow.scalar(run) is not None


def _settled(schedule: Schedule, now: datetime) -> tuple[datetime | None, int, datetime | None]:
    """Return the time that gets a job, how many more were missed, and the time under which those are skipped.

    What was missed and is to run once gets one job, under the earliest time.
    """
    first = schedule.next_at
    assert first is not None  # noqa: S101  # `_take` has seen to it
    later = []
    if schedule.cron is not None:
        coming = slots.times_after(first, cron=schedule.cron, zone=schedule.time_zone)
        later = [time for time in islice(coming, MOST_COUNTED) if time <= now]
    if schedule.missed == Missed.RUN_ONCE or first > now - LATE:
        return first, len(later), None
    last = later[-1] if later and len(later) < MOST_COUNTED and later[-1] > now - LATE else None
    return last, len(later) - (last is not None) + 1, first


def _run(schedule: Schedule, slot: datetime, status: RunStatus, now: datetime, **more: object) -> ScheduleRun:
    return ScheduleRun(
        organisation_id=schedule.organisation_id,
        schedule_id=schedule.id,
        slot_at=slot,
        status=status,
        created_at=now,
        **more,
    )


def _taken(run: ScheduleRun, schedule: Schedule) -> _Taken:
    return _Taken(
        run_id=run.id,
        key=_key(schedule, run.slot_at),
        organisation_id=schedule.organisation_id,
        user_id=schedule.user_id,
        request=schedule.request,
    )


def _key(schedule: Schedule, slot: datetime) -> str:
    """Return the idempotency key of a schedule's time."""
    return f"schedule/{schedule.public_id}/{slot.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@writes
def _take_over(uow: UnitOfWork, run_id: int) -> _Taken | None:
    """Take a run whose holder did not come back; None if another one was quicker."""
    waits = (ScheduleRun.id == run_id, ScheduleRun.status == RunStatus.DUE, ScheduleRun.lease_until <= db_now())
    leased = update(ScheduleRun).where(*waits).values(lease_until=db_now(LEASE_SECONDS)).returning(ScheduleRun.id)
    if uow.scalar(leased) is None:
        return None
    run = uow.get_one(ScheduleRun, run_id)
    return _taken(run, uow.get_one(Schedule, run.schedule_id))


# Asking


def _begin(one: _Taken) -> None:
    """Ask for the job of a run, and write down what became of it."""
    error = _ask(one)
    if error is not None and error.kind in _PASSING and _wait(run_id=one.run_id):
        log.info("due.refused_for_now", run=one.run_id, error=str(error))
        return
    _settle(run_id=one.run_id, key=one.key, error=error.message if error else None)


def _ask(one: _Taken) -> StudioError | None:
    """Ask for the job, unless somebody did before; return why there is none."""
    if db.session.scalar(_job_under(one.organisation_id, one.key)) is not None:
        return None
    reason = _why_not(one)
    if reason is not None:
        return StudioError(reason)
    try:
        request = GenerationRequest.model_validate(one.request)
    except ValidationError:
        return StudioError(_UNREADABLE)
    try:
        dispatch.submit(
            organisation_id=one.organisation_id, user_id=one.user_id, request=request, idempotency_key=one.key
        )
    except StudioError as error:
        return error
    return None


def _job_under(organisation_id: int, key: str) -> Select[int]:
    """Return the query for the job of a time, whoever answers for the schedule by now."""
    mine = (IdempotencyKey.organisation_id == organisation_id, IdempotencyKey.key == key)
    return select(IdempotencyKey.job_id).where(*mine).order_by(IdempotencyKey.id).limit(1)


def _why_not(one: _Taken) -> Message | None:
    """Return why the run's person may not begin it; None if they may."""
    mine = (Membership.user_id == one.user_id, Membership.organisation_id == one.organisation_id)
    role = db.session.scalar(select(Membership.role).join(User).where(*mine, User.enabled))
    if role is None:
        return _GONE
    return None if Right.CREATE in rights_of(role) else _NO_RIGHT


@writes
def _wait(uow: UnitOfWork, *, run_id: int) -> bool:
    """Let the run be asked for again in a sweep to come; tells whether there is patience left."""
    recent = ScheduleRun.created_at > db_now(-PATIENCE.total_seconds())
    again = update(ScheduleRun).where(ScheduleRun.id == run_id, ScheduleRun.status == RunStatus.DUE, recent)
    return uow.scalar(again.values(lease_until=db_now()).returning(ScheduleRun.id)) is not None


@writes
def _settle(uow: UnitOfWork, *, run_id: int, key: str, error: str | None) -> None:
    """Write down what became of a run. A job that there is goes before any error."""
    run = uow.scalar(select(ScheduleRun).where(ScheduleRun.id == run_id).with_for_update())
    if run is None or run.status == RunStatus.BEGUN:
        return
    job_id = uow.scalar(_job_under(run.organisation_id, key))
    run.status = RunStatus.BEGUN if job_id is not None else RunStatus.FAILED
    run.job_id, run.error = job_id, error if job_id is None else None
    run.lease_until, run.ended_at = None, schedules.database_time(uow)
    uow.flush()
    schedule = uow.get_one(Schedule, run.schedule_id, with_for_update=True)
    reason = _why_paused(uow, schedule)
    if reason is not None and schedule.paused_at is None and schedule.next_at is not None:
        schedule.paused_at, schedule.paused_because = run.ended_at, reason


def _why_paused(uow: UnitOfWork, schedule: Schedule) -> Message | None:
    """Return why the schedule should not go on: its last runs failed, or every picture of their jobs did."""
    newest = (
        select(ScheduleRun.status, ScheduleRun.error, Job.status)
        .outerjoin(Job, Job.id == ScheduleRun.job_id)
        .where(ScheduleRun.schedule_id == schedule.id, ScheduleRun.status != RunStatus.SKIPPED)
    )
    if schedule.resumed_at is not None:
        newest = newest.where(ScheduleRun.created_at > schedule.resumed_at)
    rows = uow.execute(newest.order_by(ScheduleRun.slot_at.desc()).limit(FAILURES)).all()
    failed = [status == RunStatus.FAILED or job == JobStatus.FAILED for status, _error, job in rows]
    if len(failed) < FAILURES or not all(failed):
        return None
    paused = N_("Paused after {number} failed runs in a row.").format(number=FAILURES)
    why = rows[0][1]
    return paused + " " + why if why else paused
