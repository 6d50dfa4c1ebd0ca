"""Schedules: what people do with work that is to begin later, once or again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from imagegen.core.errors import NotFound, StudioError
from imagegen.core.ids import is_id
from imagegen.core.text import N_, one_line
from imagegen.extensions import db
from imagegen.models import Organisation, Schedule, ScheduleRun, UnitOfWork, writes
from imagegen.models.columns import db_now
from imagegen.models.schedules import Missed
from imagegen.services import ceilings, generation, slots
from imagegen.services.generation import GenerationRequest
from imagegen.services.library import Page, decode_cursor, encode_cursor

MOST_RUNS = 100_000
PAGE = 20
RECENT = 10
LONGEST_NAME = 120
_DERIVED_NAME = 60


@dataclass(frozen=True)
class When:
    """When a schedule runs: `at` a time, or by `cron`, until `ends_at` or `max_runs` jobs.

    Times without a zone of their own are the organisation's local ones.
    """

    at: datetime | None = None
    cron: str | None = None
    ends_at: datetime | None = None
    max_runs: int | None = None


@dataclass(frozen=True)
class _Times:
    """A `When` that was read: everything in UTC, the next time found."""

    cron: str | None
    time_zone: str
    next_at: datetime
    ends_at: datetime | None
    max_runs: int | None


def create(
    *,
    organisation_id: int,
    user_id: int,
    request: GenerationRequest,
    when: When,
    name: str = "",
    missed: Missed = Missed.RUN_ONCE,
) -> Schedule:
    """Plan `request` for later and return the schedule.

    Raises StudioError, with a sentence and the field, for a request that cannot be made as things stand, a time that
    is past or beyond five years, and a repetition that is none or comes too often.
    """
    generation.plan(request)
    return _create(
        organisation_id=organisation_id,
        user_id=user_id,
        request=request,
        when=when,
        name=one_line(name, LONGEST_NAME) or one_line(request.prompt, _DERIVED_NAME),
        missed=missed,
    )


@writes
def _create(
    uow: UnitOfWork,
    *,
    organisation_id: int,
    user_id: int,
    request: GenerationRequest,
    when: When,
    name: str,
    missed: Missed,
) -> Schedule:
    to_come = Schedule.next_at.is_not(None)
    ceilings.check(uow, Schedule, organisation_id=organisation_id, where=to_come)
    times = _read(uow, when, organisation_id=organisation_id)
    schedule = Schedule(
        organisation_id=organisation_id,
        user_id=user_id,
        name=name,
        request=_stored(request),
        missed=missed,
        runs=0,
        **vars(times),
    )
    uow.add(schedule)
    uow.flush()
    return schedule


def _stored(request: GenerationRequest) -> dict[str, Any]:
    return request.model_dump(mode="json", exclude_none=True)


def change(
    *,
    public_id: str,
    user_id: int,
    request: GenerationRequest | None = None,
    when: When | None = None,
    name: str | None = None,
    missed: Missed | None = None,
    paused: bool | None = None,
) -> Schedule:
    """Change what is given, and return the schedule as it is now; raises NotFound and what `create` raises.

    Whoever changes what is made, or when, answers for it from then on: it is made in their name. Going on after a
    pause begins with the next time to come, and forgives earlier failures.
    """
    if request is not None:
        generation.plan(request)
    return _change(
        public_id=public_id,
        user_id=user_id,
        request=request,
        when=when,
        name=name,
        missed=missed,
        paused=paused,
    )


@writes
def _change(
    uow: UnitOfWork,
    *,
    public_id: str,
    user_id: int,
    request: GenerationRequest | None,
    when: When | None,
    name: str | None,
    missed: Missed | None,
    paused: bool | None,
) -> Schedule:
    schedule = _locked(uow, public_id)
    if request is not None or when is not None:
        schedule.user_id = user_id
    if request is not None:
        schedule.request = _stored(request)
    if when is not None:
        _set_times(uow, schedule, when)
    if name is not None:
        schedule.name = one_line(name, LONGEST_NAME) or schedule.name
    if missed is not None:
        schedule.missed = missed
    if paused is not None and paused != (schedule.paused_at is not None):
        _pause(uow, schedule) if paused else _resume(uow, schedule)
    uow.flush()
    return schedule


def _set_times(uow: UnitOfWork, schedule: Schedule, when: When) -> None:
    times = _read(uow, when, organisation_id=schedule.organisation_id, runs=schedule.runs)
    for name, value in vars(times).items():
        setattr(schedule, name, value)


def _pause(uow: UnitOfWork, schedule: Schedule) -> None:
    schedule.paused_at, schedule.paused_because = database_time(uow), None


def _resume(uow: UnitOfWork, schedule: Schedule) -> None:
    now = database_time(uow)
    schedule.paused_at, schedule.paused_because, schedule.resumed_at = None, None, now
    if schedule.next_at is not None and schedule.next_at <= now:
        # What its times were while it was paused were not to be.
        schedule.next_at = following(schedule, now)


def following(schedule: Schedule, moment: datetime) -> datetime | None:
    """Return the schedule's first time after `moment`; None if it has run often enough, or its end is reached."""
    if schedule.cron is None or (schedule.max_runs is not None and schedule.runs >= schedule.max_runs):
        return None
    found = slots.next_after(moment, cron=schedule.cron, zone=schedule.time_zone)
    over = found is not None and schedule.ends_at is not None and found > schedule.ends_at
    return None if over else found


