"""A search that takes long: the pages are short then, and together still exactly what fits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from imagegen.models import Image
from imagegen.services import library
from imagegen.services.library import Wish, marks, shapes, windows
from tests.models.rows import Member, add_member
from tests.services.library.conftest import add_picture

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = ("dusk", "lighthouse", "bicycle", "violin")


@pytest.fixture
def pictures(ann: Member, monkeypatch: pytest.MonkeyPatch) -> list[Image]:
    """Pictures among those of somebody else, that did not come in the order of their days.

    Windows are so small that there are more of them than SQLite's statement has branches.
    """
    monkeypatch.setattr(shapes, "WALK", dict.fromkeys(shapes.WALK, 2))
    monkeypatch.setattr(shapes, "SORTED_WALK", 2)
    monkeypatch.setattr(shapes, "RARE", 0)
    monkeypatch.setattr(marks, "WINDOW_BITS", (1, 2))
    monkeypatch.setattr(marks, "ERA", 4)
    bob, random, made = add_member("bob", "Two"), Random(11), []
    for number in range(60):
        picture = add_picture(
            bob if number % 4 == 3 else ann,
            filename=f"{number}.png",
            prompt=" ".join(random.sample(WORDS, 2)),
            created_at=NOON + timedelta(days=random.randrange(40)),
        )
        made.append(picture)
    return [picture for picture in made if picture.organisation_id == ann.organisation_id]


def paged(**wishes: Any) -> list[list[int]]:
    """Return the ids of each page."""
    found, cursor = [], None
    while True:
        page = library.list_images(Wish(**wishes), cursor=cursor, limit=5)
        found.append([row.id for row in page.items])
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("patience", [0.0, 60.0])
@pytest.mark.parametrize("sort", ["newest", "oldest"])
@pytest.mark.parametrize("q", ["dusk", "dusk violin", "light bicycle", "zebra", "d"])
def test_pages_together_are_what_fits_however_soon_the_time_is_over(
    pictures: list[Image], monkeypatch: pytest.MonkeyPatch, patience: float, sort: str, q: str
) -> None:
    monkeypatch.setattr(windows, "PATIENCE", patience)
    fitting = [picture.id for picture in pictures if all(word in (picture.prompt or "") for word in q.split())]

    found = paged(q=q, sort=sort)

    assert [each for page in found for each in page] == sorted(fitting, reverse=sort == "newest")
    assert all(len(page) == 5 for page in found[:-1]) or patience == 0.0
    assert len(found) > 2 or patience > 0.0


@pytest.mark.parametrize("patience", [0.0, 60.0])
@pytest.mark.parametrize("sort", ["newest", "oldest", "name"])
@pytest.mark.parametrize(("first", "days"), [(0, 1), (3, 4), (10, 40), (39, 0), (60, 9), (5, -2)])
@pytest.mark.parametrize("q", ["", "dusk"])
def test_days_are_found_in_whatever_order_they_came(
    pictures: list[Image], monkeypatch: pytest.MonkeyPatch, patience: float, sort: str, first: int, days: int, q: str
) -> None:
    monkeypatch.setattr(windows, "PATIENCE", patience)
    since, until = (NOON + timedelta(days=first)).date(), (NOON + timedelta(days=first + days)).date()
    fitting = [
        picture for picture in pictures if since <= picture.created_at.date() <= until and q in (picture.prompt or "")
    ]
    fitting.sort(key=lambda picture: picture.filename if sort == "name" else picture.id, reverse=sort == "newest")

    found = paged(q=q, sort=sort, since=since, until=until)

    assert [each for page in found for each in page] == [picture.id for picture in fitting]
    assert library.count_images(Wish(q=q, since=since, until=until)) == len(fitting)


@pytest.mark.parametrize("sort", ["newest", "oldest", "name"])
def test_nothing_is_found_where_there_is_nothing(pictures: list[Image], sort: str) -> None:
    for wishes in ({"filter": "trash", "q": "dusk"}, {"filter": "trash", "since": NOON.date()}):
        assert paged(**wishes, sort=sort) == [[]]
        assert library.count_images(Wish(**wishes)) == 0


@pytest.mark.parametrize("sort", ["newest", "oldest"])
def test_nothing_is_found_in_a_library_of_nobody_yet(ann: Member, sort: str) -> None:
    assert paged(q="dusk", sort=sort) == paged(since=NOON.date(), sort=sort) == [[]]
