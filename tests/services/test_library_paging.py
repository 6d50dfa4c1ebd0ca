"""The library page by page: every picture once, in order, with one query a page."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from imagegen.core.clock import now
from imagegen.core.errors import NotFound, StudioError
from imagegen.extensions import db
from imagegen.models import Image, organisation_scope, system_scope, unit_of_work
from imagegen.services import library
from tests.models.rows import Member, add_member

KINDS = ("uploaded", "ai_generated", "edited")


@pytest.fixture
def ann(app: Flask) -> Member:
    """A member of the organisation One, with thirty pictures among those of somebody else."""
    ann, bob = add_member(), add_member("bob", "Two")
    with system_scope(), unit_of_work() as uow:
        for number in range(45):
            member = bob if number % 3 == 2 else ann
            uow.add(_picture(member, number))
    return ann


def _picture(member: Member, number: int) -> Image:
    return Image(
        organisation_id=member.organisation_id,
        user_id=member.user_id,
        kind=KINDS[number % 2],
        filename=f"{number}.png",
        mime_type="image/png",
        width=10,
        height=10,
        file_size=1,
        sha256=f"{number:064x}",
        storage_provider="local",
        file_key=f"k{number}",
        renditions=[],
        colours=[],
        favourite=number % 5 == 0,
    )


@contextmanager
def selects() -> Iterator[list[str]]:
    """Collect the queries."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def all_pages(limit: int, **wishes: Any) -> list[list[str]]:
    """Return the file names of every page."""
    pages, cursor = [], None
    while True:
        page = library.list_images(library.Wish(**wishes), limit=limit, cursor=cursor)
        pages.append([row.filename for row in page.items])
        cursor = page.next_cursor
        if cursor is None:
            return pages


@pytest.mark.parametrize("limit", [1, 7, 10, 30, 31, 100])
def test_pages_together_are_the_whole_list_newest_first(ann: Member, limit: int) -> None:
    with organisation_scope(ann.organisation_id):
        whole = list(db.session.scalars(select(Image.filename).order_by(Image.id.desc())))
        pages = all_pages(limit)

    assert [name for page in pages for name in page] == whole
    assert len(whole) == 30
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.parametrize("filter", sorted(library.FILTERS))
def test_every_filter_goes_through_pages_in_the_same_way(ann: Member, filter: str) -> None:
    with organisation_scope(ann.organisation_id):
        (whole,) = all_pages(100, filter=filter)
        pages = all_pages(4, filter=filter)

    assert [name for page in pages for name in page] == whole
    assert len(whole) == len(set(whole))


def test_a_page_is_one_query_however_deep(ann: Member) -> None:
    with organisation_scope(ann.organisation_id):
        cursor = None
        for _ in range(4):
            with selects() as asked:
                page = library.list_images(limit=5, cursor=cursor)
                cursor = page.next_cursor
                assert [row.width for row in page.items] == [10] * 5
            assert len(asked) == 1


def test_a_picture_added_or_deleted_meanwhile_shifts_nothing(ann: Member) -> None:
    with organisation_scope(ann.organisation_id):
        first = library.list_images(limit=10)
        following = [row.filename for row in library.list_images(limit=10, cursor=first.next_cursor).items]
        with unit_of_work() as uow:
            uow.add(_picture(ann, 99))
            uow.execute(update(Image).where(Image.id == first.items[3].id).values(deleted_at=now()))

        again = [row.filename for row in library.list_images(limit=10, cursor=first.next_cursor).items]
    assert again == following


@pytest.mark.parametrize("cursor", ["x", "aQ", "LTE", "i1", "a" * 5000, "é", "aTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
def test_a_cursor_that_is_none_of_ours_is_refused_with_a_sentence(ann: Member, cursor: str) -> None:
    with organisation_scope(ann.organisation_id), pytest.raises(StudioError) as refused:
        library.list_images(cursor=cursor)
    assert refused.value.field == "cursor"


def test_nor_is_one_whose_name_holds_what_no_name_can(ann: Member) -> None:
    forged = base64.urlsafe_b64encode(b"n5.\x00").decode().rstrip("=")
    with organisation_scope(ann.organisation_id), pytest.raises(StudioError) as refused:
        library.list_images(library.Wish(sort="name"), cursor=forged)
    assert refused.value.field == "cursor"


def test_a_filter_that_there_is_not_is_refused(ann: Member) -> None:
    with organisation_scope(ann.organisation_id), pytest.raises(StudioError) as refused:
        library.Wish(filter="everything")
    assert refused.value.field == "filter"


def test_anothers_picture_a_deleted_one_and_nonsense_do_not_exist(ann: Member) -> None:
    with system_scope():
        theirs = db.session.scalars(
            select(Image.public_id).where(Image.organisation_id != ann.organisation_id)
        ).first()
    with organisation_scope(ann.organisation_id):
        mine = library.list_images(limit=1).items[0].public_id
        assert library.get_image(mine).public_id == mine
        with unit_of_work() as uow:
            uow.execute(update(Image).where(Image.public_id == mine).values(deleted_at=now()))
        for public_id in (theirs, mine, "nonsense", mine.upper(), ""):
            with pytest.raises(NotFound):
                library.get_image(public_id)
            with pytest.raises(NotFound):
                library.star(public_id=public_id, on=True)


def test_a_star_keeps_a_picture_in_sight_and_can_be_taken_back(ann: Member) -> None:
    with organisation_scope(ann.organisation_id):
        public_id = library.list_images(limit=1).items[0].public_id
        for on in (True, True, False):
            library.star(public_id=public_id, on=on)
            starred = {
                row.public_id for row in library.list_images(library.Wish(filter="favourites"), limit=100).items
            }
            assert (public_id in starred) is on


def test_the_pictures_beside_one_are_those_of_the_same_organisation(ann: Member) -> None:
    with organisation_scope(ann.organisation_id):
        ids = [row.public_id for row in library.list_images(limit=3).items]
        middle = library.neighbours(library.get_image(ids[1]))
        newest = library.neighbours(library.get_image(ids[0]))

    assert (middle.newer, middle.older) == (ids[0], ids[2])
    assert newest.newer is None


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A lighthouse in fog, at dawn, seen from afar", "a-lighthouse-in-fog-at-dawn-1.png"),
        ("Über den Wölken", "uber-den-wolken-1.png"),
        ("日本語", "picture-1.png"),
        ("../../etc/passwd\n\x00", "etc-passwd-1.png"),
        ("x" * 500, "x" * 60 + "-1.png"),
    ],
)
def test_a_download_is_named_by_the_prompts_first_words_in_plain_letters(prompt: str, name: str) -> None:
    assert library.filename_for(prompt, 0, "image/png") == name
