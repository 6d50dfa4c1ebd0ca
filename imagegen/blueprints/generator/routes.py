"""Create: the composer and the feed."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from werkzeug.datastructures import MultiDict

from imagegen.blueprints.generator import contexts, forms
from imagegen.blueprints.generator import earlier as found
from imagegen.core.errors import ADVICE, StudioError
from imagegen.core.ids import is_id
from imagegen.engine import dispatch
from imagegen.models import Job
from imagegen.services import jobs, library
from imagegen.services.rights import Right
from imagegen.web import access, readers, validation
from imagegen.web import contexts as shared
from imagegen.web.auth import identity
from imagegen.web.errors import told_to_wait
from imagegen.web.htmx import page as render
from imagegen.web.htmx import wants_partial
from imagegen.web.language import said

blueprint = Blueprint("generator", __name__)


@blueprint.get("/")
@access.viewing
def home() -> ResponseReturnValue:
    """Lead to the place where one begins: who makes nothing looks at what there is."""
    return redirect(url_for("generator.page" if readers.may(Right.CREATE) else "library.index"))


@blueprint.get("/generate")
@access.viewing
def page() -> ResponseReturnValue:
    """Show the composer and the feed; `again=<job>` and `like=<picture>` fill the form in, with `recall` in part."""
    return _page(contexts.composer(_prefilled()))


def _page(composer: dict[str, Any], status: int = 200) -> ResponseReturnValue:
    listed = jobs.list_jobs(user_id=identity().user.id)
    first = None if listed.items else contexts.first_use()
    return render("generator/page.html", status=status, composer=composer, feed=shared.feed(listed), first=first)


def _prefilled() -> MultiDict[str, str]:
    if again := request.args.get("again"):
        return contexts.form_of_job(jobs.get_job(again))
    if like := request.args.get("like"):
        image = library.get_image(like)
        return contexts.form_like_image(image, library.origin_of(image).job, recall=request.args.get("recall", ""))
    return MultiDict(request.args)


@blueprint.post("/generate")
@access.creating
def create() -> ResponseReturnValue:
    """Make the job; answer with its place in the feed, or lead to its page without JavaScript."""
    key = request.form.get("idempotency_key", "")
    try:
        job = dispatch.submit(
            organisation_id=identity().organisation.id,
            user_id=identity().user.id,
            request=forms.read(request.form),
            most_new=forms.most_new(request.form),
            idempotency_key=key if is_id(key) else None,
        )
    except ValidationError as error:
        return _refused([_of_field(problem) for problem in validation.problems(error)])
    except StudioError as error:
        text = said(error.message)
        if error.status >= 500:
            text += " " + said(ADVICE[error.kind])
        refused = make_response(_refused([{"text": text, "field": error.field}], error.status))
        refused.headers.update(told_to_wait(error))
        return refused
    return _made(job)


def _of_field(problem: dict[str, str | None]) -> dict[str, Any]:
    field = problem["field"]
    return {"text": problem["message"], "field": field.split(".")[0] if field else None}


def _made(job: Job) -> ResponseReturnValue:
    if not wants_partial():
        return redirect(url_for("jobs.detail", job_id=job.public_id), 303)
    view = jobs.view([jobs.get_job(job.public_id)])[0]
    pieces = (
        render_template("generator/_job.html", job=shared.job(view)),
        render_template("shared/_jobs_ring.html", jobs=shared.jobs_ring(user_id=identity().user.id), oob=True),
        render_template("generator/_message.html", composer={"errors": []}, oob=True),
    )
    return "\n".join(pieces)


def _refused(errors: list[dict[str, Any]], status: int = 422) -> ResponseReturnValue:
    if not wants_partial():
        return _page(contexts.composer(request.form, errors=errors), status)
    return make_response(render_template("generator/_message.html", composer={"errors": errors}, oob=True), status)


@blueprint.get("/generate/form")
@access.viewing
def form() -> ResponseReturnValue:
    """Draw the choices anew for another model."""
    composer = contexts.composer(MultiDict(request.args))
    pieces = (
        render_template("generator/_choices.html", composer=composer),
        render_template("generator/_counter.html", composer=composer, oob=True),
        render_template("generator/_estimate.html", composer=composer, oob=True),
    )
    return "\n".join(pieces)


@blueprint.get("/generate/estimate")
@access.viewing
def estimate() -> ResponseReturnValue:
    """Draw the button with its price."""
    return render_template(
        "generator/_estimate.html", composer={"estimate": contexts.estimate(MultiDict(request.args))}
    )


@blueprint.post("/generate/earlier")
@access.viewing
def earlier() -> ResponseReturnValue:
    """Draw what is there already of what is being written. Sent as a form, for a prompt may be too long for a URL."""
    composer = found.context(request.form)
    pieces = (
        render_template("generator/_reuse.html", composer=composer),
        render_template("generator/_similar.html", composer=composer, oob=True),
    )
    return "\n".join(pieces)


@blueprint.get("/generate/feed")
@access.viewing
def feed() -> ResponseReturnValue:
    """Draw older jobs."""
    listed = jobs.list_jobs(user_id=identity().user.id, cursor=request.args.get("before"))
    return render_template("generator/_feed.html", feed=shared.feed(listed))
