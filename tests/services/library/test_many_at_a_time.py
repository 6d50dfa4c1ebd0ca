"""What is done to any number of pictures: in transactions so small that nobody waits long for their turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy import event

from imagegen.core.errors import Conflict
from imagegen.extensions import db
from imagegen.models import Image, ImageIndex
from imagegen.services.library import collections, tags
from tests.models.rows import Member
from tests.services.library.conftest import Add, found

FEW = 3


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tags", "collections"):
        monkeypatch.setattr(f"imagegen.services.library.{module}.AT_A_TIME", FEW)


@pytest.fixture(params=[0, 2, 3, 4, 7])
def images(request: pytest.FixtureRequest, add: Add) -> list[Image]:
    return [add(filename=f"{n}.png", sha256=f"{n:064x}") for n in range(request.param)]


@pytest.fixture
def written(images: list[Image]) -> Iterator[list[int]]:
    """How many rows of the index each transaction has written."""
    counts = [0]

    def count(
        _connection: object, _cursor: object, statement: str, given: object, _context: object, many: bool
    ) -> None:
        if statement.startswith(f"INSERT INTO {ImageIndex.__tablename__}"):
            counts[-1] += len(given) if many else 1  # type: ignore[arg-type]

    def end(_connection: object) -> None:
        counts.append(0)

    event.listen(db.engine, "before_cursor_execute", count)
    event.listen(db.engine, "commit", end)
    yield counts
    event.remove(db.engine, "before_cursor_execute", count)
    event.remove(db.engine, "commit", end)


def ids(images: list[Image]) -> list[str]:
    return [image.public_id for image in images]


def test_a_tag_is_renamed_a_few_pictures_at_a_time(ann: Member, images: list[Image], written: list[int]) -> None:
    tags.tag_all(public_ids=ids(images), names=["Sea", "Autumn"])
    autumn, sea = (tag.public_id for tag in tags.all_tags())
    written.clear()
    written.append(0)

    renamed = tags.rename(public_id=sea, name="Ocean")

    assert (renamed.public_id, renamed.name, renamed.key) == (sea, "Ocean", "ocean")
    assert [(tag.public_id, tag.name) for tag in tags.all_tags()] == [
        (autumn, "Autumn"),
        (sea, "Ocean"),
    ]
    assert len(found(tag="ocean")) == len(found(tag="autumn")) == len(images) and found(tag="sea") == []
    assert max(written) <= FEW and sum(written) == len(images)
    with pytest.raises(Conflict):
        tags.rename(public_id=sea, name="autumn")


def test_a_picture_that_gets_the_new_name_meanwhile_has_it_once(
    ann: Member, images: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    tags.tag_all(public_ids=ids(images), names=["Sea"])
    (sea,) = (tag.public_id for tag in tags.all_tags())

    def others_turn(_seconds: float) -> None:
        with suppress(Conflict):
            tags.tag_all(public_ids=ids(images)[-1:], names=["Ocean", "Sea"])

    monkeypatch.setattr("imagegen.services.library.tags.time.sleep", others_turn)
    assert tags.rename(public_id=sea, name="Ocean").public_id == sea
    assert [tag.name for tag in tags.all_tags()] == ["Ocean"]
    assert len(found(tag="ocean")) == len(images)


def test_a_tag_is_taken_off_a_few_pictures_at_a_time(ann: Member, images: list[Image], written: list[int]) -> None:
    tags.tag_all(public_ids=ids(images), names=["Sea", "Autumn"])
    written.clear()
    written.append(0)

    tags.remove(public_id=tags.all_tags()[1].public_id)

    assert [tag.name for tag in tags.all_tags()] == ["Autumn"]
    assert found(tag="sea") == [] and len(found(tag="autumn")) == len(images)
    assert max(written) <= FEW and sum(written) == len(images)


def test_a_collection_is_left_by_a_few_pictures_at_a_time(
    ann: Member, images: list[Image], written: list[int]
) -> None:
    made = collections.make(organisation_id=ann.organisation_id, user_id=ann.user_id, name="Sea")
    collections.put_in(public_id=made.public_id, image_ids=ids(images))
    written.clear()
    written.append(0)

    collections.remove(public_id=made.public_id)

    assert collections.all_collections() == [] and found(collection=made.public_id) == []
    assert len(found()) == len(images)
    assert max(written) <= FEW and sum(written) == len(images)
