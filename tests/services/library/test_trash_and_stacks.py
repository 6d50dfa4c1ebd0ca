"""The trash gives back what it took; the variants of a job stand as one, whichever of them are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import event

from imagegen.core.errors import Conflict, NotFound
from imagegen.extensions import db
from imagegen.models import Image, organisation_scope, unit_of_work
from imagegen.services import library
from imagegen.services.library import Wish, reading, usage
from tests.models.rows import Member, add_member, submit
from tests.services.library.conftest import Add, add_picture, found


def stack_sizes() -> list[int]:
    """Return the sizes of the stacks in the grid."""
    return [row.stack_size for row in library.list_images(Wish(stack=True)).items]


def marked() -> list[str]:
    """Return the names of pictures that are said to look like an earlier one."""
    rows = library.list_images(columns=(Image.id, Image.filename, library.LOOKS_LIKE_EARLIER)).items
    return [row.filename for row in rows if row.near]


@pytest.fixture
def variants(ann: Member, add: Add) -> list[Image]:
    """Three pictures of one job, and one of none."""
    job = submit(ann, n=3)
    made = [add(job_id=job.id, kind="ai_generated", prompt="waves", filename=f"waves-{n}.png") for n in range(3)]
    return [*made, add(filename="alone.png")]


def test_what_goes_into_the_trash_comes_back_as_it_was(add: Add) -> None:
    ids = [add(filename=f"{n}.png").public_id for n in range(4)]
    library.star(public_id=ids[1], on=True)

    assert library.put_into_trash(public_ids=[ids[1], ids[2], "nonsense"]) == ids[1:3]
    assert found() == ["3.png", "0.png"]
    assert found(filter="trash") == ["2.png", "1.png"]
    assert found(filter="favourites") == []
    assert library.put_into_trash(public_ids=ids[1:3]) == []

    assert library.restore_all(public_ids=ids) == ids[1:3]
    assert found() == ["3.png", "2.png", "1.png", "0.png"]
    assert found(filter="favourites") == ["1.png"]


def test_however_many_pictures_go_it_takes_the_same_statements(ann: Member, add: Add) -> None:
    asked: list[str] = []

    def taken(verb: Callable[..., list[str]], ids: list[str]) -> int:
        asked.clear()
        assert len(verb(public_ids=ids)) == len(ids)
        return len(asked)

    def made(count: int) -> list[str]:
        """Return one picture of two of as many jobs."""
        jobs = [submit(ann, n=2).id for _ in range(count)]
        return [add(job_id=job_id, kind="ai_generated").public_id for job_id in jobs for _ in range(2)][::2]

    few, many = made(2), made(12)
    verbs = (library.put_into_trash, library.restore_all, library.put_into_trash, library.delete_for_ever)

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        for verb in verbs:
            assert taken(verb, few) == taken(verb, many)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_only_what_lies_in_the_trash_is_deleted_for_ever(add: Add) -> None:
    ids = [add(filename=f"{n}.png").public_id for n in range(2)]
    library.trash(public_id=ids[0])

    assert library.delete_for_ever(public_ids=ids) == ids[:1]
    assert found(filter="trash") == []
    assert found() == ["1.png"]
    with pytest.raises(NotFound):
        library.restore(public_id=ids[0])


def test_another_organisations_pictures_are_out_of_reach(ann: Member, add: Add) -> None:
    mine = add().public_id
    bob = add_member("bob", "Two")
    with organisation_scope(bob.organisation_id):
        assert library.put_into_trash(public_ids=[mine]) == []
        assert library.star_all(public_ids=[mine], on=True) == []
        assert library.tag_all(public_ids=[mine], names=["Mine"]) == {}
        with pytest.raises(NotFound):
            library.trash(public_id=mine)
    assert found() == ["picture.png"]


def test_variants_stand_as_one_with_their_number(variants: list[Image]) -> None:
    assert found(stack=True) == ["alone.png", "waves-0.png"]
    assert stack_sizes() == [1, 3]
    assert len(found()) == 4
    assert found(stack=True, q="wav") == ["waves-0.png"]


def test_where_the_first_variant_goes_the_next_stands_for_the_rest(variants: list[Image]) -> None:
    first, second, third, _ = (image.public_id for image in variants)
    library.trash(public_id=first)
    assert found(stack=True) == ["alone.png", "waves-1.png"] and stack_sizes() == [1, 2]
    library.put_into_trash(public_ids=[second, third])
    assert found(stack=True) == ["alone.png"]
    library.restore_all(public_ids=[third, first])
    assert found(stack=True) == ["alone.png", "waves-0.png"] and stack_sizes() == [1, 2]


def test_a_filter_that_tells_variants_apart_shows_each(variants: list[Image]) -> None:
    library.star_all(public_ids=[image.public_id for image in variants[1:3]], on=True)
    assert found(stack=True, filter="favourites") == ["waves-2.png", "waves-1.png"]


def test_what_another_model_has_drawn_in_its_place_is_found_by_that(ann: Member, add: Add) -> None:
    job = submit(ann, n=2)
    for n, (provider, model) in enumerate([("openai", "gpt-image-1"), ("local", "sketch")]):
        add(job_id=job.id, kind="ai_generated", filename=f"{n}.png", provider=provider, model=model)
    assert found(stack=True, provider="local") == found(stack=True, model="sketch") == ["1.png"]


def test_a_version_is_a_use_of_its_source_as_long_as_there_is_one(add: Add) -> None:
    source = add(filename="source.png")
    version = add(filename="version.png", kind="edited", parent_id=source.id, title="Brighter")

    def used() -> int | None:
        db.session.rollback()
        return db.session.scalar(db.select(Image.usage_count).where(Image.id == source.id))

    assert used() == 1
    assert library.get_image(source.public_id).last_used_at is not None
    (use,) = usage.where_used([source.id, version.id])[source.id]
    assert (use.kind, use.found and use.found.label) == ("version", "Brighter")
    assert usage.where_used([source.id], warning=True) == {}
    assert found(filter="unused") == ["version.png"]
    assert found(sort="most_used") == ["source.png", "version.png"]

    library.trash(public_id=version.public_id)
    library.delete_for_ever(public_ids=[version.public_id])
    assert used() == 0
    assert found(filter="unused") == ["source.png"]


def test_of_many_versions_the_first_are_shown_and_the_one_itself(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_VERSIONS", 3)
    source = add()
    copies = [add(parent_id=source.id) for _ in range(4)]
    of_copy = add(parent_id=copies[0].id)

    def shown(image: Image) -> list[int]:
        return [row.id for row in library.versions(image)]

    assert shown(of_copy) == [source.id, copies[0].id, of_copy.id]
    assert shown(copies[3]) == [source.id, copies[0].id, copies[3].id]
    assert shown(source) == [source.id, copies[0].id, copies[1].id]
    monkeypatch.setattr(reading, "_MOST_LOOKED_AT", 1)
    assert shown(copies[3]) == [source.id, copies[3].id]
    library.put_into_trash(public_ids=[row.public_id for row in (source, *copies[1:], of_copy)])
    assert shown(copies[0]) == []


def test_however_often_a_picture_is_used_a_few_uses_are_told(
    ann: Member, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def found(references: Sequence[str]) -> dict[str, usage.Found]:
        asked.append(len(references))
        return {each: usage.Found(each, "library.detail", {}) for each in references}

    monkeypatch.setattr(usage, "_kinds", dict(usage._kinds))
    usage.register("poster")(found)
    image = add()
    for n in range(8):
        with unit_of_work() as uow:
            usage.use(uow, kind="poster", reference=f"poster {n}", image_ids=[image.id])
    monkeypatch.setattr(usage, "MOST_TOLD", 7)

    assert [use.reference for use in usage.where_used([image.id])[image.id]] == [f"poster {n}" for n in range(7)]
    with pytest.raises(Conflict, match="in use: poster 0, poster 1, poster 2, poster 3, poster 4, …"):
        usage.check_free(image)
    assert asked == [7, 7]


def test_all_that_fits_is_changed_batch_by_batch(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagegen.services.library.selecting.MOST_AT_ONCE", 3)
    for n in range(8):
        add(filename=f"{n}.png", kind="uploaded" if n % 4 else "edited")

    sizes = [len(library.put_into_trash(public_ids=ids)) for ids in library.batches(Wish(filter="uploaded"))]
    assert sizes == [3, 3]
    assert found() == ["4.png", "0.png"]


def test_the_same_bytes_are_known_again(ann: Member, add: Add) -> None:
    first = add(sha256="a" * 64, received_sha256="b" * 64)
    add(sha256="a" * 64)
    bob = add_member("bob", "Two")
    with organisation_scope(bob.organisation_id):
        assert library.find_duplicate("a" * 64) is None
    for sha256 in ("a" * 64, "b" * 64):
        again = library.find_duplicate(sha256)
        assert again is not None and again.id == first.id
    library.trash(public_id=first.public_id)
    assert library.find_duplicate("b" * 64) is None
    assert library.find_duplicate("b" * 64, trashed=True) is not None


@pytest.mark.parametrize("column", ["sha256", "received_sha256"])
def test_what_lies_in_the_trash_is_not_taken_out_for_the_same_bytes_in_the_library(add: Add, column: str) -> None:
    first = add(received_sha256="b" * 64)
    second = add(**{column: "b" * 64})
    library.trash(public_id=first.public_id)
    again = library.find_duplicate("b" * 64, trashed=True)
    assert again is not None and again.id == second.id


@pytest.mark.parametrize(("bits", "alike"), [(0, True), (6, True), (7, False), (20, False)])
def test_pictures_that_look_alike_are_those_whose_hashes_differ_little(
    ann: Member, add: Add, bits: int, alike: bool
) -> None:
    number = 0x0123_4567_89AB_CDEF
    for bit in range(bits):
        number ^= 1 << (bit * 11 % 64)
    first = add(filename="first.png", phash=f"{0x0123_4567_89AB_CDEF:016x}")
    second = add(filename="second.png", phash=f"{number:016x}")
    add_picture(add_member("bob", "Two"), phash=f"{number:016x}")

    names = [row.filename for row in library.near_duplicates(second)]
    assert names == (["first.png"] if alike else [])
    listed = ["second.png"] if alike else []
    assert found(near=True) == marked() == listed
    library.trash(public_id=first.public_id)
    assert library.near_duplicates(second) == [] == found(near=True) == marked()
    library.restore(public_id=first.public_id)
    assert found(near=True) == listed


def test_variants_of_a_job_are_no_near_duplicates(ann: Member, add: Add) -> None:
    job = submit(ann, n=2)
    for n in range(2):
        add(job_id=job.id, filename=f"{n}.png", phash="0123456789abcdef")
    assert found(near=True) == []