def _read(uow: UnitOfWork, when: When, *, organisation_id: int, runs: int = 0) -> _Times:
    if (when.at is None) == (when.cron is None):
        raise StudioError(N_("Say when: at one time, or again and again, and not both."), field="at")
    if when.max_runs is not None and not runs < when.max_runs <= MOST_RUNS:
        raise StudioError(
            N_("Choose a number of runs from {least} to {most}.").format(least=runs + 1, most=MOST_RUNS),
            field="max_runs",
        )
    now = database_time(uow)
    zone = uow.scalars(select(Organisation.time_zone).where(Organisation.id == organisation_id)).one()
    ends_at = None if when.ends_at is None else slots.read_moment(when.ends_at, zone=zone, now=now, field="ends_at")
    if when.at is not None:
        if ends_at is not None or when.max_runs is not None:
            raise StudioError(N_("What runs once needs no end."), field="ends_at" if ends_at else "max_runs")
        return _Times(None, zone, slots.read_moment(when.at, zone=zone, now=now, field="at"), None, None)
    cron = slots.read_cron(when.cron or "")
    first = slots.next_after(now, cron=cron, zone=zone)
    if first is None:
        raise StudioError(N_("There is no such day in the years to come."), field="cron")
    if ends_at is not None and ends_at < first:
        raise StudioError(N_("It would end before it runs for the first time."), field="ends_at")
    return _Times(cron, zone, first, ends_at, when.max_runs)


def database_time(uow: UnitOfWork) -> datetime:
    """Return what the database's clock says: the one clock by which schedules run."""
    return uow.scalars(select(db_now())).one()


@writes
def delete(uow: UnitOfWork, *, public_id: str) -> None:
    """Delete a schedule with its record of runs; its jobs stay. Raises NotFound."""
    uow.delete(_locked(uow, public_id))


def _locked(uow: UnitOfWork, public_id: str) -> Schedule:
    query = select(Schedule).where(Schedule.public_id == public_id).with_for_update()
    schedule = uow.scalar(query) if is_id(public_id) else None
    if schedule is None:
        raise _not_found()
    return schedule


def _not_found() -> NotFound:
    return NotFound(N_("There is no such schedule."))


def get_schedule(public_id: str) -> Schedule:
    """Return one schedule of the organisation in scope; raises NotFound."""
    query = select(Schedule).options(joinedload(Schedule.user)).where(Schedule.public_id == public_id)
    schedule = db.session.scalar(query) if is_id(public_id) else None
    if schedule is None:
        raise _not_found()
    return schedule


def list_schedules(*, cursor: str | None = None, limit: int = PAGE) -> Page:
    """Return a page of the organisation's schedules, newest first, those that are over included."""
    query = select(Schedule).options(joinedload(Schedule.user))
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(Schedule.id < after)
    rows = db.session.scalars(query.order_by(Schedule.id.desc()).limit(limit + 1)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, encode_cursor(rows[-1].id) if more else None)


def recent_runs(schedules: Sequence[Schedule], *, each: int = RECENT) -> dict[int, list[ScheduleRun]]:
    """Return the newest runs of each of these schedules, with their jobs, by the schedule's `id`."""
    number = func.row_number().over(partition_by=ScheduleRun.schedule_id, order_by=ScheduleRun.slot_at.desc())
    ids = [schedule.id for schedule in schedules]
    numbered = select(ScheduleRun.id, number.label("number")).where(ScheduleRun.schedule_id.in_(ids)).subquery()
    newest = select(ScheduleRun).join(numbered, numbered.c.id == ScheduleRun.id).where(numbered.c.number <= each)
    found: dict[int, list[ScheduleRun]] = {schedule_id: [] for schedule_id in ids}
    for run in db.session.scalars(newest.options(selectinload(ScheduleRun.job)).order_by(ScheduleRun.slot_at.desc())):
        found[run.schedule_id].append(run)
    return found
