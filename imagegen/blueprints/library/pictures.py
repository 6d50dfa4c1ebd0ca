"""One picture: looking at it, writing about it, what it came from and what looks like it."""

from __future__ import annotations

from flask import make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from imagegen.blueprints.library import contexts, forms
from imagegen.blueprints.library.blueprint import blueprint
from imagegen.core.errors import StudioError
from imagegen.services import library
from imagegen.web import access
from imagegen.web.htmx import page as render
from imagegen.web.htmx import trigger, wants_partial
from imagegen.web.language import said


@blueprint.get("/<image_id>")
@access.viewing
def detail(image_id: str) -> ResponseReturnValue:
    """Show one picture; as a partial, its facts. One in the trash is shown too, and says so."""
    image = library.get_image(image_id, trashed=True)
    return render("library/detail.html", "library/_facts.html", **contexts.detail(image))


@blueprint.get("/<image_id>/alike")
@access.viewing
def alike(image_id: str) -> ResponseReturnValue:
    """Show the pictures that look like one."""
    image = library.get_image(image_id)
    images = contexts.tiles(library.near_duplicates(image))
    return render(
        "library/alike.html",
        "library/_alike.html",
        image=contexts.image(image),
        images=images,
        say=contexts.tile_words(),
    )


@blueprint.post("/<image_id>/star")
@access.organising
def star(image_id: str) -> ResponseReturnValue:
    """Keep a picture in sight, or not any more."""
    on = not library.get_image(image_id).favourite
    library.star(public_id=image_id, on=on)
    if wants_partial():
        return render_template("library/_star.html", image={"id": image_id, "starred": on}, oob=True)
    return redirect(url_for("library.detail", image_id=image_id), 303)


@blueprint.post("/<image_id>/words")
@access.organising
def write(image_id: str) -> ResponseReturnValue:
    """Keep what was written about a picture: title, alt text, tags; whatever the form leaves out stays."""
    form = request.form
    try:
        library.change(
            public_id=image_id,
            title=form.get("title"),
            alt_text=form.get("alt_text"),
            tag_names=forms.names(form["tags"]) if "tags" in form else None,
        )
    except StudioError as error:
        if error.field is None or not wants_partial():
            raise
        words = contexts.words_of(library.get_image(image_id), typed=form)
        words["error"] = {"field": error.field, "text": said(error.message)}
        return make_response(render_template("library/_words.html", words=words), error.status)
    if not wants_partial():
        return redirect(url_for("library.detail", image_id=image_id), 303)
    image = library.get_image(image_id)
    words = contexts.words_of(image) | {"saved": gettext("Saved"), "tile": contexts.words_of_tile(image)}
    return trigger(
        make_response(render_template("library/_words.html", words=words)),
        **{"library:changed": {"verb": "write", "ids": [image_id]}},
    )
