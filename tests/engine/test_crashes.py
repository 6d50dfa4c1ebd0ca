"""Our own mistakes and a database that is busy: nothing is lost, nothing is paid twice, nothing runs for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from imagegen.engine import attempts, claims, departures, patience, pictures, tasks
from imagegen.engine.claims import Claim
from imagegen.engine.tasks import Crew
from imagegen.extensions import db
from imagegen.imaging.errors import NoSpace
from imagegen.models import LedgerEntry, Reservation, Shot, unit_of_work
from imagegen.models.columns import db_now
from imagegen.services import generation, library, provider_health
from imagegen.storage.errors import StorageFull
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything")


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    """A provider that bills."""
    return {"openai_api_key": openai.key, "openai_base_url": openai.base_url}


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries to write an answer down, with next to no wait."""
    monkeypatch.setattr(patience, "PATIENCE", (0.01,) * len(patience.PATIENCE))


def failing(times: int, error: Exception, then: Callable[..., Any]) -> Callable[..., Any]:
    """Return `then`, which fails so many `times` before it works."""
    left = [error] * times

    def call(*args: Any, **kwargs: Any) -> Any:
        if left:
            raise left.pop()
        return then(*args, **kwargs)

    return call


def locked() -> OperationalError:
    """Return the error of a database that somebody else has been writing to for too long."""
    return OperationalError("INSERT", {}, Exception("database is locked"))


def shot() -> Shot:
    """Return the only shot as it is now."""
    db.session.rollback()
    return db.session.scalars(select(Shot)).one()


