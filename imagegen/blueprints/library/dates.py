"""Under which dates the pictures of a grid stand: a day (2026-11-21), a month (2026-11), or none (an empty text)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from flask_babel import format_date, gettext, to_user_timezone

from imagegen.core.clock import now

A_ROW = 8
"""About as many pictures fill a row: where fewer came each day, months leave less of the page empty."""

_MONTH = len("2026-11")


def grouped(rows: Sequence[Any], *, by_month: bool) -> Iterator[tuple[str, Iterable[Any]]]:
    """Yield the dates of a page, each with its pictures; today and yesterday stand for themselves.

    `by_month` asks for months alone.
    """
    days = {_day_of(row) for row in rows}
    few = len(rows) < A_ROW * len(days)
    recent = set() if by_month else {_today(), _today() - timedelta(days=1)}

    def under(row: Any) -> str:
        day = _day_of(row)
        return day.isoformat()[: _MONTH if (by_month or few) and day not in recent else None]

    return groupby(rows, key=under)


def checked(text: str) -> str:
    """Return a date as pages pass it on; the empty string for nonsense."""
    try:
        found = _first_day(text)
    except ValueError:
        return ""
    return text if found.isoformat().startswith(text) else ""


def in_words(text: str) -> str:
    """Return a date for people."""
    day = _first_day(text)
    if len(text) == _MONTH:
        return str(format_date(day, "LLLL y"))
    passed = (_today() - day).days
    if passed == 0:
        return gettext("Today")
    if passed == 1:
        return gettext("Yesterday")
    return str(format_date(day, "long"))


def _first_day(text: str) -> date:
    return date.fromisoformat(f"{text}-01" if len(text) == _MONTH else text)


def _day_of(row: Any) -> date:
    day: date = to_user_timezone(row.created_at).date()
    return day


def _today() -> date:
    day: date = to_user_timezone(now()).date()
    return day
