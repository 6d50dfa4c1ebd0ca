"""Facets as marks: the words, never seen by anybody, by which a picture is found beside those of its text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

from imagegen.services.library.palette import colours_of

ORIENTATIONS = ("portrait", "landscape", "square")
WINDOW_BITS = (16, 20)
"""How many bits of an id do not tell the pictures of a small and of a large window apart.

Pictures that were indexed earlier know of windows of other sizes too, which does no harm.
"""

ERA = 1_024
"""How many ids make an era, of which `ImageEra` knows the days."""

DAY_AT = (len(" day:") + 1, len("2026-11-21"))
"""Where the day stands in `ImageIndex.marks`: its first character, counted from 1, and how many it has."""

BANDS = 4
_BAND_BITS = 16
_SPACE = re.compile(r"\s+")
_FOR_SPACE = "\N{OPEN BOX}"


def mark(facet: str, value: object) -> str:
    """Return the mark of one value of a facet."""
    return f"{facet}:{_SPACE.sub(_FOR_SPACE, str(value))}"


def place(organisation_id: int, *, trashed: bool) -> str:
    """Return the mark of the organisation's library, or of its trash."""
    return mark("bin" if trashed else "in", organisation_id)


def windows(image_id: int) -> list[tuple[int, int]]:
    """Return the windows in which a picture is, each as its bits and its number."""
    return [(bits, image_id >> bits) for bits in WINDOW_BITS]


def orientation(width: int, height: int) -> str:
    """Return which of `ORIENTATIONS` a picture has; one that is all but square counts as square."""
    if abs(width - height) * 50 <= max(width, height):
        return "square"
    return "portrait" if height > width else "landscape"


def facets(row: Any, *, person: str, tags: Iterable[str], collections: Iterable[str]) -> Iterator[str]:
    """Yield all marks of a picture: `row` has the columns of `Image`; people and collections go by public id."""
    yield from _dates(row.created_at.date())  # first of all: `DAY_AT` says where a row's day stands
    yield place(row.organisation_id, trashed=row.deleted_at is not None)
    yield mark("kind", row.kind)
    yield mark("by", person)
    yield mark("shape", orientation(row.width, row.height))
    for facet, value in (("provider", row.provider), ("model", row.model), ("style", row.style)):
        if value:
            yield mark(facet, value)
    for is_so, word in (
        (row.favourite, "favourite"),
        (row.usage_count == 0, "unused"),
        (row.stack_size > 0, "head"),
        (row.near_id is not None, "near"),
    ):
        if is_so:
            yield word
    yield from (mark("colour", name) for name in colours_of(row.colours))
    yield from (mark("tag", key) for key in tags)
    yield from (mark("set", name) for name in collections)
    yield from bands(row.phash)


def day_of(all_marks: str) -> str:
    """Return the day in `ImageIndex.marks`."""
    start = DAY_AT[0] - 1
    return all_marks[start : start + DAY_AT[1]]


def _dates(day: date) -> tuple[str, str, str]:
    return mark("day", day.isoformat()), mark("month", f"{day:%Y-%m}"), mark("year", day.year)


def dates_between(since: date, until: date) -> list[str]:
    """Return the marks that cover the days from `since` to `until`, both included, with as few as possible."""
    found, day = [], since
    while day <= until:
        of_day, of_month, of_year = _dates(day)
        year_end, month_end = date(day.year, 12, 31), _last_of_month(day)
        if day.month == day.day == 1 and year_end <= until:
            found.append(of_year)
            day = year_end
        elif day.day == 1 and month_end <= until:
            found.append(of_month)
            day = month_end
        else:
            found.append(of_day)
        day += timedelta(days=1)
    return found


def months_around(since: date, until: date) -> list[str]:
    """Return the marks of the whole months and years in which these days lie: fewer marks, some days too many."""
    return dates_between(since.replace(day=1), _last_of_month(until)) if since <= until else []


def _last_of_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def bands(phash: str | None) -> Iterator[str]:
    """Yield a mark for each quarter of a perceptual hash (16 hex digits)."""
    if phash:
        yield from (_band(n, int(phash[4 * n : 4 * n + 4], 16)) for n in range(BANDS))


def bands_near(phash: str) -> Iterator[str]:
    """Yield the marks of which a hash that differs in seven bits or fewer has one.

    Seven bits over four quarters: one of them has at most one. So each quarter is looked up as it is, and with
    each of its bits turned.
    """
    for n in range(BANDS):
        quarter = int(phash[4 * n : 4 * n + 4], 16)
        yield _band(n, quarter)
        yield from (_band(n, quarter ^ (1 << bit)) for bit in range(_BAND_BITS))


def _band(n: int, quarter: int) -> str:
    return mark(f"hash{n}", f"{quarter:04x}")
