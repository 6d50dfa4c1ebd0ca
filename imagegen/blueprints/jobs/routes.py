"""Jobs: the list, one job, what can be done to it, and the stream of what happens."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from imagegen.blueprints.jobs import contexts
from imagegen.blueprints.jobs.again import same_again
from imagegen.blueprints.jobs.contexts import Sieve
from imagegen.core.errors import Conflict, StudioError
from imagegen.core.ids import is_id
from imagegen.core.text import N_
from imagegen.engine import control, dispatch
from imagegen.engine.control import Resolution
from imagegen.services import job_search, jobs
from imagegen.web import access, job_rows, live, verbs
from imagegen.web import contexts as shared
from imagegen.web.auth import identity
from imagegen.web.htmx import lead_to, wants_partial
from imagegen.web.htmx import page as render
from imagegen.web.sse import Stream, open_stream
from imagegen.web.verbs import Verb

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")


@blueprint.get("")
@access.viewing
def index() -> ResponseReturnValue:
    """List jobs; as a partial what a search found, or with `cursor` the lines that follow."""
    sieve = Sieve.read(request.args)
    cursor = request.args.get("cursor")
    found = contexts.found(job_search.search(sieve.wanted(), cursor=cursor), sieve)
    if wants_partial():
        response = make_response(render_template("jobs/_rows.html" if cursor else "jobs/_found.html", **found))
        if not cursor:
            response.headers["HX-Replace-Url"] = sieve.href()
        response.vary.add("HX-Request-Type")
        return response
    return render(
        "jobs/page.html",
        **found,
        **contexts.choices(sieve),
        stream_url=url_for("jobs.stream", list=sieve.values["whose"]),
    )


@blueprint.get("/<job_id>")
@access.viewing
def detail(job_id: str) -> ResponseReturnValue:
    """Show one job; as a partial all of its pieces as they are now, or its line in the list (`view=list`)."""
    job = jobs.get_job(job_id)
    ring = shared.jobs_ring(user_id=identity().user.id)
    if wants_partial() and request.args.get("view") == "list":
        return render_template("jobs/_line.html", job=job_rows.rows([job])[0], jobs=ring)
    view = jobs.view([job], with_attempts=True)[0]
    return render(
        "jobs/detail.html",
        "jobs/_live.html",
        **contexts.detail(view),
        jobs=ring,
        stream_url=url_for("jobs.stream", jobs=job.public_id),
    )


def _add(verb: Verb) -> None:
    def act(job_id: str) -> ResponseReturnValue:
        verb.act(job_id)
        return lead_to(url_for("jobs.index")) if verb is verbs.DELETE else _done(job_id)

    act.__doc__ = verb.summary
    blueprint.post(f"/<job_id>/{verb.name}", endpoint=verb.name)(verb.access(act))


for _verb in verbs.VERBS:
    _add(_verb)


@blueprint.post("/<job_id>/again")
@access.creating
def again(job_id: str) -> ResponseReturnValue:
    """Ask for the same again, and lead to the new job. `key` makes one job of a double click."""
    who, key = identity(), request.form.get("key", "")
    made = dispatch.submit(
        organisation_id=who.organisation.id,
        user_id=who.user.id,
        request=same_again(jobs.get_job(job_id)),
        idempotency_key=key if is_id(key) else None,
    )
    return lead_to(url_for("jobs.detail", job_id=made.public_id))


@blueprint.post("/all/cancel")
@access.creating
def cancel_all() -> ResponseReturnValue:
    """Cancel all of the person's jobs that are not finished."""
    for job_id in job_search.unfinished_of(identity().user.id):
        with suppress(Conflict):  # it ended meanwhile
            control.cancel(job_id)
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
    """Stream pieces of pages: of the person's jobs, of one job (`jobs=<id>`), a list (`list=…`), the library."""
    who = identity()
    listener = Stream(
        organisation_id=who.organisation.id,
        user_id=who.user.id,
        page=_listening_page(),
        language=str(get_locale() or "en"),
        session_id=who.session.id if who.session else None,
    )
    return open_stream(listener, after=_resume_at())


def _listening_page() -> live.Page:
    if job_id := request.args.get("jobs"):
        return live.Page(live.View.JOB, job_id=jobs.get_job(job_id).id)
    if whose := request.args.get("list"):
        return live.Page(live.View.LIST, mine=whose == "mine")
    return live.Page(live.View.LIBRARY) if "library" in request.args else live.FEED


def _resume_at() -> int:
    """Return the last event that the page has: the browser's word on a reconnection, else the page's own."""
    text = request.headers.get("Last-Event-ID") or request.args.get("after") or ""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    return jobs.latest_seq(identity().organisation.id)
