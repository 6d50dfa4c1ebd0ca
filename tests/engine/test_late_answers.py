"""Answers to calls that were written off: what was paid for is delivered and booked, once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from imagegen.core.errors import ErrorKind
from imagegen.engine import attempts, claims, control, journal, pictures, sweep
from imagegen.engine.claims import Claim
from imagegen.engine.control import Resolution
from imagegen.engine.invariants import check
from imagegen.extensions import db
from imagegen.imaging.errors import Unreadable
from imagegen.models import Attempt, Event, Image, Job, LedgerEntry, Reservation, Shot, unit_of_work
from imagegen.models.budgets import Budget, BudgetPeriod
from imagegen.models.columns import db_now
from imagegen.providers.calls import ImageResult
from imagegen.services import kept_answers
from imagegen.web import timeline
from tests.engine.conftest import Work
from tests.engine.invariants import AT_ONCE
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything")


class Late:
    """A call to OpenAI that is answered, and whose answer is heard only when the test says so."""

    def __init__(self, person: Member, monkeypatch: pytest.MonkeyPatch, n: int = 1) -> None:
        self.job = submit(person, provider="openai", quality="low", n=n)
        claim = claims.claim(owner="slow", lease_seconds=60, lone_only=False)
        assert claim is not None
        self.claim: Claim = claim
        kept: list[ImageResult] = []
        with monkeypatch.context() as patch:
            patch.setattr(attempts, "store", lambda _claim, result: kept.append(result))
            attempts.run(claim)
        (self.answer,) = kept
        with unit_of_work() as uow:
            uow.execute(update(Shot).where(Shot.id == claim.shot_id).values(lease_until=db_now(-1)))
        sweep.sweep()
        assert shots(self.job)[0].status == "unknown"

    def resolved(self, resolution: Resolution = Resolution.NOT_BILLED) -> Late:
        """Let a person say how it ended, before it is heard."""
        control.resolve(shot_id=shots(self.job)[0].public_id, resolution=resolution)
        return self

    def heard(self) -> None:
        attempts.put_away(self.claim, self.answer)


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    return {"openai_api_key": openai.key, "openai_base_url": openai.base_url}


@pytest.fixture
def late(ann: Member, monkeypatch: pytest.MonkeyPatch) -> Late:
    return Late(ann, monkeypatch)


@pytest.fixture(autouse=True)
def all_holds(app: object, everything: None) -> Iterator[None]:
    yield
    assert check(only=AT_ONCE) == []


def shots(job: Job) -> list[Shot]:
    db.session.rollback()
    return list(db.session.scalars(select(Shot).where(Shot.job_id == job.id).order_by(Shot.id)))


def now_of(job: Job) -> Job:
    db.session.rollback()
    return db.session.scalars(select(Job).where(Job.id == job.id)).one()


def spent() -> int:
    db.session.rollback()
    query = select(func.coalesce(func.sum(LedgerEntry.amount_micro), 0)).where(LedgerEntry.account == "spend")
    return int(db.session.scalars(query).one())


def pictures_there() -> int:
    return db.session.scalar(select(func.count(Image.id))) or 0


def events_of(job: Job) -> list[str]:
    return list(db.session.scalars(select(Event.type).where(Event.job_id == job.id).order_by(Event.seq)))


def test_what_was_said_not_to_be_billed_and_comes_after_all_is_delivered_and_booked(
    late: Late, openai: OpenAIServer
) -> None:
    late.resolved()
    assert spent() == 0

    late.heard()

    lost, found = shots(late.job)
    assert (lost.status, lost.newest) == ("failed", False)
    assert (found.status, found.newest, found.retry_of_id) == ("succeeded", True, lost.id)
    assert spent() == openai.bill > 0
    assert (now_of(late.job).status, now_of(late.job).actual_micro) == ("succeeded", openai.bill)
    assert db.session.scalars(select(Image.shot_id)).all() == [found.id]
    assert events_of(late.job)[-3:] == ["shot.overrun", "shot.succeeded", "job.succeeded"]
    reservations = db.session.execute(select(Reservation.status, Reservation.posted_micro).order_by(Reservation.id))
    assert reservations.all() == [("void", None), ("posted", openai.bill)]


def test_the_call_that_was_written_off_tells_what_became_of_it(late: Late) -> None:
    late.resolved().heard()

    first, second = db.session.scalars(select(Attempt).order_by(Attempt.id))
    assert (first.status, second.status) == ("rejected", "succeeded")
    assert first.error_message == f"{attempts.LOST} Its answer came after that, and stands as a call of its own."
    assert second.sent_at == first.sent_at


def test_the_page_of_the_job_tells_what_happened(app: Flask, late: Late) -> None:
    late.resolved().heard()

    first, second = shots(late.job)
    with app.test_request_context():
        told = [step["label"] for step in timeline.steps(second, now_of(late.job), [first])]

    assert "Answered after it had been cleared up" in told
    assert "Tried again by hand" not in told


def test_it_is_heard_once_however_often_it_comes(late: Late, openai: OpenAIServer) -> None:
    late.resolved().heard()
    late.heard()

    assert (len(shots(late.job)), pictures_there(), spent()) == (2, 1, openai.bill)


def test_the_journal_brings_it_too(late: Late, openai: OpenAIServer) -> None:
    late.resolved()
    path = kept_answers.path_of(late.claim.attempt_id)
    journal._write(path, late.claim, late.answer).close()

    assert journal.adopt(attempts.put_away) == 1

    assert (pictures_there(), spent()) == (1, openai.bill)


def test_what_was_said_to_be_billed_is_delivered_and_not_booked_twice(late: Late, openai: OpenAIServer) -> None:
    late.resolved(Resolution.BILLED)
    booked = spent()
    assert booked >= openai.bill

    late.heard()

    assert shots(late.job)[1].status == "succeeded"
    assert (pictures_there(), spent()) == (1, booked)


def test_a_waiting_retry_is_not_called_for_a_picture_that_is_here(
    late: Late, openai: OpenAIServer, work: Work
) -> None:
    late.resolved()
    control.retry(late.job.public_id)

    late.heard()
    work()

    assert [shot.status for shot in shots(late.job)] == ["failed", "canceled", "succeeded"]
    assert shots(late.job)[2].retry_of_id == shots(late.job)[1].id
    assert (len(openai.requests), spent()) == (1, openai.bill)
    assert now_of(late.job).status == "succeeded"


def test_beside_a_retry_that_has_its_picture_it_is_one_more(late: Late, openai: OpenAIServer, work: Work) -> None:
    late.resolved()
    control.retry(late.job.public_id)
    work()

    late.heard()

    assert [(shot.status, shot.newest) for shot in shots(late.job)] == [
        ("failed", False),
        ("succeeded", True),
        ("succeeded", False),
    ]
    assert (len(openai.requests), pictures_there(), spent()) == (2, 2, openai.bill)
    assert events_of(late.job)[-1] == "job.succeeded"


def test_a_job_that_ends_as_it_stood_says_so_again(
    ann: Member, monkeypatch: pytest.MonkeyPatch, openai: OpenAIServer, work: Work
) -> None:
    late = Late(ann, monkeypatch, n=3)
    openai.script("400")
    work()
    late.resolved()
    assert now_of(late.job).status == "partial"

    late.heard()

    assert now_of(late.job).status == "partial"
    assert events_of(late.job)[-2:] == ["shot.succeeded", "job.partial"]


def test_one_that_brings_no_usable_picture_is_booked_and_said(
    late: Late, openai: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Unreadable

    monkeypatch.setattr(pictures, "keep", refuse)
    late.resolved().heard()
    late.heard()

    lost, found = shots(late.job)
    assert (found.status, found.error_kind) == ("failed", ErrorKind.BAD_ANSWER)
    assert (spent(), pictures_there(), lost.newest) == (openai.bill, 0, False)


def test_one_that_brings_no_usable_picture_changes_nothing_where_it_is_booked(
    late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Unreadable

    monkeypatch.setattr(pictures, "keep", refuse)
    late.resolved(Resolution.BILLED)
    booked = spent()

    late.heard()

    assert (len(shots(late.job)), spent()) == (1, booked)


def test_a_hard_budget_counts_it_and_calls_it_an_overrun(late: Late, ann: Member, openai: OpenAIServer) -> None:
    late.resolved()
    with unit_of_work() as uow:
        uow.add(Budget(organisation_id=ann.organisation_id, per="month", cap_micro=1, hard=True))

    late.heard()

    period = db.session.scalars(select(BudgetPeriod)).one()
    assert (period.spent_micro, period.reserved_micro, period.over_micro) == (openai.bill, 0, openai.bill - 1)


def test_the_journal_keeps_one_whose_job_is_deleted_for_people_to_see(late: Late) -> None:
    late.resolved()
    control.delete(late.job.public_id)
    path = kept_answers.path_of(late.claim.attempt_id)
    journal._write(path, late.claim, late.answer).close()

    assert journal.adopt(attempts.put_away) == 0

    assert (pictures_there(), spent()) == (0, 0)
    assert len(list(path.parent.iterdir())) == 1
