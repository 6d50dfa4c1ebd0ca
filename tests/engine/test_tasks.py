"""One generation's way through the house, with the provider that draws by itself."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest
from sqlalchemy import select

from imagegen.engine import attempts, calls_first, control, departures, dispatch, fleet, tasks
from imagegen.engine.claims import Claim
from imagegen.engine.tasks import Crew
from imagegen.extensions import db, in_app_context, runtime
from imagegen.models import Attempt, Event, Image, Job, Reservation, Shot, organisation_scope, system_scope
from imagegen.providers.base import ImageResult
from imagegen.providers.local.provider import LocalProvider
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.models.rows import Member, submit
from tests.waiting import eventually


def test_a_request_becomes_pictures_in_the_library(ann: Member, work: Work) -> None:
    job = submit(ann, prompt="violet waves at dusk", aspect_ratio="4:5", n=3, seed=7)
    work()

    check_invariants()
    with organisation_scope(ann.organisation_id):
        done = db.session.scalars(select(Job).where(Job.id == job.id)).one()
        images = db.session.scalars(select(Image).order_by(Image.shot_id)).all()
        assert (done.status, done.n_succeeded, done.total) == ("succeeded", 3, 3)
        assert [image.seed for image in images] == [7, 8, 9]
        for image in images:
            assert image.width * 5 == image.height * 4
            assert runtime.storage.exists(image.file_key)
            assert runtime.storage.exists(image.received_key)
        assert {row.status for row in db.session.scalars(select(Reservation))} == {"posted"}
        assert {row.status for row in db.session.scalars(select(Attempt))} == {"succeeded"}
        assert all(shot.lease_until is None for shot in db.session.scalars(select(Shot)))


def test_events_of_a_job_are_numbered_without_a_gap_and_end_with_the_job(ann: Member, work: Work) -> None:
    submit(ann, prompt="amber dunes", n=2)
    work()

    with organisation_scope(ann.organisation_id):
        events = db.session.scalars(select(Event).order_by(Event.seq)).all()
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.organisation_seq for event in events] == list(range(1, len(events) + 1))
        assert events[0].type == "job.queued"
        assert events[-1].type == "job.succeeded"


def test_one_task_works_off_the_jobs_of_all_organisations(ann: Member, bob: Member, work: Work) -> None:
    submit(ann, n=2)
    submit(bob, n=1)
    work()

    check_invariants()
    for member, pictures in ((ann, 2), (bob, 1)):
        with organisation_scope(member.organisation_id):
            assert len(db.session.scalars(select(Image)).all()) == pictures


def test_a_picture_lies_in_its_organisations_and_its_persons_folder(ann: Member, work: Work) -> None:
    submit(ann)
    work()

    with organisation_scope(ann.organisation_id):
        image = db.session.scalars(select(Image)).one()
        (job,) = db.session.scalars(select(Job)).all()
    assert image.sha256 in image.file_key
    assert image.received_sha256 in image.received_key
    assert job.prompt.split()[0] not in image.file_key


def test_a_task_stays_for_what_is_asked_for_soon_after(ann: Member) -> None:
    first = submit(ann, prompt="amber dunes")
    later: list[Job] = []
    asking = threading.Thread(target=in_app_context(lambda: _ask_after(ann, first, later)))
    asking.start()
    tasks.work(stay=3)
    asking.join()

    with organisation_scope(ann.organisation_id):
        assert db.session.scalars(select(Job.status).where(Job.id == later[0].id)).one() == "succeeded"


def _ask_after(ann: Member, first: Job, later: list[Job]) -> None:
    """Ask for a picture as soon as there is nothing left to do."""
    with organisation_scope(ann.organisation_id):
        while db.session.scalars(select(Job.status).where(Job.id == first.id)).one() != "succeeded":
            db.session.rollback()
            time.sleep(0.02)
    later.append(submit(ann, prompt="violet waves"))


@pytest.fixture
def diary(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note in which order calls go out and pictures are put away, however busy the machine is."""
    monkeypatch.setattr(calls_first, "MOST_SECONDS", 60)
    found: list[str] = []
    mark_sent, store = departures.mark_sent, attempts.store

    def marked(claim: Claim) -> bool:
        left = mark_sent(claim)
        found.append("called")
        return left

    def stored(claim: Claim, result: ImageResult) -> None:
        found.append("put away")
        store(claim, result)

    monkeypatch.setattr(departures, "mark_sent", marked)
    monkeypatch.setattr(attempts, "store", stored)
    return found


