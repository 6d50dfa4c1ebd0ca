"""Limits and the breaker of a provider: what one worker finds out, all of them heed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from imagegen.core.errors import ErrorKind
from imagegen.engine import attempts, claims, dispatch, limits
from imagegen.engine.claims import Claim
from imagegen.extensions import db
from imagegen.models import Attempt, ProviderKey, ProviderState, Shot, UnitOfWork, system_scope, unit_of_work
from imagegen.models.columns import db_now
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.services.generation import GenerationRequest
from tests.models.rows import Member


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {
        "openai_api_key": SecretStr("sk-never-called"),
        "openai_base_url": "http://127.0.0.1:9/v1",
        "provider_concurrency": 8,
    }


@pytest.fixture(autouse=True)
def all_rows() -> Iterator[None]:
    with system_scope():
        yield


def submit(person: Member, n: int, provider: str = "openai") -> None:
    request = GenerationRequest(prompt="amber dunes", provider=provider, aspect_ratio="1:1", n=n)
    dispatch.submit(organisation_id=person.organisation_id, user_id=person.user_id, request=request)


def take() -> Claim | None:
    return claims.claim(owner="me", lease_seconds=60, lone_only=False)


def take_all() -> list[Claim]:
    return list(iter(take, None))


def failing(kind: ErrorKind, retry_after: float | None = None) -> ProviderError:
    return ProviderError(
        "No.", kind=kind, outcome=Outcome.REJECTED, retryable=kind == ErrorKind.RATE_LIMITED, retry_after=retry_after
    )


def state() -> ProviderState:
    db.session.rollback()
    return db.session.scalars(select(ProviderState)).one()


def times_pass(uow: UnitOfWork) -> None:
    """Let every pause and every open breaker be over, and every shot be due."""
    uow.execute(update(ProviderState).values(paused_until=db_now(-1), open_until=db_now(-1)))
    uow.execute(update(Shot).where(Shot.not_before.is_not(None)).values(not_before=db_now(-1)))


def later() -> None:
    with unit_of_work() as uow:
        times_pass(uow)


def test_no_more_calls_are_under_way_than_the_setting_allows(ann: Member) -> None:
    submit(ann, 10)

    assert len(take_all()) == 8


def test_what_draws_here_is_bounded_by_the_slots_alone(ann: Member) -> None:
    submit(ann, 10, provider="local")

    assert len(take_all()) == 10


def test_a_429_pauses_the_provider_for_everybody_and_halves_what_may_be_under_way(ann: Member) -> None:
    submit(ann, 10)
    held = take_all()

    attempts.fail(held[0], failing(ErrorKind.RATE_LIMITED, retry_after=30))

    assert take() is None
    assert state().slots == 4
    assert claims.seconds_to_next() is not None
    later()
    assert take() is None, "seven are still under way, and four are allowed"


def test_another_provider_goes_on_while_one_pauses(ann: Member) -> None:
    submit(ann, 2)
    claim = take()
    assert claim is not None
    attempts.fail(claim, failing(ErrorKind.RATE_LIMITED, retry_after=30))

    submit(ann, 1, provider="local")

    assert len(take_all()) == 1


def test_each_success_gives_one_call_back_until_the_limit_is_forgotten(ann: Member) -> None:
    submit(ann, 4)
    held = take_all()
    attempts.fail(held[0], failing(ErrorKind.RATE_LIMITED))
    assert state().slots == 2

    for expected in (3, 4, 5, 6, 7, None):
        with unit_of_work() as uow:
            limits.note_success(uow, provider="openai")
        assert state().slots == expected


def test_failures_in_a_row_open_the_breaker_and_one_call_tries_whether_it_is_over(ann: Member) -> None:
    submit(ann, 8)
    held = take_all()
    for claim in held[: limits.FAILURES_TO_OPEN]:
        attempts.fail(claim, failing(ErrorKind.UNAVAILABLE))
    submit(ann, 3)
    assert take() is None, "the breaker is open"

    later()
    assert take() is None, "three are under way, and one is allowed"
    for claim in held[limits.FAILURES_TO_OPEN :]:
        attempts.fail(claim, failing(ErrorKind.REFUSED))
    assert len(take_all()) == 1, "one call tries"

    with unit_of_work() as uow:
        limits.note_success(uow, provider="openai")
    assert len(take_all()) == 2


def test_a_breaker_that_opens_again_stays_open_longer_but_not_for_ever(ann: Member) -> None:
    waits = []
    for _ in range(20):
        with unit_of_work() as uow:
            limits.note_failure(uow, provider="openai", error=failing(ErrorKind.UNAVAILABLE))
        db.session.rollback()
        row, clock = db.session.execute(select(ProviderState, db_now())).one()
        if row.open_until is not None:
            waits.append(round((row.open_until - clock).total_seconds()))

    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(limits.FIRST_OPEN_SECONDS, abs=2)
    assert waits[-1] == pytest.approx(limits.LONGEST_OPEN_SECONDS, abs=2)


def test_nor_does_it_break_by_a_provider_that_is_away_for_weeks(ann: Member) -> None:
    with unit_of_work() as uow:
        uow.add(ProviderState(provider="openai", failures=5000))
    with unit_of_work() as uow:
        limits.note_failure(uow, provider="openai", error=failing(ErrorKind.UNAVAILABLE))
    assert state().failures == 5001 and take() is None


@pytest.mark.parametrize("kind", [ErrorKind.REFUSED, ErrorKind.BAD_REQUEST, ErrorKind.AUTH, ErrorKind.BILLING])
def test_what_says_nothing_of_the_provider_closes_nothing(ann: Member, kind: ErrorKind) -> None:
    submit(ann, 8)
    for claim in take_all():
        attempts.fail(claim, failing(kind))

    db.session.rollback()
    assert db.session.scalars(select(ProviderState)).all() == []


def test_not_more_calls_are_begun_within_a_minute_than_a_person_allows(ann: Member) -> None:
    with unit_of_work() as uow:
        uow.add(ProviderState(provider="openai", failures=0, per_minute=2))
    submit(ann, 4)
    assert len(take_all()) == 2

    with unit_of_work() as uow:
        uow.execute(update(Attempt).values(status="sent", sent_at=db_now(-61)))

    assert len(take_all()) == 2


def test_not_more_calls_are_under_way_than_a_person_allows(ann: Member) -> None:
    with unit_of_work() as uow:
        uow.add(ProviderState(provider="openai", failures=0, concurrency=3))
    submit(ann, 4)

    assert len(take_all()) == 3


def own_key(person: Member, digest: str) -> None:
    with unit_of_work() as uow:
        uow.add(
            ProviderKey(
                organisation_id=person.organisation_id, provider="openai", sealed="-", digest=digest, hint="1234"
            )
        )


def test_one_organisations_bad_key_closes_nothing_for_another(ann: Member, bob: Member) -> None:
    own_key(ann, "a" * 16)
    submit(ann, 2)
    submit(bob, 2)
    held = {claim.organisation_id: claim for claim in (take(), take()) if claim is not None}

    attempts.fail(held[ann.organisation_id], failing(ErrorKind.RATE_LIMITED, retry_after=30))

    assert state().key == "a" * 16
    left = take_all()
    assert [claim.organisation_id for claim in left] == [bob.organisation_id]


def test_the_installations_trouble_closes_nothing_for_who_brought_a_key(ann: Member, bob: Member) -> None:
    own_key(ann, "a" * 16)
    submit(ann, 2)
    submit(bob, 2)
    held = {claim.organisation_id: claim for claim in (take(), take()) if claim is not None}

    attempts.fail(held[bob.organisation_id], failing(ErrorKind.RATE_LIMITED, retry_after=30))

    assert [claim.organisation_id for claim in take_all()] == [ann.organisation_id]


def test_who_shares_a_key_shares_its_limits(ann: Member, bob: Member) -> None:
    own_key(ann, "a" * 16)
    own_key(bob, "a" * 16)
    submit(ann, 6)
    submit(bob, 6)

    assert len(take_all()) == 8
