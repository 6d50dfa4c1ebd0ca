"""What people decide about a job that exists, and what it does to shots and money."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from imagegen.core.errors import Conflict, NotFound
from imagegen.engine import attempts, claims, control, departures, dispatch
from imagegen.engine.claims import Claim
from imagegen.engine.control import Resolution
from imagegen.extensions import db
from imagegen.models import Image, Job, LedgerEntry, Reservation, Shot, system_scope
from imagegen.services.generation import GenerationRequest
from tests.engine.conftest import Member as Person

Work = Callable[[], None]


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {"openai_api_key": SecretStr("sk-never-called"), "openai_base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture(autouse=True)
def all_rows() -> Iterator[None]:
    with system_scope():
        yield


def submit(person: Person, *, n: int = 3, provider: str = "local") -> Job:
    request = GenerationRequest(prompt="amber dunes", provider=provider, aspect_ratio="1:1", n=n)
    return dispatch.submit(organisation_id=person.organisation_id, user_id=person.user_id, request=request)


def take() -> Claim | None:
    return claims.claim(owner="me", lease_seconds=60, lone_only=False)


def now_of(job: Job) -> Job:
    db.session.rollback()
    return db.session.scalars(select(Job).where(Job.id == job.id)).one()


def reservations() -> list[str]:
    db.session.rollback()
    return [row.status for row in db.session.scalars(select(Reservation).order_by(Reservation.id))]


def sent_and_lost(person: Person) -> Shot:
    """A call that was sent and never answered."""
    submit(person, n=1, provider="openai")
    claim = take()
    assert claim is not None
    assert departures.mark_sent(claim)
    attempts.abandon(claim, message=attempts.LOST)
    return db.session.scalars(select(Shot)).one()


def test_canceling_ends_what_waits_and_releases_its_money(ann: Person) -> None:
    job = submit(ann)

    control.cancel(job.public_id)

    assert now_of(job).status == "canceled"
    assert reservations() == ["void", "void", "void"]
    assert take() is None


def test_canceling_keeps_what_is_under_way_and_what_is_finished(ann: Person, work: Work) -> None:
    job = submit(ann)
    claim = take()
    assert claim is not None
    assert departures.mark_sent(claim)

    control.cancel(job.public_id)

    assert (now_of(job).status, now_of(job).n_running, now_of(job).n_canceled) == ("running", 1, 2)
    attempts.abandon(claim, message=attempts.STOPPED)
    assert now_of(job).status == "canceled"


def test_a_canceled_shot_that_was_claimed_but_not_sent_is_never_sent(ann: Person) -> None:
    job = submit(ann, n=1, provider="openai")
    claim = take()
    assert claim is not None

    control.cancel(job.public_id)
    attempts.run(claim)

    assert now_of(job).status == "canceled"
    assert reservations() == ["void"]


def test_a_finished_job_cannot_be_canceled(ann: Person, work: Work) -> None:
    job = submit(ann, n=1)
    work()

    with pytest.raises(Conflict):
        control.cancel(job.public_id)


def test_a_retry_is_a_new_shot_in_the_same_slot_and_the_old_one_stays(ann: Person, work: Work) -> None:
    job = submit(ann, n=2)
    control.cancel(job.public_id)

    assert control.retry(job.public_id) == 2
    work()

    shots = db.session.scalars(select(Shot).order_by(Shot.id)).all()
    assert [(shot.slot, shot.status, shot.newest) for shot in shots] == [
        (0, "canceled", False),
        (1, "canceled", False),
        (0, "succeeded", True),
        (1, "succeeded", True),
    ]
    assert [shot.retry_of_id for shot in shots[2:]] == [shot.id for shot in shots[:2]]
    assert now_of(job).status == "succeeded"
    assert now_of(job).total == 2
    assert reservations() == ["void", "void", "posted", "posted"]


def test_nothing_to_retry_is_said(ann: Person, work: Work) -> None:
    job = submit(ann, n=1)
    work()

    with pytest.raises(Conflict):
        control.retry(job.public_id)


def test_a_paused_job_begins_nothing_until_it_is_resumed(ann: Person) -> None:
    job = submit(ann)
    control.pause(job.public_id)

    assert take() is None
    assert claims.seconds_to_next() is None

    control.resume(job.public_id)
    assert take() is not None


def test_a_job_moved_to_the_front_comes_first(ann: Person) -> None:
    first, second = submit(ann), submit(ann)

    control.to_the_front(second.public_id)

    claim = take()
    assert claim is not None
    assert db.session.get_one(Shot, claim.shot_id).job_id == second.id
    assert first.id < second.id


def test_an_unknown_call_that_was_not_billed_costs_nothing_and_can_be_retried(ann: Person) -> None:
    shot = sent_and_lost(ann)
    assert (shot.status, reservations()) == ("unknown", ["held"])

    control.resolve(shot_id=shot.public_id, resolution=Resolution.NOT_BILLED)

    job = db.session.scalars(select(Job)).one()
    assert (job.status, job.actual_micro, reservations()) == ("failed", 0, ["void"])
    assert control.retry(job.public_id) == 1


def test_an_unknown_call_that_was_billed_is_booked_at_its_estimate(ann: Person) -> None:
    shot = sent_and_lost(ann)

    control.resolve(shot_id=shot.public_id, resolution=Resolution.BILLED)

    job = db.session.scalars(select(Job)).one()
    entries = db.session.scalars(select(LedgerEntry)).all()
    assert job.actual_micro == shot.estimated_micro > 0
    assert sum(entry.amount_micro for entry in entries) == 0
    assert {entry.account: entry.amount_micro for entry in entries}["spend"] == shot.estimated_micro
    with pytest.raises(Conflict):
        control.resolve(shot_id=shot.public_id, resolution=Resolution.BILLED)


@pytest.mark.parametrize("act", [control.cancel, control.retry, control.pause, control.resume, control.to_the_front])
def test_what_does_not_exist_cannot_be_changed(act: Callable[[str], object], ann: Person) -> None:
    for public_id in ("", "nonsense", "01a1fccb-210c-71c1-8f60-2c139b75b266"):
        with pytest.raises(NotFound):
            act(public_id)


def test_a_deleted_job_leaves_its_pictures_and_its_cost(ann: Person, work: Work) -> None:
    shot = sent_and_lost(ann)
    control.resolve(shot_id=shot.public_id, resolution=Resolution.BILLED)
    costly = db.session.scalars(select(Job)).one().public_id
    drawn = submit(ann, n=1)
    work()

    control.delete(costly)
    control.delete(drawn.public_id)

    db.session.rollback()
    assert db.session.scalars(select(Job)).all() == []
    assert db.session.scalars(select(Shot)).all() == []
    assert [image.job_id for image in db.session.scalars(select(Image))] == [None]
    assert len(db.session.scalars(select(LedgerEntry)).all()) == 2


def test_a_job_with_anything_open_cannot_be_deleted(ann: Person) -> None:
    shot = sent_and_lost(ann)
    unclear = db.session.get_one(Job, shot.job_id).public_id
    waiting = submit(ann, n=1).public_id

    for open_job in (unclear, waiting):
        with pytest.raises(Conflict):
            control.delete(open_job)
