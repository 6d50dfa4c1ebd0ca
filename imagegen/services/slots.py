"""Times that people write down, as moments: once, or again and again, in a time zone with leaps.

One rule for both leaps of a clock, and for every way in which a local time gets here:

- A local time that a clock skips is the first moment after the skip. Several of them, and the time at which the skip
  ends, are one moment, and so one run.
- A local time that a clock shows twice is the first of the two.

So every local time happens at most once, and none is lost. What repeats every hour pauses for the repeated hour.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

from imagegen.core.errors import StudioError
from imagegen.core.text import N_

CLOSEST_MINUTES = 15
LONGEST_AHEAD = timedelta(days=5 * 366)
LONGEST_CRON = 100
_DAY_MINUTES = 24 * 60
_YEARS_WITHOUT_A_TIME = 8
"""29 February may be eight years away."""

_FIELDS = re.compile(r"[0-9A-Za-z*,/#-]+(?: [0-9A-Za-z*,/#-]+){4}")
_MONTHS = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
_DAYS = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
_LAST = {"l"}
_WORDS = _MONTHS | _DAYS | _LAST


def read_cron(text: str) -> str:
    """Return a repetition's five fields in one spelling; raises StudioError for what is none, or comes too often.

    Minute, hour, day of the month, month, day of the week; names of months and days in English, `L` for the last.
    """
    cron = " ".join(text.lower().split())
    words = set(re.findall("[a-z]+", cron))
    if len(cron) > LONGEST_CRON or not _FIELDS.fullmatch(cron) or not words <= _WORDS:
        raise _not_a_cron()
    try:
        (minutes, hours, *_days), _nth = croniter.expand(cron)
    except (CroniterError, ValueError, KeyError, TypeError, IndexError) as error:
        raise _not_a_cron() from error
    if _closest(minutes, hours) < CLOSEST_MINUTES:
        raise StudioError(
            N_("A schedule runs every {minutes} minutes at the most.").format(minutes=CLOSEST_MINUTES), field="cron"
        )
    return cron


def _not_a_cron() -> StudioError:
    return StudioError(
        N_(
            "Write five fields: minute, hour, day of the month, month, day of the week. "
            "“0 9 * * mon-fri” is nine o'clock on working days."
        ),
        field="cron",
    )


def _closest(minutes: Sequence[int | str], hours: Sequence[int | str]) -> int:
    """Return how many minutes lie at least between two times, over midnight too."""
    every_minute = range(60) if minutes == ["*"] else minutes
    every_hour = range(24) if hours == ["*"] else hours
    times = sorted({int(hour) * 60 + int(minute) for hour in every_hour for minute in every_minute})
    return min(later - earlier for earlier, later in pairwise([*times, times[0] + _DAY_MINUTES]))


def next_after(moment: datetime, *, cron: str, zone: str) -> datetime | None:
    """Return the first time of a repetition after `moment`, in UTC; None if there is none in years to come."""
    return next(times_after(moment, cron=cron, zone=zone), None)


def times_after(moment: datetime, *, cron: str, zone: str) -> Iterator[datetime]:
    """Yield the times of a repetition after `moment`, in UTC and in order, each once."""
    wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    # Local times as plain figures: croniter's own leaps would run a repeated hour twice.
    coming = croniter(cron, wall, ret_type=datetime, max_years_between_matches=_YEARS_WITHOUT_A_TIME)
    last = moment
    while True:
        try:
            found = in_utc(coming.get_next(datetime), zone)
        except (CroniterBadDateError, OverflowError):
            return
        if found > last:
            yield found
            last = found


def in_utc(wall: datetime, zone: str) -> datetime:
    """Return the moment, in UTC, of a local time without a zone; see above for what the clock skips or repeats."""
    first = wall.replace(tzinfo=ZoneInfo(zone), fold=0)
    before, after = first.utcoffset(), first.replace(fold=1).utcoffset()
    assert before is not None and after is not None  # noqa: S101  # a zone of the tz database always knows
    if before >= after:  # an ordinary time, or the first of two
        return first.astimezone(UTC)
    earliest = (wall - after).replace(tzinfo=UTC)
    return earliest + timedelta(seconds=_leap(earliest, round((after - before).total_seconds()), zone, after))


def _leap(start: datetime, seconds: int, zone: str, after: timedelta) -> int:
    """Return how many seconds after `start`, at most `seconds`, the zone begins to be `after` ahead of UTC."""
    place = ZoneInfo(zone)

    def has_leapt(second: int) -> bool:
        return (start + timedelta(seconds=second)).astimezone(place).utcoffset() == after

    return bisect_left(range(seconds), True, key=has_leapt)


def read_moment(written: datetime, *, zone: str, now: datetime, field: str) -> datetime:
    """Return a moment to come, in UTC; without a zone of its own it is local in `zone`.

    Raises StudioError for one that is past, or further ahead than anybody plans.
    """
    if written.year < now.year - 1:
        raise _past(field)
    if written.year > (now + LONGEST_AHEAD).year + 1:
        raise _too_far(field)
    moment = in_utc(written, zone) if written.tzinfo is None else written.astimezone(UTC)
    if moment <= now:
        raise _past(field)
    if moment > now + LONGEST_AHEAD:
        raise _too_far(field)
    return moment


def _past(field: str) -> StudioError:
    return StudioError(N_("That time is past. Choose one that is still to come."), field=field)


def _too_far(field: str) -> StudioError:
    return StudioError(N_("That is too far ahead. Choose a time within five years."), field=field)
