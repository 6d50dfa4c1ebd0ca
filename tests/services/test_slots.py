"""Local times as moments, where clocks leap, and what is no time at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegen.core.errors import StudioError
from imagegen.services import slots

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
"""Leaps of an hour at 1:00 UTC, of an hour at 2:00 local, and of half an hour."""

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).isoformat(sep=" ", timespec="minutes")


def times(cron: str, zone: str, after: str, count: int) -> list[str]:
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    return [local(moment, zone) for moment in islice(slots.times_after(start, cron=cron, zone=zone), count)]


@pytest.mark.parametrize(
    ("zone", "cron", "day", "moment"),
    [
        (BERLIN, "30 2 * * *", "2026-03-29", "2026-03-29 03:00+02:00"),
        (NEW_YORK, "30 2 * * *", "2026-03-08", "2026-03-08 03:00-04:00"),
        (LORD_HOWE, "15 2 * * *", "2026-10-04", "2026-10-04 02:30+11:00"),
        ("America/Sao_Paulo", "0 0 * * *", "2018-11-04", "2018-11-04 01:00-02:00"),
    ],
)
def test_a_time_that_the_clock_skips_is_the_first_moment_after_it(
    zone: str, cron: str, day: str, moment: str
) -> None:
    before = datetime.fromisoformat(day) - timedelta(hours=1)
    found = times(cron, zone, before.isoformat(), 2)
    assert found[0] == moment
    hour, minute = cron.split()[1], cron.split()[0]
    assert found[1].split()[1].startswith(f"{int(hour):02}:{int(minute):02}")


@pytest.mark.parametrize(
    ("zone", "cron", "day", "moment"),
    [
        (BERLIN, "30 2 * * *", "2026-10-25", "2026-10-25 02:30+02:00"),
        (NEW_YORK, "30 1 * * *", "2026-11-01", "2026-11-01 01:30-04:00"),
        (LORD_HOWE, "45 1 * * *", "2026-04-05", "2026-04-05 01:45+11:00"),
    ],
)
def test_a_time_that_the_clock_shows_twice_runs_once(zone: str, cron: str, day: str, moment: str) -> None:
    first, second = times(cron, zone, day, 2)
    assert first == moment
    assert second.startswith(str(datetime.fromisoformat(day).date() + timedelta(days=1)))


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])
def test_whoever_asks_within_the_repeated_time_gets_the_next_one(zone: str) -> None:
    """Also a scheduler that starts in the second of the two."""
    days = {BERLIN: "2026-10-25", NEW_YORK: "2026-11-01", LORD_HOWE: "2026-04-05"}
    start = datetime.fromisoformat(days[zone]).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    whole = list(islice(slots.times_after(start, cron="*/15 * * * *", zone=zone), 30))
    for minute in range(0, 300, 5):
        moment = start + timedelta(minutes=minute)
        assert slots.next_after(moment, cron="*/15 * * * *", zone=zone) == next(t for t in whole if t > moment)


def test_what_comes_every_quarter_of_an_hour_skips_the_gap_and_rests_in_the_repeated_hour() -> None:
    assert times("*/15 * * * *", BERLIN, "2026-03-29T01:30", 3) == [
        "2026-03-29 01:45+01:00",
        "2026-03-29 03:00+02:00",
        "2026-03-29 03:15+02:00",
    ]
    assert times("*/15 * * * *", BERLIN, "2026-10-25T02:30", 2) == [
        "2026-10-25 02:45+02:00",
        "2026-10-25 03:00+01:00",
    ]


@given(
    start=st.integers(1_577_836_800, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "Africa/Casablanca", "Asia/Kathmandu", "UTC"]),
    cron=st.sampled_from(["*/15 * * * *", "30 2 * * *", "0 0 1 * *", "45 1 * * sun", "0 12 l * *"]),
)
def test_times_come_in_order_and_asking_again_gives_the_same(start: datetime, zone: str, cron: str) -> None:
    found = list(islice(slots.times_after(start, cron=cron, zone=zone), 6))
    assert found[0] > start
    for earlier, later in pairwise(found):
        assert earlier < later == slots.next_after(earlier, cron=cron, zone=zone)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0 9 * * mon-fri", "0 9 * * mon-fri"),
        ("  0\t9  *  * MON ", "0 9 * * mon"),
        ("*/15 * * * *", "*/15 * * * *"),
        ("0,30 8-18/2 * jan,jul *", "0,30 8-18/2 * jan,jul *"),
        ("0 0 L * *", "0 0 l * *"),
        ("0 9 * * fri#2", "0 9 * * fri#2"),
    ],
)
def test_a_repetition_has_one_spelling(written: str, read: str) -> None:
    assert slots.read_cron(written) == read


@pytest.mark.parametrize(
    "written",
    [
        "",
        "* * * *",
        "0 9 * * * *",
        "@daily",
        "60 * * * *",
        "0 24 * * *",
        "0 0 0 * *",
        "0 0 * * 8",
        "0 0 * 13 *",
        "*/0 0 * * *",
        "h 0 * * *",
        "r 0 * * *",
        "h(0-9) 0 * * *",
        "? 0 * * *",
        "٣ 0 * * *",
        "0 9 * * mo",
        "0 9 1,, * *",
        "99999999999999999999 0 * * *",
        "0 9 * * " + ",".join(["mon"] * 60),
        "0 9 * * \0",
    ],
)
def test_what_is_no_repetition_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(StudioError, match="five fields") as caught:
        slots.read_cron(written)
    assert caught.value.field == "cron"


@pytest.mark.parametrize("written", ["* * * * *", "*/10 * * * *", "0,50 * * * *", "0,59 0,23 * * *", "0-1 3 * * *"])
def test_closer_than_a_quarter_of_an_hour_is_refused(written: str) -> None:
    with pytest.raises(StudioError, match="every 15 minutes at the most"):
        slots.read_cron(written)


def test_a_day_that_never_comes_is_none_and_takes_no_time() -> None:
    assert slots.next_after(NOW, cron="0 0 31 2 *", zone=BERLIN) is None
    assert slots.next_after(NOW, cron="0 0 29 2 *", zone="UTC") == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-12-24T18:00", "2026-12-24T17:00+00:00"),  # of nobody's zone: the organisation's
        ("2026-12-24T18:00Z", "2026-12-24T18:00+00:00"),
        ("2026-12-24T18:00+14:00", "2026-12-24T04:00+00:00"),
        ("2027-03-28T02:30", "2027-03-28T01:00+00:00"),  # skipped
        ("2027-10-31T02:30", "2027-10-31T00:30+00:00"),  # shown twice
    ],
)
def test_a_time_to_come_is_read_in_its_zone_or_the_organisations(written: str, read: str) -> None:
    moment = slots.read_moment(datetime.fromisoformat(written), zone=BERLIN, now=NOW, field="at")
    assert moment == datetime.fromisoformat(read)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("2026-11-21T12:00Z", "is past"),
        ("2026-11-21T12:59", "is past"),  # 11:59 in UTC
        ("1970-01-01T00:00", "is past"),
        ("0001-01-01T00:00+14:00", "is past"),
        ("0001-01-01T00:00", "is past"),
        ("9999-12-31T23:59", "too far ahead"),
        ("9999-12-31T23:59-12:00", "too far ahead"),
        ("2031-12-01T00:00", "too far ahead"),
    ],
)
def test_what_is_past_or_too_far_ahead_is_refused(written: str, sentence: str) -> None:
    with pytest.raises(StudioError, match=sentence) as caught:
        slots.read_moment(datetime.fromisoformat(written), zone=BERLIN, now=NOW, field="at")
    assert (caught.value.field, caught.value.status) == ("at", 422)
