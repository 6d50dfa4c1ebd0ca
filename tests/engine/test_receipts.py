"""Pictures that a provider made and keeps for us: fetched by whoever is free, and never asked for a second time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select, update

from imagegen.engine import attempts, claims, sweep
from imagegen.engine.claims import Claim
from imagegen.extensions import db, runtime
from imagegen.models import Attempt, Image, LedgerEntry, Shot, unit_of_work
from imagegen.models.columns import db_now
from imagegen.providers.base import Provider
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything", "quick_retries")


class Died(BaseException):
    """Stands for a process that is gone: nothing of ours catches it."""


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    return {"openai_api_key": openai.key, "openai_base_url": openai.base_url, "provider_timeout_seconds": 5}


def asked(openai: OpenAIServer) -> int:
    """Return how many pictures were asked for."""
    return sum(request.method == "POST" for request in openai.requests)


def take(owner: str = "first") -> Claim:
    claim = claims.claim(owner=owner, lease_seconds=60, lone_only=False)
    assert claim is not None
    return claim


def lease_runs_out() -> None:
    with unit_of_work() as uow:
        uow.execute(update(Shot).where(Shot.lease_until.is_not(None)).values(lease_until=db_now(-1)))


@pytest.fixture
def left_behind(ann: Member, openai: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> Claim:
    """A call that OpenAI has answered with an address, made by a worker that died before it fetched from there."""
    openai.script_downloads()
    submit(ann, provider="openai", quality="low")
    claim = take()

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(Provider, "_collected", die)
        with pytest.raises(Died):
            attempts.run(claim)
    return claim


def test_another_worker_fetches_what_was_made_and_asks_for_nothing(
    left_behind: Claim, openai: OpenAIServer, work: Work
) -> None:
    lease_runs_out()

    work()

    check_invariants()
    shot = db.session.scalars(select(Shot)).one()
    assert shot.status == "succeeded"
    assert asked(openai) == 1
    assert db.session.scalars(select(Attempt.status)).all() == ["succeeded"]
    spent = db.session.scalars(select(LedgerEntry.amount_micro).where(LedgerEntry.account == "spend")).all()
    assert spent == [openai.bill]


def test_a_picture_that_cannot_be_had_for_now_is_fetched_again_later(
    ann: Member, openai: OpenAIServer, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FETCH_AGAIN_SECONDS", 0.1)
    openai.script_downloads(*["500"] * 4)
    submit(ann, provider="openai", quality="low")

    work()

    check_invariants()
    shot = db.session.scalars(select(Shot)).one()
    assert (shot.status, asked(openai)) == ("succeeded", 1)


def test_nobody_fetches_while_the_lease_is_kept(left_behind: Claim) -> None:
    assert claims.claim(owner="second", lease_seconds=60, lone_only=False) is None


def test_the_sweeper_leaves_it_to_the_workers_and_wakes_them(left_behind: Claim) -> None:
    lease_runs_out()
    runtime.redis.flushall()

    found = sweep.sweep()

    assert found["expired"] == 0
    assert found["woken"] >= 1
    assert db.session.scalars(select(Shot.status)).one() == "running"


def test_a_worker_that_stops_leaves_it_to_the_next_at_once(
    left_behind: Claim, openai: OpenAIServer, work: Work
) -> None:
    attempts.abandon(left_behind, message=attempts.STOPPED)

    work()

    assert db.session.scalars(select(Shot.status)).one() == "succeeded"
    assert asked(openai) == 1


def test_only_one_of_two_fetches_it(left_behind: Claim) -> None:
    lease_runs_out()
    take("second")

    assert claims.claim(owner="third", lease_seconds=60, lone_only=False) is None


def test_the_first_worker_comes_too_late_once_another_fetches(left_behind: Claim) -> None:
    lease_runs_out()
    take("second")

    attempts.abandon(left_behind, message=attempts.LOST)

    assert db.session.scalars(select(Shot.lease_owner)).one() == "second"


def test_after_half_an_hour_it_is_billed_without_a_picture(left_behind: Claim, openai: OpenAIServer) -> None:
    with unit_of_work() as uow:
        uow.execute(update(Attempt).values(sent_at=db_now(-claims.KEPT_SECONDS - 1)))
    lease_runs_out()

    sweep.sweep()

    check_invariants()
    shot = db.session.scalars(select(Shot)).one()
    assert (shot.status, shot.attempts[0].status) == ("failed", "billed_no_image")
    assert shot.actual_micro == openai.bill
    assert db.session.scalars(select(Image)).all() == []


def test_the_receipt_is_sealed(left_behind: Claim, openai: OpenAIServer, data_folder: Path) -> None:
    receipt = db.session.scalars(select(Attempt.receipt)).one()

    assert receipt is not None and openai.base_url.rsplit("/", 1)[0] not in receipt
    opened = json.loads(runtime.sealer.open(receipt, about=f"receipt {left_behind.attempt_id}"))
    assert "http" in opened["receipt"]
