"""What the library shows."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from typing import Any

from flask import url_for
from flask_babel import format_date, format_decimal, gettext, to_user_timezone

from imagegen.core.clock import now
from imagegen.core.text import N_
from imagegen.models import Image
from imagegen.services import library
from imagegen.services.library import Page
from imagegen.web import contexts, words
from imagegen.web.contexts import Context
from imagegen.web.language import said

FILTERS: dict[str, str] = {
    "all": N_("All"),
    "ai_generated": N_("AI-made"),
    "favourites": N_("Favourites"),
}


def filters(current: str, *, q: str) -> list[Context]:
    """Return the chips above the grid."""
    return [
        {
            "label": said(label),
            "href": url_for("library.index", filter=name if name != "all" else None, q=q or None),
            "current": name == current,
            "count": "",
        }
        for name, label in FILTERS.items()
    ]


def grid(page: Page, *, filter: str, q: str, after: date | None) -> Context:
    """Return a page of pictures in groups by day; `after` is the day in which the page before ended."""
    narrowed: dict[str, Any] = {"filter": filter} if filter != "all" else {}
    if q:
        narrowed["q"] = q
    groups = []
    for day, rows in groupby(page.items, key=lambda row: _day(row.created_at)):
        groups.append(
            {
                "label": _day_in_words(day),
                "count": "",
                "continued": day == after,
                "images": [_image(row) for row in rows],
            }
        )
    last = _day(page.items[-1].created_at).isoformat() if page.items else None
    return {
        "groups": groups,
        "next_cursor": page.next_cursor,
        "filters": {**narrowed, "day": last},
        "next_href": url_for("library.index", cursor=page.next_cursor, **narrowed) if page.next_cursor else None,
    }


def _day(moment: Any) -> date:
    return to_user_timezone(moment).date()


def _day_in_words(day: date) -> str:
    passed = (_day(now()) - day).days
    if passed == 0:
        return gettext("Today")
    if passed == 1:
        return gettext("Yesterday")
    return format_date(day, "long")


def _image(row: Any) -> Context:
    return contexts.image(row) | {"ratio": row.width / row.height}


def detail(image: Image) -> Context:
    """Return one picture with its facts and its siblings."""
    origin = library.origin_of(image)
    return {
        "image": _image(image),
        "facts": _facts(image, origin),
        "siblings": [_image(row) for row in library.siblings(image)],
        "job_url": url_for("jobs.detail", job_id=origin.job.public_id) if origin.job else None,
    }


def _facts(image: Image, origin: library.Origin) -> list[Context]:
    shot, job = origin.shot, origin.job
    took = (
        contexts.seconds((shot.finished_at - shot.started_at).total_seconds())
        if shot and shot.finished_at and shot.started_at
        else ""
    )
    cost = contexts.price(shot.actual_micro) if shot else ""
    quality = words.quality(shot.request.get("quality") or "") if shot else ""
    model = job.model_label if job and job.model == image.model else (image.model or "")
    size = f"{image.width} \N{MULTIPLICATION SIGN} {image.height}"
    megabytes = gettext("%(size)s MB", size=format_decimal(round(image.file_size / 1_000_000, 1)))
    found = [
        (gettext("Made with"), ", ".join(filter(None, (model, quality)))),
        (gettext("Cost, time"), " · ".join(filter(None, (cost, took)))),
        (gettext("Size"), f"{size} · {image.mime_type.removeprefix('image/').upper()} · {megabytes}"),
        (gettext("Style"), words.style(image.style or "")),
        (gettext("Seed"), str(image.seed) if image.seed is not None else ""),
        (gettext("By"), origin.person),
        (gettext("Marked"), gettext("AI-made, IPTC") if image.kind == "ai_generated" else ""),
    ]
    return [{"label": label, "value": value} for label, value in found if value]
