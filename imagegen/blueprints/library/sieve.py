"""The filters above the grid: what is chosen, what can be, and what was kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import url_for
from flask_babel import format_date, gettext

from imagegen.blueprints.library import forms
from imagegen.core.text import N_
from imagegen.extensions import runtime
from imagegen.prompts.styles import styles
from imagegen.services import people
from imagegen.services.library import COLOURS, Wish, collections, searches, tags
from imagegen.services.library.marks import ORIENTATIONS
from imagegen.services.rights import Right
from imagegen.web import contexts, readers, words
from imagegen.web.auth import identity
from imagegen.web.contexts import Context
from imagegen.web.language import said

FILTERS: dict[str, str] = {
    "all": N_("All"),
    "uploaded": N_("Uploaded"),
    "ai_generated": N_("AI-made"),
    "edited": N_("Edited"),
    "favourites": N_("Favourites"),
    "unused": N_("Unused"),
    "trash": N_("Trash"),
}

SORTS: dict[str, str] = {
    "newest": N_("Newest"),
    "oldest": N_("Oldest"),
    "most_used": N_("Most used"),
    "name": N_("By name"),
}

_ORIENTATIONS: dict[str, str] = {
    "portrait": N_("Portrait"),
    "landscape": N_("Landscape"),
    "square": N_("Square"),
}

_PANEL = (
    "tag",
    "collection",
    "person",
    "provider",
    "model",
    "style",
    "colour",
    "orientation",
    "since",
    "until",
    "near",
)
"""What the panel narrows, in the order in which chips say it."""


def context(wish: Wish, *, whole: bool = False) -> Context:
    """Return the filters as they stand with `wish`.

    What there is to choose from the database comes only with `whole`; else pages fetch it when somebody looks.
    """
    options = _options(wish, whole=whole)
    return {
        "whole": whole,
        "chips": [
            {
                "label": said(label),
                "href": _address(wish, filter=None if name == "all" else name),
                "current": name == wish.filter,
            }
            for name, label in FILTERS.items()
        ],
        "filter": wish.filter,
        "filters": _chosen(((name, said(label)) for name, label in FILTERS.items()), wish.filter),
        "active": _active(wish, options),
        "narrowed": any(getattr(wish, name) for name in _PANEL),
        "sorts": _chosen(((name, said(label)) for name, label in SORTS.items()), wish.sort),
        "stack": {"on": wish.stack, "href": _address(wish, stack=None if wish.stack else "1")},
        "tag": wish.tag,
        **(kept() if whole else {}),
        "since": wish.since.isoformat() if wish.since else "",
        "until": wish.until.isoformat() if wish.until else "",
        "near": wish.near,
        **options,
        "collection": wish.collection,
        "wish": forms.address_of(wish),
        "keepable": bool(set(wish.to_mapping())),
        "clear_href": url_for("library.index"),
        "whole_href": _address(wish, whole="1"),
        "may_change": readers.may(Right.ORGANISE),
        "trashed": wish.trashed,
    }


MOST_SUGGESTED = 200


def choices(wish: Wish, part: str) -> Context:
    """Return what a menu offers: `lists` of the panel, `shelves`, or the collections to `collect` pictures in."""
    found = {"part": part, "tag": wish.tag, "collection": wish.collection, "may_change": readers.may(Right.ORGANISE)}
    # What is gone can be looked for by an old address, and not be gone to.
    known = _all_collections()
    sought = wish.collection if part == "lists" or wish.collection in dict(known) else ""
    found["collections"] = _chosen(known, sought, name=_gone)
    if part == "lists":
        found |= {"people": _people(wish), "tags": _tags()}
    elif part == "shelves":
        found |= kept()
    return found


def kept() -> Context:
    """Return the tags and the searches that somebody may go to."""
    mine = searches.all_searches(user_id=identity().user.id)
    return {
        "tags": _tags(),
        "searches": [
            {"label": row.name, "href": url_for("library.index", **forms.address_of(Wish.from_mapping(row.wish)))}
            for row in mine
        ],
    }


def _tags() -> list[str]:
    return [tag.name for tag in tags.suggest(limit=MOST_SUGGESTED)]


def shelves() -> Context:
    """Return all collections, tags and searches, to be put in order."""

    def rows(found: Iterable[Any], kind: str, argument: str, wish: Any) -> list[Context]:
        return [
            {
                "id": row.public_id,
                "name": row.name,
                "href": url_for("library.index", **wish(row)),
                "rename_url": url_for(f"library.rename_{kind}", **{argument: row.public_id}),
                "delete_url": url_for(f"library.delete_{kind}", **{argument: row.public_id}),
            }
            for row in found
        ]

    return {
        "may_change": readers.may(Right.ORGANISE),
        "collections": rows(
            collections.all_collections(), "collection", "collection_id", lambda row: {"collection": row.public_id}
        ),
        "tags": rows(tags.all_tags(), "tag", "tag_id", lambda row: {"tag": row.name}),
        "searches": rows(
            searches.all_searches(user_id=identity().user.id),
            "search",
            "search_id",
            lambda row: forms.address_of(Wish.from_mapping(row.wish)),
        ),
    }


def _address(wish: Wish, **but: Any) -> str:
    return url_for("library.index", **forms.address_of(wish, **but))


def _collections(wish: Wish) -> list[Context]:
    return _chosen(_all_collections(), wish.collection, name=_gone)


def _all_collections() -> list[tuple[str, str]]:
    return [(row.public_id, row.name) for row in collections.all_collections()]


def _gone(_public_id: str) -> str:
    return gettext("A deleted collection")


def _people(wish: Wish) -> list[Context]:
    members = people.members(organisation_id=identity().organisation.id)
    named = ((each.user.public_id, each.user.name) for each in members)
    return _chosen(named, wish.person, name=lambda _public_id: gettext("Somebody who has left"))


def _options(wish: Wish, *, whole: bool) -> Context:
    """Return what can be chosen in the panel; lists from the database where they are shown, or say what is chosen."""
    offered = runtime.providers.models()
    providers = dict.fromkeys((each.provider.id, said(each.provider.label)) for each in offered)
    models = [(each.spec.id, each.spec.label) for each in offered]
    return {
        "collections": _collections(wish) if whole or wish.collection else [],
        "people": _people(wish) if whole or wish.person else [],
        "providers": _chosen(providers, wish.provider, name=contexts.provider_name),
        "models": _chosen(models, wish.model),
        "styles": _chosen(((style.id, said(style.label)) for style in styles()), wish.style, name=words.style),
        "colours": _chosen(((name, said(label)) for name, label in COLOURS.items()), wish.colour),
        "orientations": _chosen(((name, said(_ORIENTATIONS[name])) for name in ORIENTATIONS), wish.orientation),
    }


def _chosen(pairs: Iterable[tuple[str, str]], value: str, *, name: Any = str) -> list[Context]:
    """Return options; one that is chosen but not among them any more stands at the end."""
    found = [{"value": each, "label": label, "chosen": each == value} for each, label in pairs]
    if value and not any(option["chosen"] for option in found):
        found.append({"value": value, "label": name(value), "chosen": True})
    return found


_LISTS = {
    "collection": "collections",
    "person": "people",
    "provider": "providers",
    "model": "models",
    "style": "styles",
    "colour": "colours",
    "orientation": "orientations",
}


def _active(wish: Wish, options: Context) -> list[Context]:
    """Return a chip for each thing that the panel narrows, whose link takes it away."""
    found = []
    for name in _PANEL:
        value = getattr(wish, name)
        if value:
            label = _label(name, value, options)
            found.append({"label": label, "name": name, "value": value, "href": _address(wish, **{name: None})})
    return found


def _label(name: str, value: Any, options: Context) -> str:
    if name in _LISTS:
        return next(str(option["label"]) for option in options[_LISTS[name]] if option["chosen"])
    if name == "since":
        return gettext("From %(day)s", day=format_date(value, "medium"))
    if name == "until":
        return gettext("Until %(day)s", day=format_date(value, "medium"))
    return gettext("Look alike") if name == "near" else str(value)
