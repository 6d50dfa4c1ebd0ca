"""Collections, tags and saved searches: made, renamed, deleted."""

from __future__ import annotations

from flask import make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from imagegen.blueprints.library import forms, sieve
from imagegen.blueprints.library.blueprint import blueprint
from imagegen.services.library import collections, searches, tags
from imagegen.web import access
from imagegen.web.auth import identity
from imagegen.web.htmx import page as render
from imagegen.web.htmx import wants_partial


@blueprint.get("/shelves")
@access.viewing
def shelves() -> ResponseReturnValue:
    """Show all collections, tags and searches, where they can be renamed and deleted."""
    return render("library/shelves.html", **sieve.shelves())


@blueprint.get("/choices/<any(lists,shelves,collect):part>")
@access.viewing
def choices(part: str) -> ResponseReturnValue:
    """Draw what can be chosen, for a menu that somebody opens."""
    return render_template("library/_choices.html", sieve=sieve.choices(forms.wish(request.args), part))


@blueprint.post("/searches")
@access.organising
def save_search() -> ResponseReturnValue:
    """Keep the search that the form describes."""
    who = identity()
    wanted = forms.wish(request.form)
    name = request.form.get("name", "")
    searches.save(organisation_id=who.organisation.id, user_id=who.user.id, name=name, wish=wanted)
    if not wants_partial():
        return redirect(url_for("library.index", **forms.address_of(wanted)), 303)
    said = render_template("library/_done.html", text=gettext("The search is kept."), undo=None)
    return said + render_template("library/_sieve.html", sieve=sieve.context(wanted), oob=True)


@blueprint.post("/searches/<search_id>/rename")
@access.organising
def rename_search(search_id: str) -> ResponseReturnValue:
    """Call a search of one's own something else."""
    searches.rename(user_id=identity().user.id, public_id=search_id, name=request.form.get("name", ""))
    return _shelves()


@blueprint.post("/searches/<search_id>/delete")
@access.organising
def delete_search(search_id: str) -> ResponseReturnValue:
    """Forget a search of one's own."""
    searches.forget(user_id=identity().user.id, public_id=search_id)
    return _shelves()


@blueprint.post("/collections")
@access.organising
def make_collection() -> ResponseReturnValue:
    """Make an empty collection."""
    who = identity()
    collections.make(organisation_id=who.organisation.id, user_id=who.user.id, name=request.form.get("name", ""))
    return _shelves()


@blueprint.post("/collections/<collection_id>/rename")
@access.organising
def rename_collection(collection_id: str) -> ResponseReturnValue:
    """Call a collection something else."""
    collections.rename(public_id=collection_id, name=request.form.get("name", ""))
    return _shelves()


@blueprint.post("/collections/<collection_id>/delete")
@access.organising
def delete_collection(collection_id: str) -> ResponseReturnValue:
    """Delete a collection; its pictures stay in the library."""
    collections.remove(public_id=collection_id)
    return _shelves()


@blueprint.post("/tags/<tag_id>/rename")
@access.organising
def rename_tag(tag_id: str) -> ResponseReturnValue:
    """Write a tag differently, on all its pictures."""
    tags.rename(public_id=tag_id, name=request.form.get("name", ""))
    return _shelves()


@blueprint.post("/tags/<tag_id>/delete")
@access.organising
def delete_tag(tag_id: str) -> ResponseReturnValue:
    """Delete a tag, and so take it off all pictures."""
    tags.remove(public_id=tag_id)
    return _shelves()


def _shelves() -> ResponseReturnValue:
    if wants_partial():
        return make_response(render_template("library/_shelves.html", **sieve.shelves()))
    return redirect(url_for("library.shelves"), 303)
