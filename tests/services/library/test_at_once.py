"""Several people who change the same pictures, tags and collections at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import delete, inspect, select, text, update

from imagegen.core.errors import NotFound
from imagegen.extensions import db, in_app_context
from imagegen.models import Image, Job, UnitOfWork, organisation_scope, system_scope, unit_of_work, writes
from imagegen.services import library
from imagegen.services.library import collections, indexing, tags
from tests.models.rows import Member, submit
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


@pytest.mark.databases("postgresql")
def test_who_throws_variants_of_the_same_jobs_away_never_waits_for_who_waits_for_them(ann: Member, add: Add) -> None:
    """All that a stack may change is held before anything is: a deadlock would be tried again, but takes a second."""
    jobs = [submit(ann, n=4).id for _ in range(6)]
    ids = [add(job_id=job_id, kind="ai_generated").public_id for job_id in jobs for _ in range(4)]

    def change(number: int) -> None:
        for round_ in range(8):
            some = ids[(number + round_) % 4 :: 4]
            library.put_into_trash(public_ids=some)
            library.restore_all(public_ids=some)

    before = deadlocks()
    together(ann, change)
    assert deadlocks() == before


def deadlocks() -> int:
    with db.engine.connect() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        counted = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return connection.scalar(counted) or 0


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


@pytest.mark.databases("postgresql")
def test_what_is_restored_meanwhile_is_not_deleted_for_ever(ann: Member, add: Add) -> None:
    """Who asked for it saw it in the trash; who took it out of there was told that it is back."""
    image = add()
    library.put_into_trash(public_ids=[image.public_id])

    def delete() -> list[str]:
        with organisation_scope(ann.organisation_id):
            return library.delete_for_ever(public_ids=[image.public_id])

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as uow:
            uow.execute(update(Image).where(Image.id == image.id).values(deleted_at=None))
            indexing.reindex(uow, [image.id])
            late = pool.submit(in_app_context(delete))
            wait_until_somebody_waits()
        assert late.result() == []
    assert found() == ["picture.png"]


@pytest.mark.databases("postgresql")
def test_what_is_deleted_for_ever_meanwhile_is_not_said_to_be_back(ann: Member, add: Add) -> None:
    image = add()
    library.put_into_trash(public_ids=[image.public_id])

    def restore() -> list[str]:
        with organisation_scope(ann.organisation_id):
            return library.restore_all(public_ids=[image.public_id])

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as uow:
            uow.execute(delete(Image).where(Image.id == image.id))
            late = pool.submit(in_app_context(restore))
            wait_until_somebody_waits()
        assert late.result() == []


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("verb", ["tag", "collect", "bring one like it"])
def test_what_is_gone_by_the_time_that_it_is_written_about_is_passed_over(ann: Member, add: Add, verb: str) -> None:
    image = add(phash="0123456789abcdef")
    made = collections.make(organisation_id=ann.organisation_id, user_id=ann.user_id, name="Sea")

    def write() -> object:
        with organisation_scope(ann.organisation_id):
            if verb == "tag":
                return tags.tag_all(public_ids=[image.public_id], names=["Launch"])
            if verb == "collect":
                return collections.put_in(public_id=made.public_id, image_ids=[image.public_id])
            return bring_like(image)

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as uow:
            uow.execute(delete(Image).where(Image.id == image.id))
            late = pool.submit(in_app_context(write))
            wait_until_somebody_waits()
        assert not late.result()


@writes
def bring_like(uow: UnitOfWork, image: Image) -> None:
    library.arrive(uow, copy_of(image, filename="late.png", sha256="f" * 64))


def copy_of(image: Image, **other: object) -> Image:
    facts = {each.key: getattr(image, each.key) for each in inspect(Image).column_attrs}
    for name in ("id", "public_id", "stack_size", "created_at", "updated_at"):
        del facts[name]
    return Image(**(facts | other))


@pytest.fixture
def variants(ann: Member, add: Add) -> list[Image]:
    """The four pictures of a job."""
    job = submit(ann)
    return [add(job_id=job.id, filename=f"waves-{number}.png", sha256=f"{number:064x}") for number in range(4)]


def stacked() -> list[tuple[str, int]]:
    db.session.rollback()
    alive = select(Image.filename, Image.stack_size).where(Image.deleted_at.is_(None)).order_by(Image.id)
    return [(name, size) for name, size in db.session.execute(alive)]


@pytest.mark.databases("postgresql")
def test_a_stack_is_counted_right_where_two_take_from_it(ann: Member, variants: list[Image]) -> None:
    second, third = (image.public_id for image in variants[1:3])

    def trash() -> None:
        with organisation_scope(ann.organisation_id):
            library.trash(public_id=third)

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as uow:
            put_into_trash(uow, [second])
            late = pool.submit(in_app_context(trash))
            wait_until_somebody_waits()
        late.result()
    assert stacked() == [("waves-0.png", 2), ("waves-3.png", 0)]


@pytest.mark.databases("postgresql")
def test_a_picture_that_comes_as_the_first_of_its_stack_goes_is_not_hidden(
    ann: Member, add: Add, variants: list[Image]
) -> None:
    job_id = variants[0].job_id

    def bring() -> None:
        with system_scope(), unit_of_work() as uow:
            # As whoever ends a shot does.
            uow.scalar(select(Job).where(Job.id == job_id).with_for_update())
            library.arrive(uow, copy_of(variants[0], filename="late.png", sha256="f" * 64))

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as uow:
            put_into_trash(uow, [variants[0].public_id])
            late = pool.submit(in_app_context(bring))
            wait_until_somebody_waits()
        late.result()
    assert stacked() == [("waves-1.png", 4), ("waves-2.png", 0), ("waves-3.png", 0), ("late.png", 0)]


def put_into_trash(uow: UnitOfWork, public_ids: list[str]) -> None:
    """Put pictures into the trash in a transaction that goes on."""
    library.put_into_trash.__wrapped__(uow, public_ids=public_ids)  # type: ignore[attr-defined]
