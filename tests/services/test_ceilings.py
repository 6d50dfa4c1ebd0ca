"""How many things of a kind may be kept: as many as the table says, for each organisation or person, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from imagegen.core.errors import StudioError
from imagegen.extensions import db
from imagegen.models import Collection, SavedSearch, Schedule, Tag, organisation_scope, unit_of_work
from imagegen.services import ceilings, library, schedules
from imagegen.services.ceilings import CEILINGS, Ceiling
from imagegen.services.generation import GenerationRequest
from imagegen.services.library import collections, searches
from imagegen.services.library import tags as library_tags
from imagegen.services.library.wishes import Wish
from imagegen.services.schedules import When
from tests.conftest import MakePerson, Person
from tests.web.rows import make_job

Make = Callable[[Person, str], object]


def make_search(person: Person, name: str) -> object:
    return searches.save(
        organisation_id=person.organisation.id, user_id=person.user.id, name=name, wish=Wish(q="waves")
    )


def make_tag(person: Person, name: str) -> object:
    (image,) = make_job(person).images
    return library.tag_all(public_ids=[image], names=[name])


def make_collection(person: Person, name: str) -> object:
    return collections.make(organisation_id=person.organisation.id, user_id=person.user.id, name=name)


def make_schedule(person: Person, name: str) -> object:
    return schedules.create(
        organisation_id=person.organisation.id,
        user_id=person.user.id,
        request=GenerationRequest(prompt="a wave", provider="local"),
        when=When(cron="0 9 * * *"),
        name=name,
    )


MAKE: dict[type[object], Make] = {
    SavedSearch: make_search,
    Tag: make_tag,
    Collection: make_collection,
    Schedule: make_schedule,
}


@pytest.fixture(autouse=True)
def scope(ann: Person) -> Iterator[None]:
    with organisation_scope(ann.organisation.id):
        yield


def test_everything_that_has_a_ceiling_is_made_here() -> None:
    assert set(MAKE) == set(CEILINGS)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same table, with little room."""
    few = {table: Ceiling(2, ceiling.sentence) for table, ceiling in CEILINGS.items()}
    monkeypatch.setattr(ceilings, "CEILINGS", few)


@pytest.mark.parametrize("table", MAKE, ids=lambda table: table.__tablename__)
def test_one_more_than_the_table_says_is_refused_in_words_until_one_goes(
    two: None, ann: Person, make_person: MakePerson, table: type[object]
) -> None:
    make = MAKE[table]
    make(ann, "one")
    make(ann, "two")

    with pytest.raises(StudioError, match=r"2 .*already, and no more fit\. Delete one first\.") as refused:
        make(ann, "three")
    assert refused.value.status == 422

    bob = make_person("bob@two.example", "Two")
    with organisation_scope(bob.organisation.id):
        make(bob, "of another organisation")
    with unit_of_work() as uow:
        uow.delete(uow.query(table).order_by(table.id).first())  # type: ignore[attr-defined]
    make(ann, "three")


def test_a_collection_that_begins_with_pictures_counts_as_any_other(two: None, ann: Person) -> None:
    make_collection(ann, "one")
    make_collection(ann, "two")
    with pytest.raises(StudioError, match="collections already"):
        collections.begin(
            organisation_id=ann.organisation.id,
            user_id=ann.user.id,
            name="three",
            image_ids=make_job(ann).images,
        )


def test_a_persons_searches_leave_room_for_a_colleagues(two: None, ann: Person, eve: Person) -> None:
    for name in ("one", "two"):
        make_search(ann, name)
    make_search(eve, "mine")


def test_tags_that_are_there_are_put_on_pictures_when_no_more_fit(two: None, ann: Person) -> None:
    make_tag(ann, "one")
    make_tag(ann, "two")
    assert make_tag(ann, "One")
    (image,) = make_job(ann).images
    with pytest.raises(StudioError):
        library.tag_all(public_ids=[image], names=["one", "three"])
    assert [tag.name for tag in library_tags.all_tags()] == ["one", "two"]


def test_a_schedule_that_is_over_takes_no_room(two: None, ann: Person) -> None:
    make_schedule(ann, "one")
    make_schedule(ann, "two")
    with unit_of_work() as uow:
        uow.query(Schedule).filter(Schedule.name == "one").update({"next_at": None})
    db.session.rollback()
    make_schedule(ann, "three")
