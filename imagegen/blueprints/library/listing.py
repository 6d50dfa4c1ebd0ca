"""The grid: a page of it, what comes behind, what is new, how many there are."""

from __future__ import annotations

from urllib.parse import parse_qs

from flask import Response, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from imagegen.blueprints.library import contexts, dates, forms, sieve
from imagegen.blueprints.library.blueprint import blueprint
from imagegen.core.errors import StudioError
from imagegen.services import library
from imagegen.services.library import Wish
from imagegen.web import access
from imagegen.web.htmx import page as render
from imagegen.web.htmx import wants_partial


@blueprint.get("")
@access.viewing
def index() -> ResponseReturnValue:
    """Show the pictures that somebody wants to see; as a partial, them and the filters that led to them."""
    wish, senseless = forms.sensible(request.args)
    listed = _listed(wish, senseless)
    response = render(
        "library/page.html",
        "library/_found.html",
        status=422 if senseless else 200,
        grid=contexts.grid(listed, wish, after="") | (contexts.senseless(senseless) if senseless else {}),
        sieve=sieve.context(wish, whole="whole" in request.args),
        search={"q": wish.q, "label": gettext("Search your pictures")},
        oob=wants_partial(),
    )
    return _with_address(response, wish) if wants_partial() else response


def _listed(wish: Wish, senseless: dict[str, str]) -> library.Page:
    """Return the pictures, none where anything is senseless; so may the page be that is asked for, which is added."""
    cursor = request.args.get("cursor")
    try:
        return library.Page([], None) if senseless else library.list_images(wish, cursor=cursor)
    except StudioError as error:
        if error.field != "cursor":
            raise
    senseless["cursor"] = ""  # nothing that a person has ever read
    return library.Page([], None)


def _with_address(response: Response, wish: Wish) -> Response:
    """Let the address bar lead to what is shown. Letters typed after the first don't each make a step back."""
    shown = parse_qs(request.headers.get("HX-Current-URL", "").partition("?")[2].partition("#")[0])
    typing = request.headers.get("HX-Source", "").startswith("input") and "q" in shown and bool(wish.q)
    response.headers["HX-Replace-Url" if typing else "HX-Push-Url"] = url_for(
        "library.index", **forms.address_of(wish)
    )
    return response


@blueprint.get("/grid")
@access.viewing
def grid() -> ResponseReturnValue:
    """Draw the next pictures."""
    wish = forms.wish(request.args)
    listed = library.list_images(wish, cursor=request.args.get("cursor"))
    pictures = contexts.grid(
        listed, wish, after=dates.checked(request.args.get("day", "")), alone="alone" in request.args
    )
    return render_template("library/_grid.html", grid=pictures, further=True)


@blueprint.get("/newest")
@access.viewing
def newest() -> ResponseReturnValue:
    """Draw the newest pictures that fit a wish alone, for a page that has those before."""
    wish = forms.wish(request.args)
    listed = library.list_images(wish)
    without_more = library.Page(listed.items, None)
    return render_template("library/_grid.html", grid=contexts.grid(without_more, wish, after=""))


@blueprint.get("/count")
@access.viewing
def count() -> ResponseReturnValue:
    """Say how many pictures a wish finds, for whoever is about to change them all."""
    found = library.count_images(forms.wish(request.args))
    most = library.MOST_COUNTED
    response = make_response(contexts.number(found if found < most else most - 1, more=found >= most))
    response.mimetype = "text/plain"
    return response


@blueprint.get("/<image_id>/stack")
@access.viewing
def stack(image_id: str) -> ResponseReturnValue:
    """Show the pictures that were made together with one; as a partial, the others for the grid."""
    image = library.get_image(image_id)
    rows = library.siblings(image) or [image]
    others = [row for row in rows if row.public_id != image_id] if wants_partial() else rows
    return render(
        "library/stack.html",
        "library/_tiles.html",
        images=contexts.tiles(others),
        say=contexts.tile_words(),
        of_stack=image_id,
    )
