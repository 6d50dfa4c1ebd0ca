"""What the library shows: tiles in groups by day, and one picture with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import format_decimal, gettext, ngettext, pgettext
from sqlalchemy import select

from imagegen.blueprints.library import dates, forms
from imagegen.core.text import N_, one_line
from imagegen.extensions import db
from imagegen.models import Image
from imagegen.services import library
from imagegen.services.cleaning.rows import KEPT_IN_TRASH
from imagegen.services.library import Page, Wish, collections, usage
from imagegen.services.library.changing import LONGEST_ALT_TEXT, LONGEST_TITLE
from imagegen.services.rights import Right
from imagegen.web import contexts, downloads, readers, words
from imagegen.web.addresses import address
from imagegen.web.contexts import Context
from imagegen.web.language import said

NARROWEST, WIDEST = 2, 8
"""How wide a tile is, in quarters of its height: what is flatter or taller than that is shown cut."""

MOST_SIBLINGS = 60
"""Of the pictures that were made together, beside one; all of them stand in their stack."""


def grid(page: Page, wish: Wish, *, after: str, alone: bool = True) -> Context:
    """Return a page of pictures, in groups by date where the order is by time.

    `after` is the date that goes on, `alone` that the pages before, if any, had no pictures: then it says why there
    are none. A page of a search may be empty, and others come behind it.
    """
    narrowed = forms.address_of(wish)
    groups = [
        {
            "label": dates.in_words(day) if day else "",
            "day": day,
            "continued": day in ("", after),
            "images": [tile(row, wish) for row in rows],
        }
        for day, rows in _groups(page.items, wish)
    ]
    last = groups[-1]["day"] if groups else after
    more = {"cursor": page.next_cursor, **narrowed}
    nothing = alone and not page.items
    return {
        "groups": groups,
        "next_url": address("library.grid", **more, day=last or None, alone=1 if nothing else None)
        if page.next_cursor
        else None,
        "next_href": address("library.index", **more) if page.next_cursor else None,
        "say": tile_words(),
        "live": wish.sort == "newest" and not wish.trashed,
        "narrowed": bool(_narrowed(wish)),
        "trashed": wish.trashed,
        "days_in_trash": KEPT_IN_TRASH.days,
        "collection": wish.collection,
        "empty": _why_empty(wish) if nothing and not page.next_cursor else None,
        "may_change": readers.may(Right.ORGANISE),
        "may_upload": readers.may(Right.CREATE),
    }


def _groups(rows: Sequence[Any], wish: Wish) -> Iterable[tuple[str, Iterable[Any]]]:
    """Return the pictures of a page by their dates; by none where they are in another order."""
    if wish.sort not in ("newest", "oldest") or wish.trashed:
        return [("", rows)] if rows else []
    return dates.grouped(rows, by_month=bool(_narrowed(wish)))


def _narrowed(wish: Wish) -> set[str]:
    return set(wish.to_mapping()) - {"sort", "stack"}


def _why_empty(wish: Wish) -> str:
    """Return what kind of emptiness a page shows: of the whole library, of a place in it, or of a search."""
    narrowed = _narrowed(wish)
    if not narrowed:
        return "library"
    if wish.since and wish.until and wish.since > wish.until:
        return "days"
    if wish.trashed and narrowed == {"filter"}:
        return "trash"
    if narrowed != {"collection"}:
        return "search"
    return "collection" if collections.exists(wish.collection) else "gone"


_SENSELESS: dict[str, str] = {
    "filter": N_("There is no such filter."),
    "sort": N_("There is no such order."),
    "colour": N_("There is no such colour."),
    "orientation": N_("There is no such shape."),
    "since": N_("The first day is none of the calendar."),
    "until": N_("The last day is none of the calendar."),
    "cursor": N_("This page of the library is not to be found any more."),
}


def senseless(found: Mapping[str, str]) -> Context:
    """Return what `grid` says instead of pictures where an address asks, by name, for what there is not."""
    sentences = [" ".join(filter(None, (said(_SENSELESS[name]), _quoted(value)))) for name, value in found.items()]
    return {"empty": "senseless", "senseless": " ".join(sentences), "live": False}


def _quoted(value: str) -> str:
    return gettext("The address says “%(value)s”.", value=one_line(value, 60)) if value else ""


def tiles(rows: Iterable[Any]) -> list[Context]:
    """Return pictures for a grid without days."""
    return [tile(row, Wish()) for row in rows]


def tile_words() -> Context:
    """Return what all tiles say, made once for all of them: `mark` stands where each has its own words.

    So is `may_change`: for who may not, there is nothing to tick and no star to give.
    """
    mark = "\ue000"
    return {
        "mark": mark,
        "open": gettext("Open: %(words)s", words=mark),
        "select": gettext("Select: %(words)s", words=mark),
        "star": gettext("Star"),
        "may_change": readers.may(Right.ORGANISE),
    }


def words_of_tile(row: Any) -> Context:
    """Return what one tile says, for a page that has it already: as `tile` and `tile_words` do together."""
    shown, say = image(row), tile_words()
    words = shown["alt"] or shown["prompt"]
    return {
        "alt": shown["alt"],
        "caption": shown["caption"],
        "open": say["open"].replace(say["mark"], words),
        "select": say["select"].replace(say["mark"], words),
    }


def tile(row: Any, wish: Wish) -> Context:
    """Return one picture for a grid."""
    stacked = row.stack_size if wish.stacked else 1
    return image(row) | {
        "wide": min(max(round(row.width / row.height * 4), NARROWEST), WIDEST),
        "trashed": wish.trashed,
        "stack": stacked if stacked > 1 else 0,
        "stack_label": ngettext("%(n)s variant", "%(n)s variants", stacked, n=stacked) if stacked > 1 else "",
    }


def image(row: Any) -> Context:
    """Return one picture as all pages show it."""
    return contexts.image(row) | {"ratio": row.width / row.height}


def number(count: int, *, more: bool) -> str:
    """Return how many there are, or that there are more than that."""
    return gettext("more than %(n)s", n=format_decimal(count)) if more else str(format_decimal(count))


def users_of(public_ids: Sequence[str]) -> tuple[list[str], bool]:
    """Return the names of what uses any of these pictures and would miss it, and whether there may be more."""
    ids = db.session.scalars(select(Image.id).where(Image.public_id.in_(public_ids), Image.usage_count > 0)).all()
    told = usage.where_used(ids, warning=True, most=usage.MOST_TOLD + 1) if ids else {}
    uses = [use for each in told.values() for use in each]
    names = dict.fromkeys(use.found.label for use in uses if use.found is not None)
    return list(names), len(uses) > usage.MOST_TOLD


def detail(row: Image) -> Context:
    """Return one picture with its facts, its words, its family, and what can be done with it."""
    origin = library.origin_of(row)
    beside = library.neighbours(row)
    trashed = row.deleted_at is not None
    return {
        "image": image(row) | {"trashed": trashed},
        "trashed": trashed,
        "may_change": readers.may(Right.ORGANISE),
        "may_create": readers.may(Right.CREATE),
        "words": words_of(row),
        "facts": _facts(row, origin),
        "uses": [] if trashed else _uses(row),
        "collections": [
            {"label": each.name, "href": address("library.index", collection=each.public_id)}
            for each in collections.collections_of(row.id)
        ],
        "versions": [image(each) for each in library.versions(row)],
        "siblings": [image(each) for each in library.siblings(row, most=MOST_SIBLINGS)],
        "recalls": _recalls(row) if row.prompt else [],
        "downloads": None if trashed else _downloads(row),
        "link": address("library.detail", image_id=row.public_id, _external=True),
        "job_url": address("jobs.detail", job_id=origin.job.public_id) if origin.job else None,
        "newer_url": address("library.detail", image_id=beside.newer) if beside.newer else None,
        "older_url": address("library.detail", image_id=beside.older) if beside.older else None,
    }


def words_of(row: Image, typed: Mapping[str, str] | None = None) -> Context:
    """Return the form for a picture's title, alt text and tags, with what was typed where that was refused."""
    found = {
        "title": row.title,
        "alt_text": row.alt_text,
        "tags": ", ".join(library.tags_of([row.id]).get(row.id, ())),
    }
    return (
        found
        | {name: typed[name] for name in found if typed is not None and name in typed}
        | {
            "id": row.public_id,
            "most": {"title": LONGEST_TITLE, "alt_text": LONGEST_ALT_TEXT},
            "may_change": readers.may(Right.ORGANISE) and row.deleted_at is None,
            "error": None,
            "saved": "",
        }
    )


