"""What is done to several pictures at once: each verb has its opposite, so that it can be undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from flask import make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, gettext, ngettext

from imagegen.blueprints.library import contexts, forms
from imagegen.blueprints.library.blueprint import blueprint
from imagegen.core.errors import NotFound, StudioError
from imagegen.core.text import N_
from imagegen.services import library
from imagegen.services.library import collections
from imagegen.web import access
from imagegen.web.auth import identity
from imagegen.web.htmx import page as render
from imagegen.web.htmx import trigger, wants_partial

Given = dict[str, str]
Groups = dict[str, list[str]]
"""Public ids of pictures by the tags that they have got or lost, those with commas between."""
Call = Callable[[list[str], Given], Iterable[str]]


@dataclass(frozen=True)
class Verb:
    """One thing to do: how, what is said when it is done, and what undoes it."""

    call: Call
    said: Callable[[int, Given], str]
    undo: str | None


def _tags(given: Given) -> list[str]:
    found = forms.names(given.get("tags", ""))
    if not found:
        raise StudioError(N_("Write a tag."), field="tags")
    return found


def _collection_name(given: Given) -> str:
    return collections.get(given.get("to", "")).name


VERBS: dict[str, Verb] = {
    "star": Verb(
        lambda ids, _given: library.star_all(public_ids=ids, on=True),
        lambda count, _given: ngettext(
            "%(n)s picture has a star now.", "%(n)s pictures have a star now.", count, n=_n(count)
        ),
        "unstar",
    ),
    "unstar": Verb(
        lambda ids, _given: library.star_all(public_ids=ids, on=False),
        lambda count, _given: ngettext(
            "%(n)s picture has no star any more.", "%(n)s pictures have no star any more.", count, n=_n(count)
        ),
        "star",
    ),
    "tag": Verb(
        lambda ids, given: library.tag_all(public_ids=ids, names=_tags(given)),
        lambda count, given: ngettext(
            "%(n)s picture is tagged “%(tags)s”.",
            "%(n)s pictures are tagged “%(tags)s”.",
            count,
            n=_n(count),
            tags=", ".join(_tags(given)),
        ),
        "untag",
    ),
    "untag": Verb(
        lambda ids, given: library.untag_all(public_ids=ids, names=_tags(given)),
        lambda count, given: ngettext(
            "“%(tags)s” was taken off %(n)s picture.",
            "“%(tags)s” was taken off %(n)s pictures.",
            count,
            n=_n(count),
            tags=", ".join(_tags(given)),
        ),
        "tag",
    ),
    "collect": Verb(
        lambda ids, given: collections.put_in(public_id=given.get("to", ""), image_ids=ids),
        lambda count, given: ngettext(
            "%(n)s picture is in “%(name)s” now.",
            "%(n)s pictures are in “%(name)s” now.",
            count,
            n=_n(count),
            name=_collection_name(given),
        ),
        "uncollect",
    ),
    "uncollect": Verb(
        lambda ids, given: collections.take_out(public_id=given.get("to", ""), image_ids=ids),
        lambda count, given: ngettext(
            "%(n)s picture was taken out of “%(name)s”.",
            "%(n)s pictures were taken out of “%(name)s”.",
            count,
            n=_n(count),
            name=_collection_name(given),
        ),
        "collect",
    ),
    "trash": Verb(
        lambda ids, _given: library.put_into_trash(public_ids=ids),
        lambda count, _given: ngettext(
            "%(n)s picture is in the trash.", "%(n)s pictures are in the trash.", count, n=_n(count)
        ),
        "restore",
    ),
    "restore": Verb(
        lambda ids, _given: library.restore_all(public_ids=ids),
        lambda count, _given: ngettext(
            "%(n)s picture is back in the library.", "%(n)s pictures are back in the library.", count, n=_n(count)
        ),
        "trash",
    ),
    "delete": Verb(
        lambda ids, _given: library.delete_for_ever(public_ids=ids),
        lambda count, _given: ngettext(
            "%(n)s picture is deleted for ever.", "%(n)s pictures are deleted for ever.", count, n=_n(count)
        ),
        None,
    ),
}
"""By name. The trash is no place for stars and tags: verbs pass over what lies there, and say so by their number."""


def _n(count: int) -> str:
    return format_decimal(count)


@blueprint.post("/bulk/<verb>")
@access.organising
def do(verb: str) -> ResponseReturnValue:
    """Do it to the pictures that the form is about, and say how many have changed, with a way back."""
    if verb not in VERBS:
        raise NotFound(N_("There is nothing like that to do with pictures."))
    given = request.form.to_dict()
    changed, exactly = _work(verb, given)
    if not wants_partial():
        return redirect(forms.back() or url_for("library.index"), 303)
    # Those that somebody else was faster with are not where the page shows them either.
    named, done = () if given.get("all") else forms.named(request.form), set(changed)
    return _done(verb, changed, given, exactly, missed=[each for each in named if each not in done])


def _work(verb: str, given: Given) -> tuple[list[str], Groups]:
    """Do it; return which pictures have changed, and of tags, which pictures got or lost which."""
    changed: list[str] = []
    tagged: dict[str, tuple[str, ...]] = {}
    if "exactly" in given:
        parts = forms.groups(given["exactly"])
    else:
        batches = forms.selection(request.form).batches()
        changed += _begin_collection(batches, given) if verb == "collect" and not given.get("to") else []
        parts = ((batch, {}) for batch in batches)
    for batch, more in parts:
        found = VERBS[verb].call(batch, given | more)
        changed += found
        if isinstance(found, dict):
            tagged |= found
    return changed, _grouped(tagged)


def _grouped(tagged: dict[str, tuple[str, ...]]) -> Groups:
    """Return which tags were changed together, with the pictures of each: an undo must touch no other."""
    found: Groups = {}
    for public_id, names in tagged.items():
        found.setdefault(",".join(names), []).append(public_id)
    return found


def _begin_collection(batches: Iterator[list[str]], given: Given) -> list[str]:
    """Make the collection that the form names, of its first pictures, which are returned; the next find it there."""
    who = identity()
    made, ids = collections.begin(
        organisation_id=who.organisation.id,
        user_id=who.user.id,
        name=given.get("name", ""),
        image_ids=next(filter(None, batches), []),
    )
    given["to"] = made.public_id
    return ids


def _done(verb: str, changed: list[str], given: Given, exactly: Groups, missed: list[str]) -> ResponseReturnValue:
    kept = {name: given[name] for name in ("tags", "to") if given.get(name)}
    back = {"exactly": json.dumps(exactly)} if exactly else {"ids": ",".join(changed)}
    sentence = (
        VERBS[verb].said(len(changed), given) if changed else gettext("Nothing has changed: it was so already.")
    )
    if verb == "trash" and (hurt := _in_use(changed)):
        sentence += " " + gettext("Still used by: %(names)s.", names=hurt)
    response = make_response(
        render_template(
            "library/_done.html",
            text=sentence,
            changed=changed,
            missed=missed,
            undo={"url": url_for("library.do", verb=VERBS[verb].undo), "fields": kept | back}
            if VERBS[verb].undo and changed
            else None,
        )
    )
    # Which ones stands in the toast: proxies take a few kilobytes of headers, and answer 502 for more.
    return trigger(response, **{"library:changed": {"verb": verb, **kept}})


def _in_use(public_ids: list[str]) -> str:
    """Return the names of what uses these pictures, a few of many."""
    names, endless = contexts.users_of(public_ids)
    more = len(names) - MOST_NAMED
    found = ", ".join(names[:MOST_NAMED])
    if endless:
        return gettext("%(names)s and others", names=found)
    return gettext("%(names)s and %(n)s more", names=found, n=_n(more)) if more > 0 else found


MOST_NAMED = 5


@blueprint.post("/delete")
@access.organising
def ask_to_delete() -> ResponseReturnValue:
    """Ask whether pictures are to be deleted for ever, and name what uses them; nothing is deleted yet."""
    ids = forms.selection(request.form).ids()
    question = {
        "count": len(ids),
        "number": _n(len(ids)),
        "ids": ",".join(ids),
        "users": _in_use(ids),
        "back": forms.back() or url_for("library.index", filter="trash"),
    }
    return render("library/delete.html", "library/_delete.html", question=question)