def test_the_next_call_goes_out_before_a_picture_that_has_come_is_put_away(
    ann: Member, diary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two slots draws until something is put away; the other one's next call comes first."""
    draw, numbers = LocalProvider._generate, itertools.count()

    def drawn(*asked: Any) -> Any:
        if next(numbers) == 0:
            eventually(lambda: "put away" in diary)
        return draw(*asked)

    monkeypatch.setattr(LocalProvider, "_generate", drawn)
    submit(ann, n=3)
    with system_scope():
        Crew(slots=2).work()
    assert diary == ["called"] * 3 + ["put away"] * 3


def test_a_picture_waits_for_no_other_where_nothing_more_is_to_be_drawn(ann: Member, diary: list[str]) -> None:
    submit(ann, n=3)
    began_at = time.monotonic()
    with system_scope():
        Crew(slots=3).work()
    assert diary == ["called"] * 3 + ["put away"] * 3
    assert time.monotonic() - began_at < 30


def test_a_picture_waits_for_nothing_where_no_more_may_be_claimed(
    ann: Member, diary: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is paused does wait; yet after a look that left a slot free nobody stands back for the next look."""
    paused = submit(ann)
    with organisation_scope(ann.organisation_id):
        control.pause(paused.public_id)
    look, looks = fleet.orders, itertools.count()

    def orders(worker: str) -> fleet.Orders:
        if next(looks) > 0:
            eventually(lambda: diary.count("put away") == 3)
        return look(worker)

    monkeypatch.setattr(fleet, "orders", orders)
    submit(ann, n=3)
    with system_scope():
        Crew(slots=4).work()
    assert diary == ["called"] * 3 + ["put away"] * 3


def test_a_task_that_finds_nothing_to_do_does_not_stay(ann: Member) -> None:
    began = time.monotonic()
    tasks.work(stay=60)
    assert time.monotonic() - began < 30


def queued() -> list[str]:
    """Return what the wake-ups in the queue are for."""
    return [name.split("-")[0] for name in dispatch.queue().job_ids]


def test_what_was_submitted_after_the_last_look_gets_a_successor(
    ann: Member, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who submitted it counted on this task, which still listened, and queued nothing."""

    def too_late(_crew: Crew, _pool: object) -> None:
        eventually(dispatch.awake)
        submit(ann)
        assert queued() == []

    monkeypatch.setattr(Crew, "_keep_full", too_late)
    work()
    assert queued() == ["successor"]
    assert dispatch.awake() == 0


def test_a_task_that_leaves_nothing_has_no_successor(ann: Member, work: Work) -> None:
    submit(ann)
    runtime.redis.flushall()
    work()
    assert queued() == []


@pytest.mark.parametrize(("pictures", "helped"), [(1, []), (2, ["help"])])
def test_a_task_whose_slots_are_taken_calls_for_help_if_something_waits(
    ann: Member, monkeypatch: pytest.MonkeyPatch, pictures: int, helped: list[str]
) -> None:
    seen: list[list[str]] = []

    def call(claim: Claim, *_: object) -> None:
        time.sleep(0.3)
        seen.append(queued())
        attempts.abandon(claim, message=attempts.STOPPED)
        raise Stopped

    class Stopped(Exception):
        """Ends the task as a signal would."""

    monkeypatch.setattr(attempts, "run", call)
    submit(ann, n=pictures)
    runtime.redis.flushall()
    crew = Crew(slots=1)
    monkeypatch.setattr(crew, "_abandon", lambda *_: crew._stopping.set())
    crew.work()
    assert seen[0] == helped