def _recalls(row: Image) -> list[Context]:
    """Return the ways to make something like it: its words, its seed, its settings alone, all of it."""
    offered = [("prompt", gettext("Use its prompt"))]
    if row.seed is not None:
        offered.append(("seed", gettext("Use its seed")))
    if row.model:
        offered.append(("settings", gettext("Use its settings")))
    offered.append(("everything", gettext("Use everything")))
    return [
        {"label": label, "href": address("generator.page", like=row.public_id, recall=what)}
        for what, label in offered
    ]


def _downloads(row: Image) -> Context:
    names = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP"}
    own = row.mime_type.removeprefix("image/").upper()
    return {
        "url": address("library.download", image_id=row.public_id),
        "formats": [{"value": "", "label": gettext("As it is (%(format)s)", format=own)}]
        + [{"value": value, "label": names[value]} for value in downloads.CHOICES],
        "widths": [{"value": "", "label": gettext("%(n)s px, full size", n=row.width)}]
        + [
            {"value": width, "label": gettext("%(n)s px", n=width)} for width in downloads.WIDTHS if width < row.width
        ],
    }


def _uses(row: Image) -> list[Context]:
    found = usage.where_used([row.id]).get(row.id, [])
    return [
        {"label": use.found.label, "href": address(use.found.endpoint, **_arguments(use.found))}
        for use in found
        if use.found is not None
    ]


