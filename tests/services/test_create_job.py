"""A job is written whole or not at all, and one key makes one job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from imagegen.core.errors import Conflict
from imagegen.extensions import db, in_app_context, runtime
from imagegen.models import (
    Event,
    IdempotencyKey,
    Job,
    Outbox,
    Reservation,
    Shot,
    UnitOfWork,
    organisation_scope,
    system_scope,
)
from imagegen.services import events, generation, idempotency, ledger
from imagegen.services.generation import GenerationRequest
from tests.engine.invariants import check_invariants
from tests.models.rows import Member, add_member, submit

TABLES = (Job, Shot, Reservation, IdempotencyKey, Outbox, Event)


@pytest.fixture
def ann(app: Flask) -> Member:
    """A member of the organisation One."""
    return add_member()


def create(member: Member, *, key: str | None = None, **wishes: Any) -> Job:
    """Write a job without telling the queue."""
    request = GenerationRequest(**({"prompt": "violet waves", "provider": "local"} | wishes))
    with organisation_scope(member.organisation_id):
        return generation.create_job(
            organisation_id=member.organisation_id,
            user_id=member.user_id,
            request=request,
            plan=generation.plan(request),
            idempotency_key=key,
        )


def rows() -> dict[str, int]:
    """Return how many rows the tables have that a job is written into."""
    db.session.rollback()
    with system_scope():
        return {table.__name__: db.session.scalar(select(func.count(table.id))) for table in TABLES}


def test_a_job_is_there_with_everything_that_belongs_to_it_and_nothing_is_queued(ann: Member) -> None:
    job = create(ann, n=2, aspect_ratios=("1:1", "4:5"), key="click", seed=5)

    assert rows() == {"Job": 1, "Shot": 4, "Reservation": 4, "IdempotencyKey": 1, "Outbox": 1, "Event": 1}
    assert runtime.redis.keys("rq:*") == []
    check_invariants()
    with organisation_scope(ann.organisation_id):
        shots = db.session.scalars(select(Shot).order_by(Shot.slot)).all()
        assert [shot.slot for shot in shots] == [0, 1, 2, 3]
        assert [shot.request["seed"] for shot in shots] == [5, 6, 5, 6]
        assert {shot.status for shot in shots} == {"waiting"}
        assert db.session.scalars(select(Event.type)).one() == "job.queued"
        assert db.session.scalars(select(Outbox.name)).one() == f"work-{job.public_id}"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (generation, "_shot"),
        (ledger, "reserve"),
        (idempotency, "IdempotencyKey"),
        (UnitOfWork, "append"),
        (UnitOfWork, "after_commit"),
    ],
)
def test_a_failure_in_the_middle_leaves_nothing(
    ann: Member, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(ZeroDivisionError):
            create(ann, n=2, key="click")

    assert set(rows().values()) == {0}
    create(ann, n=2, key="click")
    assert rows()["Shot"] == 2


def test_a_failure_while_events_are_numbered_leaves_nothing(ann: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(events, "Counter", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            create(ann)

    assert set(rows().values()) == {0}


def test_the_provider_is_asked_for_what_was_planned(ann: Member) -> None:
    create(ann, aspect_ratio="16:9", seed=7, style="modern", negative_prompt="people")

    request = GenerationRequest(
        prompt="violet waves", provider="local", aspect_ratio="16:9", seed=7, style="modern", negative_prompt="people"
    )
    wanted = generation.plan(request).shots[0]
    with organisation_scope(ann.organisation_id):
        shot = db.session.scalars(select(Shot)).one()
        asked = generation.image_request(shot, user_hash="h", deadline_seconds=9)
    same = ("model", "prompt", "negative_prompt", "width", "height", "quality", "seed", "background", "output_format")
    assert [getattr(asked, name) for name in same] == [getattr(wanted.request, name) for name in same]
    assert (shot.width, shot.height) == wanted.size


# --- idempotency -----------------------------------------------------------------------------------------------


def _together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Run `act` on so many threads, all at once."""
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        start.wait()
        try:
            return act(number)
        except Conflict:
            return "conflict"

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(in_app_context(run), range(count)))


def test_fifty_clicks_at_once_under_one_key_make_one_job(ann: Member) -> None:
    made = _together(50, lambda _: submit(ann, n=2, key="click").id)

    assert len(set(made)) == 1
    assert rows() == {"Job": 1, "Shot": 2, "Reservation": 2, "IdempotencyKey": 1, "Outbox": 1, "Event": 1}
    check_invariants()


def test_of_two_requests_at_once_under_one_key_one_is_made_and_the_other_refused(ann: Member) -> None:
    made = _together(10, lambda number: submit(ann, prompt=f"waves {number % 2}", key="click").id)

    assert len(set(made)) == 2
    assert "conflict" in made
    assert rows()["Job"] == 1


def test_jobs_at_once_without_a_key_are_all_made(ann: Member) -> None:
    made = _together(8, lambda _: submit(ann).id)

    assert len(set(made)) == 8
    check_invariants()


def test_the_same_key_of_another_person_or_organisation_is_another_key(ann: Member) -> None:
    bob = add_member("bob", "Two")

    assert submit(ann, key="click").id != submit(bob, key="click").id


def test_a_key_finds_its_job_also_when_it_has_long_ended(ann: Member) -> None:
    first = submit(ann, key="click")
    first_id = first.public_id

    assert submit(ann, key="click").public_id == first_id
    with pytest.raises(Conflict) as refused:
        submit(ann, key="click", seed=99)
    assert "another request" in refused.value.message
