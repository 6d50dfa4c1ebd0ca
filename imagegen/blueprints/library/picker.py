"""The dialog in which a picture is chosen, wherever one is needed: upload, generate, or the library itself.

Opened by `static/js/picker.js`; without JavaScript the button that opens it is not offered.
"""

from __future__ import annotations

from typing import Any

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, gettext, ngettext

from imagegen.blueprints.library import contexts, forms, sieve
from imagegen.blueprints.library.blueprint import blueprint
from imagegen.services import library
from imagegen.services.library import Wish, usage
from imagegen.web import access
from imagegen.web import contexts as shared
from imagegen.web.contexts import Context

_COLUMNS = (*library.GRID_COLUMNS, library.LOOKS_LIKE_EARLIER)


@blueprint.get("/picker")
@access.viewing
def picker() -> ResponseReturnValue:
    """Draw the dialog's inside, with the newest pictures in it."""
    wish = forms.wish(request.args)
    return render_template(
        "library/_picker.html", picker=_pictures(wish, None), sieve=sieve.context(wish, whole=True)
    )


@blueprint.get("/picker/pictures")
@access.viewing
def picker_pictures() -> ResponseReturnValue:
    """Draw the pictures that the dialog's search finds, or those that come next."""
    wish = forms.wish(request.args)
    return render_template(
        "library/_picker_pictures.html",
        picker=_pictures(wish, request.args.get("cursor"), alone="alone" in request.args),
    )


@blueprint.get("/picker/<image_id>")
@access.viewing
def picked(image_id: str) -> ResponseReturnValue:
    """Draw what there is to know of a picture before it is used: where it is already, and what looks like it."""
    image = library.get_image(image_id)
    alike = [contexts.image(row) | {"usage": _usage(row)} for row in library.near_duplicates(image, limit=4)]
    uses = usage.where_used([image.id]).get(image.id, [])
    return render_template(
        "library/_picked.html",
        image=contexts.image(image),
        usage=_usage(image),
        users=[use.found.label for use in uses if use.found is not None],
        alike=alike,
    )


def _pictures(wish: Wish, cursor: str | None, *, alone: bool = False) -> Context:
    listed = library.list_images(wish, cursor=cursor, columns=_COLUMNS)
    nothing = not listed.items and (alone or cursor is None)
    more = forms.address_of(wish, cursor=listed.next_cursor, alone="1" if nothing else None)
    return {
        "images": [contexts.tile(row, wish) | {"usage": _usage(row), "near": row.near} for row in listed.items],
        "next_url": url_for("library.picker_pictures", **more) if listed.next_cursor else None,
        "empty": nothing and not listed.next_cursor,
    }


def _usage(row: Any) -> str:
    """Return how often and when last a picture was used, in a few words; nothing for one that never was."""
    if not row.usage_count:
        return ""
    times = ngettext("used once", "used %(n)s times", row.usage_count, n=format_decimal(row.usage_count))
    if row.last_used_at is None:
        return times
    return gettext("%(times)s, last %(when)s", times=times, when=shared.ago(row.last_used_at))