def _arguments(found: usage.Found) -> dict[str, Any]:
    return {**found.arguments}


def _facts(row: Image, origin: library.Origin) -> list[Context]:
    shot, job = origin.shot, origin.job
    took = (
        contexts.seconds((shot.finished_at - shot.started_at).total_seconds())
        if shot and shot.finished_at and shot.started_at
        else ""
    )
    cost = contexts.price(shot.actual_micro) if shot else ""
    quality = words.quality(shot.request.get("quality") or "") if shot else ""
    model = job.model_label if job and job.model == row.model else _model(row)
    size = f"{row.width} \N{MULTIPLICATION SIGN} {row.height}"
    found = [
        (gettext("Made with"), ", ".join(filter(None, (model, quality)))),
        (gettext("Cost, time"), " · ".join(filter(None, (cost, took)))),
        (gettext("Size"), f"{size} · {row.mime_type.removeprefix('image/').upper()} · {_bytes(row.file_size)}"),
        (gettext("File"), row.original_filename or row.filename),
        (gettext("Style"), words.style(row.style or "")),
        (gettext("Seed"), str(row.seed) if row.seed is not None else ""),
        (gettext("By"), origin.person),
        (gettext("Came"), contexts.ago(row.created_at)),
        (pgettext("of a picture", "Used"), _used(row)),
        (gettext("Marked"), gettext("AI-made, IPTC") if row.kind == "ai_generated" else ""),
    ]
    return [{"label": label, "value": value} for label, value in found if value]


def _bytes(size: int) -> str:
    if size < 1_000_000:
        return gettext("%(size)s kB", size=format_decimal(max(size // 1000, 1)))
    return gettext("%(size)s MB", size=format_decimal(round(size / 1_000_000, 1)))


def _model(row: Image) -> str:
    return contexts.model_name(row.provider, row.model) if row.provider and row.model else (row.model or "")


def _used(row: Image) -> str:
    if not row.usage_count:
        return gettext("Not yet")
    times = ngettext("once", "%(n)s times", row.usage_count, n=format_decimal(row.usage_count))
    last = gettext("last %(when)s", when=contexts.ago(row.last_used_at)) if row.last_used_at else ""
    return ", ".join(filter(None, (times, last)))
