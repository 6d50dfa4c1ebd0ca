"""Several people who change the same pictures, tags and collections at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import select, text, update

from imagegen.core.errors import NotFound
from imagegen.extensions import db, in_app_context
from imagegen.models import Image, organisation_scope, unit_of_work
from imagegen.services import library
from imagegen.services.library import collections, indexing, tags
from tests.models.rows import Member
from tests.services.library.conftest import Add, found

MANY = 8


def together(ann: Member, act: Callable[[int], object]) -> None:
    """Do it `MANY` times at once; raises what one of them raised."""

    def run(number: int) -> None:
        with organisation_scope(ann.organisation_id):
            act(number)

    with ThreadPoolExecutor(MANY) as pool:
        list(pool.map(in_app_context(run), range(MANY)))


def test_tags_that_are_new_to_all_of_them_are_made_once(ann: Member, add: Add) -> None:
    images = [add(sha256=f"{number:064x}") for number in range(2)]
    names = ["Launch", "Sea", "Autumn", "Blue"]

    def tag(number: int) -> None:
        tags.tag_all(public_ids=[images[number % 2].public_id], names=names[number % 3 :])

    together(ann, tag)
    assert sorted(tag.name for tag in tags.all_tags()) == sorted(names)


def test_a_tag_that_is_deleted_meanwhile_is_made_anew_or_gone(ann: Member, add: Add) -> None:
    image = add()
    for _ in range(5):
        tags.tag_all(public_ids=[image.public_id], names=["Launch"])

        def change(number: int, tag_id: str = tags.all_tags()[0].public_id) -> None:
            if number % 2:
                tags.tag_all(public_ids=[image.public_id], names=["Launch"])
            else:
                with suppress(NotFound):
                    tags.remove(public_id=tag_id)

        together(ann, change)


def test_a_collection_that_is_deleted_meanwhile_takes_nothing(ann: Member, add: Add) -> None:
    images = [add(sha256=f"{number:064x}").public_id for number in range(3)]
    for round_ in range(5):
        made = collections.make(organisation_id=ann.organisation_id, user_id=ann.user_id, name=f"Sea {round_}")

        def change(number: int, public_id: str = made.public_id) -> None:
            with suppress(NotFound):
                if number == MANY // 2:
                    collections.remove(public_id=public_id)
                else:
                    collections.put_in(public_id=public_id, image_ids=images)

        together(ann, change)
    assert collections.all_collections() == []


@pytest.mark.databases("postgresql")
def test_the_index_knows_what_two_have_changed_of_one_picture(ann: Member, add: Add) -> None:
    """The second one writes the row as it is once the first one is through."""
    image = add(filename="dunes.png")

    def tag() -> None:
        with organisation_scope(ann.organisation_id):
            tags.tag_all(public_ids=[image.public_id], names=["Launch"])

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as uow:
            uow.execute(update(Image).where(Image.id == image.id).values(favourite=True))
            indexing.reindex(uow, [image.id])
            other = pool.submit(in_app_context(tag))
            wait_until_somebody_waits()
        other.result()
    assert found(filter="favourites") == found(tag="launch") == ["dunes.png"]
    assert library.get_image(image.public_id).favourite


@pytest.mark.databases("postgresql")
def test_who_waits_for_a_picture_holds_none_that_came_after_it(
    ann: Member, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who change many of the same pictures would wait for each other otherwise, in whatever batches they go."""
    monkeypatch.setattr(indexing, "BATCH", 2)
    ids = [add(sha256=f"{number:064x}").id for number in range(4)]

    def change(image_ids: list[int]) -> None:
        with organisation_scope(ann.organisation_id), unit_of_work() as uow:
            indexing.reindex(uow, image_ids)

    with ThreadPoolExecutor(2) as pool:
        with unit_of_work() as uow:
            uow.execute(select(Image.id).where(Image.id == ids[0]).with_for_update())
            waits = pool.submit(in_app_context(change), ids)
            wait_until_somebody_waits()
            pool.submit(in_app_context(change), ids[1:3]).result(timeout=10)
        waits.result()


def wait_until_somebody_waits() -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    until = time.monotonic() + 10
    with db.engine.connect() as connection:
        while not connection.scalar(waiting):
            assert time.monotonic() < until, "nobody waits"
            connection.rollback()
            time.sleep(0.02)
