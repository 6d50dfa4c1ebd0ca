"""Jobs: the list, one job, and the stream of what happens."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from imagegen.blueprints.jobs import contexts
from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.engine import control
from imagegen.engine.control import Resolution
from imagegen.models.states import JobStatus
from imagegen.services import jobs
from imagegen.web import access
from imagegen.web import contexts as shared
from imagegen.web.auth import identity
from imagegen.web.htmx import lead_to, wants_partial
from imagegen.web.htmx import page as render
from imagegen.web.sse import Stream, open_stream

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")


@blueprint.get("")
@access.viewing
def index() -> ResponseReturnValue:
    """List the person's jobs."""
    status = _status(request.args.get("status"))
    listed = jobs.list_jobs(user_id=identity().user.id, status=status, cursor=request.args.get("cursor"), limit=20)
    return render(
        "jobs/page.html",
        "jobs/_rows.html",
        filters=contexts.filters(status),
        rows=contexts.rows(listed, status=status),
        filtered=status is not None,
    )


def _status(text: str | None) -> JobStatus | None:
    if not text:
        return None
    try:
        return JobStatus(text)
    except ValueError:
        raise StudioError(N_("There is no such filter."), field="status") from None


@blueprint.get("/<job_id>")
@access.viewing
def detail(job_id: str) -> ResponseReturnValue:
    """Show one job; as a partial, all of its pieces as they are now."""
    job = jobs.get_job(job_id)
    view = jobs.view([job], with_attempts=True)[0]
    return render(
        "jobs/detail.html",
        "jobs/_live.html",
        job=contexts.detail(view),
        facts=contexts.facts(job),
        error=None,
        jobs=shared.jobs_ring(user_id=identity().user.id),
    )


@blueprint.post("/<job_id>/cancel")
@access.creating
def cancel(job_id: str) -> ResponseReturnValue:
    """End what has not begun."""
    control.cancel(job_id)
    return _done(job_id)


@blueprint.post("/<job_id>/retry")
@access.creating
def retry(job_id: str) -> ResponseReturnValue:
    """Ask again for what failed."""
    control.retry(job_id)
    return _done(job_id)


@blueprint.post("/<job_id>/pause")
@access.creating
def pause(job_id: str) -> ResponseReturnValue:
    """Begin nothing more of the job for now."""
    control.pause(job_id)
    return _done(job_id)


@blueprint.post("/<job_id>/resume")
@access.creating
def resume(job_id: str) -> ResponseReturnValue:
    """Go on with a paused job."""
    control.resume(job_id)
    return _done(job_id)


@blueprint.post("/<job_id>/front")
@access.creating
def to_the_front(job_id: str) -> ResponseReturnValue:
    """Let the job come before the organisation's others."""
    control.to_the_front(job_id)
    return _done(job_id)


@blueprint.post("/<job_id>/delete")
@access.creating
def delete(job_id: str) -> ResponseReturnValue:
    """Forget a job that has ended; its pictures stay."""
    control.delete(job_id)
    return lead_to(url_for("jobs.index"))


@blueprint.post("/<job_id>/shots/<shot_id>/resolve")
@access.creating
def resolve(job_id: str, shot_id: str) -> ResponseReturnValue:
    """Clear up a call whose fate the studio does not know."""
    try:
        resolution = Resolution(request.form.get("resolution", ""))
    except ValueError:
        raise StudioError(N_("Say whether it was billed."), field="resolution") from None
    control.resolve(shot_id=shot_id, resolution=resolution)
    return _done(job_id)


def _done(job_id: str) -> ResponseReturnValue:
    """Lead to the job; a page that listens hears of the change by its stream, and needs nothing."""
    return ("", 204) if wants_partial() else redirect(url_for("jobs.detail", job_id=job_id), 303)


@blueprint.get("/stream")
@access.viewing
def stream() -> ResponseReturnValue:
    """Stream what happens to the person's jobs, or to one job (`jobs=<id>`), as pieces of pages."""
    who = identity()
    narrowed = request.args.get("jobs")
    listener = Stream(
        organisation_id=who.organisation.id,
        user_id=who.user.id,
        job_id=jobs.get_job(narrowed).id if narrowed else None,
        language=str(get_locale() or "en"),
        session_id=who.session.id if who.session else None,
    )
    return open_stream(listener, after=_resume_at())


def _resume_at() -> int:
    """Return the last event that the page has: the browser's word on a reconnection, else the page's own."""
    text = request.headers.get("Last-Event-ID") or request.args.get("after") or ""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    return jobs.latest_seq(identity().organisation.id)
