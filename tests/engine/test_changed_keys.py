"""A key that its organisation changes while work waits for it: nobody else's account pays for the call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from imagegen.engine import attempts, claims
from imagegen.engine.claims import Claim
from imagegen.extensions import db
from imagegen.models import Attempt, Shot, organisation_scope, unit_of_work
from imagegen.models.columns import db_now
from imagegen.providers.base import Provider
from imagegen.services import provider_keys
from imagegen.services.audit import Actor
from tests.conftest import ENCRYPTION_KEY
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything")

OWN = "sk-canary-own-1d55ab80"
NEXT = "sk-canary-next-77c0fe12"


class Died(BaseException):
    """Stands for a process that is gone."""


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """One that takes every key, and remembers which it was given."""
    with OpenAIServer(key=None) as server:
        yield server


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    return {
        "openai_api_key": openai.key,
        "openai_base_url": openai.base_url,
        "encryption_keys": SecretStr(ENCRYPTION_KEY),
    }


def by(person: Member) -> Actor:
    return Actor(user_id=person.user_id, organisation_id=person.organisation_id, role="owner")


def enter(person: Member, secret: str) -> None:
    with organisation_scope(person.organisation_id):
        provider_keys.enter(by=by(person), provider="openai", secret=secret)


def remove(person: Member) -> None:
    with organisation_scope(person.organisation_id):
        provider_keys.remove(by=by(person), provider="openai")


def claimed(person: Member) -> Claim:
    submit(person, provider="openai", quality="low")
    claim = claims.claim(owner="me", lease_seconds=60, lone_only=False)
    assert claim is not None
    return claim


def paid_by(openai: OpenAIServer) -> list[str]:
    """Return the keys under which pictures were asked for."""
    return [
        request.headers["authorization"].removeprefix("Bearer ")
        for request in openai.requests
        if request.method == "POST"
    ]


def shot() -> Shot:
    db.session.rollback()
    return db.session.scalars(select(Shot)).one()


def test_a_key_that_is_removed_after_the_claim_does_not_make_the_installation_pay(
    ann: Member, openai: OpenAIServer
) -> None:
    enter(ann, OWN)
    claim = claimed(ann)
    remove(ann)

    attempts.run(claim)

    check_invariants()
    assert paid_by(openai) == []
    assert (shot().status, shot().tries, shot().error_kind) == ("waiting", 0, None)
    assert db.session.scalars(select(Attempt.status)).all() == ["not_sent"]


@pytest.mark.parametrize("before", [None, OWN])
def test_a_key_that_is_entered_after_the_claim_pays_from_the_next_claim_on(
    ann: Member, openai: OpenAIServer, work: Work, before: str | None
) -> None:
    if before is not None:
        enter(ann, before)
    claim = claimed(ann)
    enter(ann, NEXT)

    attempts.run(claim)
    work()

    check_invariants()
    assert paid_by(openai) == [NEXT]
    assert shot().status == "succeeded"


def test_a_canceled_shot_whose_key_was_changed_ends(ann: Member, openai: OpenAIServer) -> None:
    enter(ann, OWN)
    claim = claimed(ann)
    remove(ann)
    with unit_of_work() as uow:
        uow.execute(shot().job.__table__.update().values(cancel_requested_at=db_now()))

    attempts.run(claim)

    check_invariants()
    assert (shot().status, paid_by(openai)) == ("canceled", [])


@pytest.fixture
def left_behind(ann: Member, openai: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that OpenAI has made under the organisation's own key, and that nobody has fetched yet."""
    openai.script_downloads()
    enter(ann, OWN)
    claim = claimed(ann)

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(Provider, "_collected", die)
        with pytest.raises(Died):
            attempts.run(claim)
    with unit_of_work() as uow:
        uow.execute(update(Shot).values(lease_until=db_now(-1)))


def test_what_was_made_under_the_key_before_is_fetched_with_the_next_one(
    left_behind: None, ann: Member, openai: OpenAIServer, work: Work
) -> None:
    enter(ann, NEXT)

    work()

    check_invariants()
    assert (shot().status, paid_by(openai)) == ("succeeded", [OWN])


def test_what_was_made_under_a_key_that_is_gone_is_booked_and_said(
    left_behind: None, ann: Member, openai: OpenAIServer, work: Work
) -> None:
    remove(ann)

    work()

    check_invariants()
    assert (shot().status, shot().error_message) == ("failed", provider_keys.KEY_GONE)
    assert (shot().actual_micro, paid_by(openai)) == (openai.bill, [OWN])
