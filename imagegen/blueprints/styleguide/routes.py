"""The living style page: each part of a page once, in every state. Only where FLASK_DEBUG is set, and in tests."""

from __future__ import annotations

from flask import Blueprint, abort, current_app
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from imagegen.core.errors import ADVICE, ErrorKind
from imagegen.models.states import ShotStatus
from imagegen.services import library
from imagegen.web import access, contexts
from imagegen.web.contexts import Context
from imagegen.web.htmx import page as render
from imagegen.web.language import said

blueprint = Blueprint("styleguide", __name__)

_SHOWN = 6


@blueprint.get("/styleguide")
@access.viewing
def page() -> ResponseReturnValue:
    """Show it, with the newest pictures of the library in it."""
    if not (current_app.debug or current_app.testing):
        abort(404)
    images = [
        contexts.image(row) | {"ratio": row.width / row.height} for row in library.list_images(limit=_SHOWN).items
    ]
    return render(
        "styleguide/page.html",
        images=images,
        shots=[_shot(number, status, images) for number, status in enumerate(ShotStatus, 1)],
    )


def _shot(number: int, status: ShotStatus, images: list[Context]) -> Context:
    """Return a tile in `status`, as no real job would show all of them at once."""
    delivered = images[0] if images and status == ShotStatus.SUCCEEDED else None
    kind = {ShotStatus.REFUSED: ErrorKind.REFUSED, ShotStatus.UNKNOWN: ErrorKind.UNKNOWN}.get(
        status, ErrorKind.UNAVAILABLE
    )
    badly = status in (ShotStatus.FAILED, ShotStatus.REFUSED, ShotStatus.UNKNOWN)
    return {
        "id": f"specimen-{status}",
        "number": number,
        "total": len(ShotStatus),
        "state": status,
        "width": 1080,
        "height": 1350,
        "ratio": 0.8,
        "place": 3 if status == ShotStatus.WAITING else None,
        "step": "",
        "percent": None,
        "partial": None,
        "image": delivered,
        "took": contexts.seconds(13.2),
        "cost": contexts.price(41_000),
        "served_by": "",
        "error": {"kind": kind, "sentence": gettext("What happened, in a sentence."), "advice": said(ADVICE[kind])}
        if badly
        else None,
        "may_organise": True,
        "retry_url": None,
        "again_url": None,
        "resolve_url": None,
    }
