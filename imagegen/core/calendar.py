"""Months and days as people live them: in their own time zone, with its leaps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Span:
    """A stretch of whole local days: its first day, and its moments in UTC, from inclusive and to exclusive."""

    first: date
    starts_at: datetime
    ends_at: datetime


def midnight(day: date, zone: str) -> datetime:
    """Return the moment, in UTC, at which `day` begins in the time zone `zone`.

    Where clocks skip midnight it is the moment of the leap; where they repeat it, the first of the two.
    """
    return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def span(first: date, after: date, zone: str) -> Span:
    """Return the days from `first` until `after`, exclusive, in the time zone `zone`."""
    return Span(first, midnight(first, zone), midnight(after, zone))


def day_of(moment: datetime, zone: str) -> Span:
    """Return the local day in which `moment` lies."""
    first = moment.astimezone(ZoneInfo(zone)).date()
    return span(first, first + timedelta(days=1), zone)


def month_of(moment: datetime, zone: str) -> Span:
    """Return the local month in which `moment` lies."""
    first = moment.astimezone(ZoneInfo(zone)).date().replace(day=1)
    return span(first, (first + timedelta(days=32)).replace(day=1), zone)
