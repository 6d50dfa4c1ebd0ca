"""Whatever is wished for, in whatever order and however deep: the pages together are exactly what fits."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from imagegen.core.errors import StudioError
from imagegen.extensions import db
from imagegen.models import Image, system_scope, unit_of_work
from imagegen.services import library
from imagegen.services.library import Wish, collections, indexing, marks, shapes
from tests.models.rows import Member, add_member
from tests.services.library.conftest import Add, add_picture, found
from tests.services.test_library_paging import selects

COLOURS = {"blue": "#2d5fc8", "red": "#c82828", "white": "#f5f5f2"}
SHAPES = {"portrait": (400, 500), "landscape": (500, 400), "square": (400, 404)}
SUBJECTS = ("lighthouse", "paper boats", "dunes", "light rain")
DAY_ONE = datetime(2026, 1, 30, 12, tzinfo=UTC)

Fits = Callable[[Image], bool]

WISHES: dict[str, tuple[dict[str, Any], Fits]] = {
    "all": ({}, lambda _: True),
    "uploaded": ({"filter": "uploaded"}, lambda row: row.kind == "uploaded"),
    "favourites": ({"filter": "favourites"}, lambda row: row.favourite),
    "unused": ({"filter": "unused"}, lambda row: row.usage_count == 0),
    "a word": ({"q": "lighthouse"}, lambda row: "lighthouse" in (row.prompt or "")),
    "part of a word": ({"q": "IGHTHO"}, lambda row: "lighthouse" in (row.prompt or "")),
    "part of a number": ({"q": "003"}, lambda row: "003" in row.filename),
    "two letters": ({"q": "li"}, lambda row: "light" in (row.prompt or "")),
    "no such word": ({"q": "zebra"}, lambda _: False),
    "a style": ({"style": "minimalist"}, lambda row: row.style == "minimalist"),
    "a colour": ({"colour": "blue"}, lambda row: row.colours == [COLOURS["blue"]]),
    "a shape": ({"orientation": "square"}, lambda row: row.width == 400 and row.height == 404),
    "some days": (
        {"since": date(2026, 2, 1), "until": date(2026, 2, 20)},
        lambda row: date(2026, 2, 1) <= row.created_at.date() <= date(2026, 2, 20),
    ),
    "no day": ({"since": date(2026, 2, 2), "until": date(2026, 2, 1)}, lambda _: False),
    "much at once": (
        {"q": "light", "filter": "uploaded", "colour": "red"},
        lambda row: "light" in (row.prompt or "") and row.kind == "uploaded" and row.colours == [COLOURS["red"]],
    ),
    "the trash": ({"filter": "trash"}, lambda _: True),
    "a word in the trash": ({"filter": "trash", "q": "dunes"}, lambda row: "dunes" in (row.prompt or "")),
}
ORDERS: dict[str, Callable[[Image], Any]] = {
    "newest": lambda row: -row.id,
    "oldest": lambda row: row.id,
    "most_used": lambda row: (-row.usage_count, -row.id),
    "name": lambda row: (row.filename, row.id),
}


@pytest.fixture(params=[1, 7, 2_000], ids=lambda walk: f"walk of {walk}")
def pictures(request: pytest.FixtureRequest, ann: Member, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Image]]:
    """Sixty pictures, some in the trash, among others.

    They are found after walking over few rows or over all; an era is eight ids or more.
    """
    monkeypatch.setattr(shapes, "WALK", dict.fromkeys(shapes.WALK, request.param))
    monkeypatch.setattr(shapes, "PROBE", 3)
    monkeypatch.setattr(shapes, "SORTED_WALK", request.param)
    monkeypatch.setattr(shapes, "RARE", request.param)
    monkeypatch.setattr(marks, "WINDOW_BITS", (3, 5))
    monkeypatch.setattr(marks, "ERA", 4)
    bob, rng, made = add_member("bob", "Two"), random.Random(7), []
    with system_scope(), unit_of_work() as uow:
        for number in range(90):
            made.append(_picture(rng, number, ann if number % 3 else bob))
            uow.add(made[-1])
            uow.flush()
    yield [row for row in made if row.organisation_id == ann.organisation_id]


def _picture(rng: random.Random, number: int, member: Member) -> Image:
    width, height = SHAPES[rng.choice(sorted(SHAPES))]
    return Image(
        organisation_id=member.organisation_id,
        user_id=member.user_id,
        kind=rng.choice(("uploaded", "ai_generated")),
        filename=f"{rng.choice(('launch', 'team'))}-{number % 40:06d}.png",
        prompt=rng.choice((None, *(f"{subject} at dusk" for subject in SUBJECTS))),
        style=rng.choice(("minimalist", None)),
        colours=[COLOURS[rng.choice(sorted(COLOURS))]],
        favourite=rng.random() < 0.3,
        usage_count=rng.choice((0, 0, 1, 2)),
        created_at=DAY_ONE + timedelta(days=number // 2),
        deleted_at=DAY_ONE if rng.random() < 0.3 else None,
        mime_type="image/png",
        width=width,
        height=height,
        file_size=1,
        sha256=f"{number:064x}",
        storage_provider="local",
        file_key="none",
        renditions=[],
    )


def pages(wish: Wish, limit: int) -> list[int]:
    """Return the ids on all pages; each page is one query."""
    cursor, ids = None, []
    while True:
        with selects() as asked:
            page = library.list_images(wish, cursor=cursor, limit=limit)
        assert len(asked) == 1
        ids += [row.id for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return ids


@pytest.mark.parametrize("wished", WISHES)
def test_pages_together_are_what_fits_in_every_order(pictures: list[Image], wished: str) -> None:
    wishes, fits = WISHES[wished]
    place = [row for row in pictures if (row.deleted_at is not None) == (wishes.get("filter") == "trash")]
    for sort, key in ORDERS.items():
        expected = [row.id for row in sorted(filter(fits, place), key=key)]
        wish = Wish(**wishes, sort=sort)

        assert pages(wish, 4) == expected, sort
        assert pages(wish, 100) == expected, sort
        assert library.count_images(wish) == len(expected)
        assert library.count_images(wish, most=3) == min(3, len(expected))


@pytest.fixture(params=[0, 1_000], ids=["looked up", "walked over"])
def reach(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found by the inverted index alone, and by walking alone."""
    monkeypatch.setattr(shapes, "WALK", dict.fromkeys(shapes.WALK, request.param))
    monkeypatch.setattr(shapes, "RARE", request.param)


