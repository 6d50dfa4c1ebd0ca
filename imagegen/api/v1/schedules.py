"""Schedules: pictures to be made later, once or again and again."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue

from imagegen.api.v1.openapi import BODY, DELETED, Answers, Tags, operation
from imagegen.api.v1.requests import PageQuery
from imagegen.api.v1.schedule_schemas import Schedule, ScheduleBody, ScheduleList, SchedulePatch, ScheduleRun
from imagegen.models import Schedule as ScheduleRow
from imagegen.models import ScheduleRun as RunRow
from imagegen.services import schedules
from imagegen.services.schedules import When
from imagegen.web import access
from imagegen.web.auth import identity
from imagegen.web.language import said

blueprint = Blueprint("api-schedules", __name__)

_TIMES = frozenset({"at", "cron", "ends_at", "max_runs"})


@blueprint.get("/schedules")
@access.viewing
@operation(Tags.SCHEDULES, "listSchedules", Answers(ScheduleList, "A page of schedules.", problems=(422,)))
def index(query: PageQuery) -> ScheduleList:
    """List the organisation's schedules, newest first."""
    page = schedules.list_schedules(cursor=query.cursor, limit=query.limit)
    return ScheduleList(items=_written(page.items), next_cursor=page.next_cursor)


@blueprint.post("/schedules")
@access.creating
@operation(
    Tags.SCHEDULES,
    "createSchedule",
    Answers(
        Schedule, "The schedule.", status=201, headers={"Location": "Path of the schedule."}, problems=(*BODY, 503)
    ),
)
def create(json: ScheduleBody) -> tuple[Schedule, int, dict[str, str]]:
    """Have pictures made later, in your name and at the prices and limits of then."""
    who = identity()
    made = schedules.create(
        organisation_id=who.organisation.id,
        user_id=who.user.id,
        request=json.request,
        when=_when(json),
        name=json.name,
        missed=json.missed,
    )
    return _one(made.public_id), 201, {"Location": url_for("api-schedules.read", schedule_id=made.public_id)}


@blueprint.get("/schedules/<schedule_id>")
@access.viewing
@operation(Tags.SCHEDULES, "readSchedule", Answers(Schedule, "The schedule.", problems=(404,)))
def read(schedule_id: str) -> Schedule:
    """Read one schedule with its newest runs."""
    return _one(schedule_id)


@blueprint.patch("/schedules/<schedule_id>")
@access.creating
@operation(
    Tags.SCHEDULES, "changeSchedule", Answers(Schedule, "The schedule as it is now.", problems=(*BODY, 404, 503))
)
def change(schedule_id: str, json: SchedulePatch) -> Schedule:
    """Change a schedule, let it rest, or let it go on.

    Whoever changes what it makes, or when, has it made in their name from then on.
    """
    schedules.change(
        public_id=schedule_id,
        user_id=identity().user.id,
        request=json.request,
        when=_when(json) if json.model_fields_set & _TIMES else None,
        name=json.name,
        missed=json.missed,
        paused=json.paused,
    )
    return _one(schedule_id)


@blueprint.delete("/schedules/<schedule_id>")
@access.creating
@operation(Tags.SCHEDULES, "deleteSchedule", DELETED)
def delete(schedule_id: str) -> ResponseReturnValue:
    """Delete a schedule. Jobs that it has begun stay."""
    schedules.delete(public_id=schedule_id)
    return "", 204


def _when(asked: ScheduleBody | SchedulePatch) -> When:
    return When(at=asked.at, cron=asked.cron, ends_at=asked.ends_at, max_runs=asked.max_runs)


def _one(public_id: str) -> Schedule:
    return _written([schedules.get_schedule(public_id)])[0]


def _written(rows: Sequence[ScheduleRow]) -> list[Schedule]:
    """Return schedules as the API says them: one query for the runs of all."""
    runs = schedules.recent_runs(rows)
    return [
        Schedule(
            id=row.public_id,
            name=row.name,
            person=row.user.name,
            request=row.request,
            cron=row.cron,
            time_zone=row.time_zone,
            missed=row.missed,
            next_at=row.next_at,
            last_at=row.last_at,
            ends_at=row.ends_at,
            max_runs=row.max_runs,
            runs=row.runs,
            paused=row.paused_at is not None,
            paused_because=said(row.paused_because) if row.paused_because else None,
            recent_runs=[_run(run) for run in runs[row.id]],
            created_at=row.created_at,
        )
        for row in rows
    ]


def _run(row: RunRow) -> ScheduleRun:
    return ScheduleRun(
        slot_at=row.slot_at,
        status=row.status,
        missed=row.missed,
        job_id=row.job.public_id if row.job else None,
        error=said(row.error) if row.error else None,
    )
