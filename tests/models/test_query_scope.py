"""Whose rows a query touches is decided in one place, whoever wrote the query."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Select, delete, exists, func, insert, select, update
from sqlalchemy.orm import aliased

from imagegen.core.clock import now
from imagegen.engine import claims
from imagegen.extensions import Model, db
from imagegen.models import (
    Attempt,
    Event,
    IdempotencyKey,
    Image,
    Job,
    LedgerEntry,
    Reservation,
    Shot,
    User,
    organisation_scope,
    system_scope,
    unit_of_work,
)
from imagegen.models.scope import OrganisationOwned, ScopeMissing, current_organisation
from imagegen.services import ledger
from tests.models.conftest import Place
from tests.models.rows import submit

OWNED = sorted(
    (mapper.class_ for mapper in Model.registry.mappers if issubclass(mapper.class_, OrganisationOwned)),
    key=lambda owned: owned.__name__,
)
FILLED = (Attempt, Event, IdempotencyKey, Image, Job, LedgerEntry, Reservation, Shot)


@pytest.fixture
def both(one: Place, two: Place) -> tuple[Place, Place]:
    """Two organisations with rows in every table of jobs, money and pictures."""
    for place in (one, two):
        submit(place.member, key="click")
        _spend_on(place)
    return one, two


def _spend_on(place: Place) -> None:
    with system_scope():
        claim = claims.claim(owner="test", lease_seconds=60, lone_only=False)
        assert claim is not None
        with unit_of_work() as uow:
            shot, attempt = uow.get_one(Shot, claim.shot_id), uow.get_one(Attempt, claim.attempt_id)
            job = uow.get_one(Job, shot.job_id)
            uow.add(_picture(job, shot))
            ledger.settle(uow, job=job, shot=shot, attempt=attempt, cost=7, price_date=None)


def _picture(job: Job, shot: Shot) -> Image:
    return Image(
        organisation_id=job.organisation_id,
        user_id=job.user_id,
        job_id=job.id,
        shot_id=shot.id,
        kind="ai_generated",
        filename="a.png",
        mime_type="image/png",
        width=1,
        height=1,
        file_size=1,
        sha256="0" * 64,
        storage_provider="local",
        file_key="k",
        renditions=[],
        colours=[],
    )


def organisations(statement: Select[int]) -> set[int]:
    """Return the organisation ids that `statement` gives."""
    db.session.rollback()
    return set(db.session.scalars(statement))


def _joined(other: type[OrganisationOwned]) -> Select[int]:
    return select(other.organisation_id).select_from(Job).join(other, other.id > 0)


QUERIES: dict[str, Callable[[type[OrganisationOwned]], Select[int]]] = {
    "a column": lambda owned: select(owned.organisation_id),
    "an alias": lambda owned: select(aliased(owned).organisation_id),
    "a subquery": lambda owned: select(select(owned).subquery().c.organisation_id),
    "a common table expression": lambda owned: select(select(owned.organisation_id).cte().c.organisation_id),
    "a union": lambda owned: select(owned.organisation_id).union_all(select(owned.organisation_id)),
    "the far side of a join": lambda owned: _joined(aliased(owned)),
    "a scalar subquery": lambda owned: select(
        select(func.max(owned.organisation_id)).scalar_subquery().label("organisation_id")
    ),
}


@pytest.mark.parametrize("described", QUERIES)
def test_every_kind_of_query_on_every_table_sees_one_organisation(both: tuple[Place, Place], described: str) -> None:
    for owned in FILLED:
        query = QUERIES[described](owned)
        for place in (*both, *both):
            with organisation_scope(place.id):
                assert organisations(query) == {place.id}, owned
    with system_scope():
        seen = {n for owned in FILLED for n in organisations(QUERIES["a column"](owned))}
    assert seen == {place.id for place in both}


def test_every_table_of_an_organisations_rows_is_refused_without_a_scope(app: Flask) -> None:
    assert set(FILLED) <= set(OWNED)
    for owned in OWNED:
        for statement in (
            select(owned),
            select(owned.organisation_id),
            select(func.count()).select_from(owned),
            delete(owned),
        ):
            with pytest.raises(ScopeMissing):
                db.session.execute(statement)
        for hidden in (
            select(exists().where(owned.organisation_id == 1)),
            select(User).where(select(owned.organisation_id).exists()),
        ):
            with pytest.raises(ScopeMissing):
                db.session.execute(hidden)


def test_counting_and_asking_whether_something_exists_is_narrowed(both: tuple[Place, Place]) -> None:
    one, two = both
    with organisation_scope(one.id):
        mine = db.session.scalar(select(func.count()).select_from(Shot))
        assert not db.session.scalar(select(exists().where(Job.id == two.job.id)))
    with organisation_scope(two.id):
        theirs = db.session.scalar(select(func.count(Shot.id)))
    with system_scope():
        assert db.session.scalar(select(func.count(Shot.id))) == mine + theirs
    assert (mine, theirs) == (3, 4)


def test_getting_by_id_gives_nothing_of_another_organisation(both: tuple[Place, Place]) -> None:
    one, two = both
    with organisation_scope(one.id):
        assert db.session.get(Job, one.job.id) is not None
        assert db.session.get(Job, two.job.id) is None
        assert db.session.get(Shot, 1, populate_existing=True) is not None


def test_outer_joins_keep_the_row_and_hide_the_others_half(both: tuple[Place, Place]) -> None:
    one, _ = both
    theirs = aliased(Job)
    query = select(Job.id, theirs.id).outerjoin(theirs, theirs.organisation_id != Job.organisation_id)
    with organisation_scope(one.id):
        assert all(other is None for _, other in db.session.execute(query))
    with system_scope():
        assert any(other is not None for _, other in db.session.execute(query))


def test_updates_and_deletes_reach_one_organisations_rows(both: tuple[Place, Place]) -> None:
    one, two = both
    with organisation_scope(one.id), unit_of_work() as uow:
        assert uow.execute(update(Image).values(title="Mine")).rowcount == 1
        assert uow.execute(update(Image).where(Image.organisation_id == two.id).values(title="No")).rowcount == 0
        uow.execute(delete(IdempotencyKey))

    with system_scope():
        titles = dict(db.session.execute(select(Image.organisation_id, Image.title)).all())
        assert titles == {one.id: "Mine", two.id: ""}
        assert db.session.scalars(select(IdempotencyKey.organisation_id)).all() == [two.id]


def test_relations_stay_within_the_organisation(both: tuple[Place, Place]) -> None:
    one, _ = both
    with organisation_scope(one.id):
        job = db.session.get_one(Job, one.job.id)
        assert {shot.organisation_id for shot in job.shots} == {one.id}
        assert all(attempt.organisation_id == one.id for shot in job.shots for attempt in shot.attempts)


def test_a_row_of_another_organisation_cannot_be_written(both: tuple[Place, Place]) -> None:
    one, two = both
    stray = Event(
        organisation_id=two.id, job_id=two.job.id, user_id=1, organisation_seq=99, seq=99, type="x", data={}
    )
    with organisation_scope(one.id), pytest.raises(ScopeMissing), unit_of_work() as uow:
        uow.add(stray)
    with system_scope():
        theirs = db.session.get_one(
            Image, db.session.scalars(select(Image.id).where(Image.organisation_id == two.id)).one()
        )
    with organisation_scope(one.id), pytest.raises(ScopeMissing), unit_of_work() as uow:
        uow.merge(theirs, load=False).title = "Mine"
    with organisation_scope(one.id), pytest.raises(ScopeMissing), unit_of_work() as uow:
        uow.delete(uow.merge(theirs, load=False))
    with pytest.raises(ScopeMissing), unit_of_work() as uow:
        uow.merge(theirs, load=False).title = "Anybody's"


def test_rows_are_added_through_the_session_where_they_can_be_checked(one: Place) -> None:
    row = {
        "organisation_id": one.id,
        "user_id": 1,
        "key": "k",
        "request_hash": "h",
        "job_id": one.job.id,
        "created_at": now(),
    }
    with organisation_scope(one.id), pytest.raises(ScopeMissing), unit_of_work() as uow:
        uow.execute(insert(IdempotencyKey), [row])


def test_scopes_end_where_they_began(one: Place) -> None:
    assert current_organisation() is None
    with organisation_scope(one.id):
        with system_scope():
            assert current_organisation() is None
            assert db.session.scalars(select(Job)).all()
        assert current_organisation() == one.id
    assert current_organisation() is None
    with pytest.raises(ScopeMissing):
        db.session.scalars(select(Job))