@pytest.mark.usefixtures("reach")
def test_tags_collections_and_people_narrow(ann: Member, add: Add) -> None:
    ids = [add(filename=f"{n}.png").public_id for n in range(4)]
    library.tag_all(public_ids=ids[:2], names=["Big Launch"])
    made = collections.make(organisation_id=ann.organisation_id, user_id=ann.user_id, name="Press")
    collections.put_in(public_id=made.public_id, image_ids=ids[1:3])

    assert found(tag="big LAUNCH") == ["1.png", "0.png"]
    assert found(tag="launch") == []
    assert found(collection=made.public_id) == ["2.png", "1.png"]
    assert found(collection=made.public_id, tag="Big Launch", q="laun") == ["1.png"]
    assert found(person="0198f2a4-5b6c-7d8e-9f01-23456789abcd") == []
    collections.remove(public_id=made.public_id)
    assert found(collection=made.public_id) == []


@pytest.mark.parametrize(
    ("q", "hit"),
    [
        ("404", True),
        ("0404.jpg", True),
        ("launch-0004", True),
        ("launch 404", True),
        ("aunch", True),
        ("404.j launch-", True),
        ("über", True),
        ("UBER", True),
        ("größe", True),
        ("grosse", True),
        ("50%", True),
        ("%", True),
        ("日本", True),
        ("本", True),
        ("a_b", True),
        ("launch-404", False),
        ("50%0", False),
        ("5_%", False),
        ("_", True),
        ("__", False),
        ("nch-", True),
        ("é" * 300, False),
        ('" OR "', False),
        ("launch*", False),
        ("l:*", False),
        ("\\", False),
        ("'", False),
        ("\U000f0001", True),
    ],
)
@pytest.mark.usefixtures("reach")
def test_a_search_is_taken_by_its_letters(add: Add, q: str, hit: bool) -> None:
    add(filename="launch-000404.jpg", prompt="Über die Größe, 50% a_b 日本語")
    assert found(q=q) == (["launch-000404.jpg"] if hit else [])
    assert library.count_images(Wish(q=q)) == int(hit)


@pytest.mark.usefixtures("reach")
def test_a_long_prompt_and_a_long_word_are_found_by_their_ends(add: Add) -> None:
    add(filename="long.png", prompt="x" * 70 + "needle " + "wave " * 1000 + "last")
    for q in ("needle", "xneedle", "last", "x" * 60):
        assert found(q=q) == ["long.png"], q
    assert found(q="y" + "x" * 60) == []


def test_what_changes_is_found_anew_at_once(add: Add) -> None:
    public_id = add(filename="one.png").public_id
    assert found(q="sunrise") == []
    library.change(public_id=public_id, title="Sunrise", alt_text="Over the sea", tag_names=["Dawn"])
    for q in ("sunrise", "over sea", "dawn"):
        assert found(q=q) == ["one.png"]
    library.change(public_id=public_id, title="Night")
    assert found(q="sunrise") == [] and found(q="night dawn") == ["one.png"]


def test_a_picture_that_a_migration_left_out_is_caught_up_with(ann: Member) -> None:
    add_picture(ann, filename="one.png")
    with unit_of_work() as uow:
        uow.execute(db.text("DELETE FROM image_index"))
    assert found() == []
    with unit_of_work() as uow:
        assert indexing.catch_up(uow.connection()) == 1
        assert indexing.catch_up(uow.connection()) == 0
    assert found(q="one") == ["one.png"]


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"filter": "everything"}, "filter"),
        ({"sort": "best"}, "sort"),
        ({"colour": "mauve"}, "colour"),
        ({"orientation": "round"}, "orientation"),
        ({"since": "yesterday"}, "since"),
    ],
)
def test_a_wish_that_cannot_be_names_its_field(wishes: dict[str, str], field: str) -> None:
    with pytest.raises(StudioError) as refused:
        Wish.from_mapping(wishes)
    assert refused.value.field == field


def test_a_wish_is_kept_and_read_again() -> None:
    wish = Wish(q="waves", sort="name", since=date(2026, 2, 1), stack=True)
    assert wish.to_mapping() == {"q": "waves", "sort": "name", "since": "2026-02-01", "stack": True}
    assert Wish.from_mapping(wish.to_mapping()) == wish
    assert Wish().to_mapping() == {}