def test_a_mistake_before_the_call_is_given_back_and_in_the_end_given_up(
    ann: Member, openai: OpenAIServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MOST_LOSSES", 2)
    monkeypatch.setattr(generation, "image_request", failing(9, KeyError("size"), generation.image_request))
    submit(ann, provider="openai")

    work()

    check_invariants()
    assert (shot().status, shot().error_kind, shot().tries) == ("failed", "internal", 2)
    assert [attempt.status for attempt in shot().attempts] == ["not_sent"] * 2
    assert openai.requests == []
    assert db.session.scalars(select(Reservation.status)).one() == "void"


def test_a_mistake_before_the_call_that_passes_leaves_no_trace_on_the_picture(
    ann: Member, openai: OpenAIServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "image_request", failing(1, KeyError("size"), generation.image_request))
    submit(ann, provider="openai", quality="low")

    work()

    check_invariants()
    assert (shot().status, shot().error_kind, shot().tries) == ("succeeded", None, 2)
    assert len(openai.requests) == 1


def test_a_mistake_after_the_call_leaves_its_fate_open_at_once_and_sends_nothing_more(
    ann: Member, openai: OpenAIServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "keep", failing(9, KeyError("trim"), pictures.keep))
    submit(ann, provider="openai", quality="low")

    work()

    check_invariants()
    assert (shot().status, shot().error_message) == ("unknown", attempts.CRASHED)
    assert len(openai.requests) == 1
    assert db.session.scalars(select(Reservation.status)).one() == "held"


@pytest.mark.parametrize("lost", [attempts.CRASHED, attempts.LOST, attempts.STOPPED])
def test_a_call_that_the_studio_itself_has_lost_says_nothing_against_its_provider(ann: Member, lost: str) -> None:
    submit(ann, provider="openai", quality="low")
    claim = claims.claim(owner="me", lease_seconds=60, lone_only=False)
    assert claim is not None
    assert departures.mark_sent(claim)

    attempts.abandon(claim, message=lost)

    check_invariants()
    health = provider_health.of_installation()["openai"]
    assert (health.status, health.figures.calls, health.error) == ("quiet", 0, None)


def test_one_slots_mistake_does_not_touch_the_others(
    ann: Member, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MOST_LOSSES", 1)
    monkeypatch.setattr(generation, "image_request", failing(1, KeyError("size"), generation.image_request))
    submit(ann, n=4)

    work()

    check_invariants()
    statuses = sorted(db.session.scalars(select(Shot.status)))
    assert statuses == ["failed", "succeeded", "succeeded", "succeeded"]


@pytest.mark.usefixtures("no_patience")
def test_a_picture_that_was_paid_for_waits_until_the_database_takes_it(
    ann: Member, openai: OpenAIServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "add_generated", failing(3, locked(), library.add_generated))
    submit(ann, provider="openai", quality="low")

    work()

    check_invariants()
    assert (shot().status, shot().tries) == ("succeeded", 1)
    assert len(openai.requests) == 1
    spent = select(LedgerEntry.amount_micro).where(LedgerEntry.account == "spend")
    assert db.session.scalars(spent).one() == openai.bill


@pytest.mark.usefixtures("no_patience")
def test_a_refusal_is_written_down_once_the_database_takes_it(
    ann: Member, openai: OpenAIServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    openai.script("400_moderation")
    monkeypatch.setattr(attempts.ledger, "release", failing(2, locked(), attempts.ledger.release))
    submit(ann, provider="openai")

    work()

    check_invariants()
    assert (shot().status, shot().tries) == ("refused", 1)


def test_a_disk_without_space_is_the_studios_fault_and_the_money_is_booked(
    ann: Member, openai: OpenAIServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "keep", failing(9, NoSpace(), pictures.keep))
    submit(ann, provider="openai", quality="low")

    work()

    check_invariants()
    assert (shot().status, shot().error_kind) == ("failed", "internal")
    assert "no space left" in shot().error_message
    assert shot().actual_micro == openai.bill > 0


def test_a_task_ends_in_order_when_the_database_cannot_be_asked_and_the_next_goes_on(
    ann: Member, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(ann, n=2)
    monkeypatch.setattr(claims, "claim_some", failing(1, locked(), claims.claim_some))

    work()
    assert claims.due() == 2
    work()

    check_invariants()
    assert set(db.session.scalars(select(Shot.status))) == {"succeeded"}


def test_what_runs_is_finished_when_the_database_fails_between_two_claims(
    ann: Member, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(ann, n=claims.AT_ONCE + 1)
    take, calls = claims.claim_some, []

    def claim(**kwargs: Any) -> tuple[Sequence[Claim], bool]:
        calls.append(kwargs)
        if len(calls) == 2:
            raise locked()
        return take(**kwargs)

    monkeypatch.setattr(claims, "claim_some", claim)
    monkeypatch.setattr(tasks, "POLL_SECONDS", 0.05)

    work()

    check_invariants()
    assert set(db.session.scalars(select(Shot.status))) == {"succeeded"}


def test_a_shot_given_back_and_claimed_again_by_the_same_crew_stays_registered(
    ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(ann)
    crew = Crew(slots=2)
    first = claims.claim(owner=crew.owner, lease_seconds=60, lone_only=False)
    second: list[Claim] = []

    def give_back_and_claim_again(claim: Claim, *_: object) -> None:
        attempts.abandon(claim, message=attempts.STOPPED)
        again = claims.claim(owner=crew.owner, lease_seconds=60, lone_only=False)
        second.append(again)
        crew._claims[again.attempt_id] = again

    monkeypatch.setattr(attempts, "run", give_back_and_claim_again)
    crew._claims[first.attempt_id] = first
    crew._run(first)

    assert list(crew._claims.values()) == second
    assert second[0].shot_id == first.shot_id


def test_a_task_waits_for_a_shot_that_is_due_soon_and_not_for_one_that_is_due_late(
    ann: Member, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(ann)
    monkeypatch.setattr(tasks, "LONGEST_LINGER", 30.0)
    for seconds, status in ((300.0, "waiting"), (0.3, "succeeded")):
        with unit_of_work() as uow:
            uow.execute(update(Shot).values(not_before=db_now(seconds)))
        work()
        assert shot().status == status


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("trouble", [locked(), StorageFull("full"), NoSpace()], ids=["database", "disk", "pixels"])
def test_a_picture_that_was_paid_for_waits_for_a_database_that_says_whose_it_is_and_for_space(
    ann: Member, openai: OpenAIServer, work: Work, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    monkeypatch.setattr(pictures, "_asked", failing(3, trouble, pictures._asked))
    submit(ann, provider="openai", quality="low")

    work()

    check_invariants()
    assert (shot().status, shot().tries) == ("succeeded", 1)
    assert len(openai.requests) == 1


class BrokenLog:
    """A log whose reader has gone."""

    def __getattr__(self, _level: str) -> Callable[..., None]:
        def write(*_: Any, **__: Any) -> None:
            raise BrokenPipeError

        return write


def test_a_log_that_nobody_reads_any_more_costs_no_picture_and_no_money(
    ann: Member, openai: OpenAIServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "log", BrokenLog())
    monkeypatch.setattr(tasks, "log", BrokenLog())
    openai.script("400_moderation", "cut", "broken_base64")
    submit(ann, provider="openai", quality="low", n=4)

    work()

    check_invariants()
    statuses = sorted(db.session.scalars(select(Shot.status)))
    assert statuses == ["failed", "refused", "succeeded", "unknown"]
    assert len(openai.requests) == 4
