"""Jobs: list, read, and their events."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select

from imagegen.api.v1 import rows
from imagegen.api.v1.openapi import Answers, NoContent, Tags, operation
from imagegen.api.v1.requests import EventsHeaders, EventsQuery, JobsQuery
from imagegen.api.v1.schemas import Job, JobEvent, JobList
from imagegen.models import Job as JobRow
from imagegen.models.states import JobStatus
from imagegen.services import jobs
from imagegen.web import access, verbs
from imagegen.web.auth import identity
from imagegen.web.sse import Stream, open_stream
from imagegen.web.verbs import Verb

blueprint = Blueprint("api-jobs", __name__)


@blueprint.get("/jobs")
@access.viewing
@operation(Tags.JOBS, "listJobs", Answers(JobList, "A page of jobs.", problems=(422,)))
def index(query: JobsQuery) -> JobList:
    """List the organisation's jobs, newest first."""
    page = jobs.list_jobs(status=query.status, cursor=query.cursor, limit=query.limit)
    found: dict[str, Any] = {"items": rows.job_list(page.items), "next_cursor": page.next_cursor}
    if query.count == "1":
        found["total"] = rows.capped(_all(query.status))
    return JobList(**found)


def _all(status: JobStatus | None) -> Select[Any]:
    query = select(JobRow.id)
    return query if status is None else query.where(JobRow.status == status)


@blueprint.get("/jobs/<job_id>")
@access.viewing
@operation(Tags.JOBS, "readJob", Answers(Job, "The job.", problems=(404,)))
def read(job_id: str) -> Job:
    """Read one job with its shots and pictures."""
    return rows.job(jobs.get_job(job_id))


def _add(verb: Verb) -> None:
    def act(job_id: str) -> Job:
        verb.act(job_id)
        return rows.job(jobs.get_job(job_id))

    act.__doc__ = verb.summary
    described = operation(Tags.JOBS, f"{verb.name}Job", Answers(Job, "The job as it is now.", problems=verb.problems))
    blueprint.post(f"/jobs/<job_id>/{verb.name}", endpoint=verb.name)(verb.access(described(act)))


for _verb in verbs.CHANGES:
    _add(_verb)


@blueprint.delete("/jobs/<job_id>")
@verbs.DELETE.access
@operation(Tags.JOBS, "deleteJob", NoContent("Deleted.", problems=verbs.DELETE.problems))
def delete(job_id: str) -> ResponseReturnValue:
    """Delete a job that has ended. Its pictures stay in the library, its cost in the books."""
    verbs.DELETE.act(job_id)
    return "", 204


@blueprint.get("/jobs/<job_id>/events")
@access.viewing
@operation(
    Tags.JOBS,
    "streamJobEvents",
    Answers(
        JobEvent,
        "Server-sent events. Each carries one event as JSON in `data` and its number as `id`. After the job's last "
        "event comes one named `bye`, and the stream ends; lines that begin with a colon only keep it open.",
        content_types=("text/event-stream",),
        problems=(404, 422, 429),
    ),
)
def events(job_id: str, query: EventsQuery, headers: EventsHeaders) -> ResponseReturnValue:
    """Follow a job as it happens.

    The stream begins with all that has happened since `after`. A client that was cut off says in Last-Event-ID (or in
    `after`) which event it saw last, and misses none.
    """
    who = identity()
    listener = Stream(
        organisation_id=who.organisation.id,
        user_id=who.user.id,
        format="json",
        job_id=jobs.get_job(job_id).id,
        session_id=who.session.id if who.session else None,
    )
    resumed = headers.last_event_id
    return open_stream(listener, after=query.after if resumed is None else resumed)
