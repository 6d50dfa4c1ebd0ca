"""Calls that go out: none before it is written down, many at once in one transaction, each for itself held back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, select

from imagegen.engine import claims, control, departures
from imagegen.engine.claims import Claim
from imagegen.extensions import db, in_app_context
from imagegen.models import Attempt, Job, Shot, organisation_scope, system_scope, unit_of_work
from tests.models.rows import Member, submit
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("everything")

Leave = Callable[[Claim], Future[bool]]


def take(count: int) -> list[Claim]:
    """Claim so many shots."""
    found = [claims.claim(owner="one", lease_seconds=60, lone_only=False) for _ in range(count)]
    return [claim for claim in found if claim is not None]


def calls() -> list[str]:
    """Return how the calls stand, in the order in which they were claimed."""
    db.session.rollback()
    return list(db.session.scalars(select(Attempt.status).order_by(Attempt.id)))


@contextmanager
def while_somebody_writes() -> Iterator[Leave]:
    """Let calls leave in threads of their own; each waits for somebody else's transaction until the block ends."""
    busy, done = threading.Event(), threading.Event()

    def leave(claim: Claim) -> bool:
        with system_scope():
            return departures.mark_sent(claim)

    def write() -> None:
        with system_scope(), unit_of_work() as uow:
            uow.execute(select(Job.id).with_for_update())
            busy.set()
            assert done.wait(30)

    with ThreadPoolExecutor(16) as pool:
        writer = pool.submit(in_app_context(write))
        try:
            assert busy.wait(30)
            yield lambda claim: pool.submit(in_app_context(leave), claim)
        finally:
            done.set()
        writer.result(timeout=30)


def wait_for(count: int) -> None:
    """Wait until so many calls are to leave together; on PostgreSQL, where others may write, each may leave alone."""
    if db.engine.dialect.name == "sqlite":
        eventually(lambda: departures._next is not None and len(departures._next.claims) == count)


@pytest.fixture
def commits() -> Iterator[list[object]]:
    """Note the transactions that are committed."""
    found: list[object] = []

    def note(connection: object) -> None:
        found.append(connection)

    event.listen(Engine, "commit", note)
    yield found
    event.remove(Engine, "commit", note)


def test_a_call_is_written_down_before_it_goes_out(ann: Member) -> None:
    submit(ann, n=2)
    first, _other = take(2)
    assert departures.mark_sent(first)
    assert calls() == ["sent", "prepared"]


@pytest.mark.databases("sqlite")  # PostgreSQL lets others write, so that only the first has to wait
def test_those_that_wait_while_somebody_writes_are_written_down_together(ann: Member, commits: list[object]) -> None:
    submit(ann, n=6)
    claimed = take(6)
    with while_somebody_writes() as leave:
        leaving = [leave(claim) for claim in claimed]
        wait_for(6)
        commits.clear()
    assert all(each.result(timeout=30) for each in leaving)
    assert calls() == ["sent"] * 6
    assert len(commits) == 2, "somebody's, and one for all"


def test_one_that_was_canceled_stays_and_the_others_leave(ann: Member) -> None:
    kept, given_up = submit(ann, n=2), submit(ann, n=1)
    claimed = take(3)
    with organisation_scope(ann.organisation_id):
        control.cancel(given_up.public_id)
    with while_somebody_writes() as leave:
        leaving = [leave(claim) for claim in claimed]
        wait_for(3)
    shots = [db.session.get_one(Shot, claim.shot_id) for claim in claimed]
    assert [each.result(timeout=30) for each in leaving] == [shot.job_id == kept.id for shot in shots]
    db.session.rollback()
    assert db.session.scalars(select(Shot.status).where(Shot.job_id == given_up.id)).one() == "canceled"
    assert sorted(calls()) == ["not_sent", "sent", "sent"]


def test_one_that_was_lost_stays_and_changes_nothing(ann: Member) -> None:
    submit(ann, n=1)
    (claim,) = take(1)
    late = Claim(claim.shot_id, claim.attempt_id, claim.organisation_id, claim.fence - 1)
    assert not departures.mark_sent(late)
    assert calls() == ["prepared"]
    assert departures.mark_sent(claim)


def test_an_error_is_told_to_all_that_leave_together_and_to_nobody_after_them(
    ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(ann, n=3)
    claimed = take(3)
    write = departures.write

    def fail(*_: object) -> None:
        raise RuntimeError("the pen is broken")

    monkeypatch.setattr(departures, "write", fail)
    with while_somebody_writes() as leave:
        leaving = [leave(claim) for claim in claimed]
        wait_for(3)
    errors = [each.exception(timeout=30) for each in leaving]
    assert len({id(error) for error in errors}) == 3, "each thread has one of its own to raise"
    assert [str(error and (error.__cause__ or error)) for error in errors] == ["the pen is broken"] * 3
    monkeypatch.setattr(departures, "write", write)
    assert calls() == ["prepared"] * 3
    assert all(departures.mark_sent(claim) for claim in claimed)
