"""Bringing pictures: one file per request, so that each has its own progress, "again" and sentence."""

from __future__ import annotations

from flask import Blueprint, make_response, render_template
from flask.typing import ResponseReturnValue

from imagegen.core.errors import StudioError
from imagegen.services import library, uploads
from imagegen.web import access, contexts, incoming
from imagegen.web.auth import identity
from imagegen.web.htmx import lead_to, wants_partial
from imagegen.web.language import said

blueprint = Blueprint("uploads", __name__, url_prefix="/library")


@blueprint.post("/upload")
@access.creating
@incoming.takes_file
def upload() -> ResponseReturnValue:
    """Put the one file into the library: as a partial its tile, or why not; else the way to the picture."""
    try:
        taken = _take()
    except StudioError as error:
        if not wants_partial():
            raise
        return _refused(error)
    if not wants_partial():
        return lead_to(f"{blueprint.url_prefix}/{taken.image.public_id}")
    image = library.get_image(taken.image.public_id)
    tile = contexts.image(image) | {"ratio": image.width / image.height}
    return make_response(
        render_template("library/_uploaded.html", image=tile, earlier=taken.earlier), 200 if taken.earlier else 201
    )


def _take() -> uploads.Upload:
    who, file = identity(), incoming.the_file()
    return uploads.take(organisation_id=who.organisation.id, user_id=who.user.id, path=file.path, name=file.name)


def _refused(error: StudioError) -> ResponseReturnValue:
    retry_after = getattr(error, "retry_after", None)
    response = make_response(
        render_template(
            "library/_refused.html",
            error={"sentence": said(error.message), "advice": said(error.advice or "")},
            again=error.status >= 429,
        ),
        error.status,
    )
    if retry_after:
        response.headers["Retry-After"] = str(int(retry_after))
    return response
