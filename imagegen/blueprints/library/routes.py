"""The library: grid, one picture, star."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from imagegen.blueprints.library import contexts
from imagegen.services import library
from imagegen.web import access
from imagegen.web.htmx import page as render
from imagegen.web.htmx import wants_partial

blueprint = Blueprint("library", __name__, url_prefix="/library")


@blueprint.get("")
@access.viewing
def index() -> ResponseReturnValue:
    """Show the newest pictures."""
    current = request.args.get("filter") or "all"
    q = request.args.get("q", "")
    listed = library.list_images(library.Wish(filter=current, q=q), cursor=request.args.get("cursor"))
    return render(
        "library/page.html",
        filters=contexts.filters(current, q=q),
        search={"q": q, "href": url_for("library.index"), "label": gettext("Search your pictures")},
        grid=contexts.grid(listed, filter=current, q=q, after=None),
        filtered=current != "all" or bool(q),
    )


@blueprint.get("/grid")
@access.viewing
def grid() -> ResponseReturnValue:
    """Draw the next pictures."""
    current = request.args.get("filter") or "all"
    q = request.args.get("q", "")
    listed = library.list_images(library.Wish(filter=current, q=q), cursor=request.args.get("cursor"))
    return render_template("library/_grid.html", grid=contexts.grid(listed, filter=current, q=q, after=_day()))


def _day() -> date | None:
    try:
        return date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        return None


@blueprint.get("/<image_id>")
@access.viewing
def detail(image_id: str) -> ResponseReturnValue:
    """Show one picture; as a partial, its facts."""
    return render("library/detail.html", "library/_facts.html", **contexts.detail(library.get_image(image_id)))


@blueprint.post("/<image_id>/star")
@access.organising
def star(image_id: str) -> ResponseReturnValue:
    """Keep a picture in sight, or not any more."""
    on = not library.get_image(image_id).favourite
    library.star(public_id=image_id, on=on)
    if wants_partial():
        return render_template("library/_star.html", image={"id": image_id, "starred": on}, oob=True)
    return redirect(url_for("library.detail", image_id=image_id), 303)
