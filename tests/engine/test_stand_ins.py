"""A model that stands in: when a shot moves on to it, when it never does, and what becomes of the money set aside."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from imagegen.engine import claims, limits
from imagegen.extensions import db
from imagegen.models import Event, Fallback, Image, Job, LedgerEntry, ProviderState, Reservation, Shot
from imagegen.models import unit_of_work as transaction
from imagegen.models.budgets import Per
from imagegen.models.columns import db_now
from imagegen.services import budgets, generation
from imagegen.services.audit import COMMAND_LINE
from imagegen.services.generation import GenerationRequest
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything", "quick_retries")

ASKED, CHEAPER, LOCAL = ("openai", "gpt-image-2"), ("openai", "gpt-image-1-mini"), ("local", "local-studio")


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    return {
        "openai_api_key": openai.key,
        "openai_base_url": openai.base_url,
        "provider_timeout_seconds": 1,
    }


def lists(member: Member, *models: tuple[str, str]) -> None:
    """Let `models` stand in for `member`'s organisation, in this order."""
    with transaction() as uow:
        for position, (provider, model) in enumerate(models):
            uow.add(
                Fallback(organisation_id=member.organisation_id, position=position, provider=provider, model=model)
            )


def draw(member: Member, work: Work, **wishes: object) -> Shot:
    """Have one picture drawn, and return its shot afterwards."""
    submit(member, **({"provider": ASKED[0], "model": ASKED[1], "quality": "low"} | wishes))
    work()
    check_invariants()
    return db.session.scalars(select(Shot)).one()


def estimate(provider: str, model: str) -> int:
    """Return what a picture of the model may cost, in micro-USD."""
    request = GenerationRequest(prompt="violet waves", provider=provider, model=model, quality="low")
    return generation.plan(request).estimate or 0


def served_by(shot: Shot) -> tuple[str, str]:
    return shot.provider, shot.model


@pytest.mark.parametrize("fault", ["401", "403_verification", "429_quota", "404_model"])
def test_a_shot_moves_on_when_its_provider_cannot_serve_it(
    ann: Member, openai: OpenAIServer, work: Work, fault: str
) -> None:
    lists(ann, LOCAL)
    openai.script(fault)

    shot = draw(ann, work)

    assert (shot.status, served_by(shot)) == ("succeeded", LOCAL)
    assert len(openai.requests) == 1
    image = db.session.scalars(select(Image)).one()
    assert (image.provider, image.model) == LOCAL
    assert [attempt.provider for attempt in shot.attempts] == ["openai", "local"]
    assert db.session.scalars(select(Job.status)).one() == "succeeded"
    assert "shot.moved_on" in db.session.scalars(select(Event.type)).all()


def test_it_moves_on_once_trying_again_is_over(ann: Member, openai: OpenAIServer, work: Work) -> None:
    lists(ann, LOCAL)
    openai.script("503", "503", "503")

    shot = draw(ann, work)

    assert (shot.status, served_by(shot)) == ("succeeded", LOCAL)
    assert len(openai.requests) == 3


def test_a_refused_picture_never_moves_on(ann: Member, openai: OpenAIServer, work: Work) -> None:
    lists(ann, CHEAPER, LOCAL)
    openai.script("400_moderation")

    shot = draw(ann, work)

    assert (shot.status, served_by(shot)) == ("refused", ASKED)


def test_what_may_have_been_billed_never_moves_on(ann: Member, openai: OpenAIServer, work: Work) -> None:
    lists(ann, LOCAL)
    openai.script("hang")

    shot = draw(ann, work)

    assert (shot.status, served_by(shot)) == ("unknown", ASKED)


def test_nothing_stands_in_that_is_not_in_the_list(ann: Member, openai: OpenAIServer, work: Work) -> None:
    openai.script("401")

    shot = draw(ann, work)

    assert (shot.status, shot.error_kind) == ("failed", "auth")


def test_the_list_is_the_organisations_own(ann: Member, bob: Member, openai: OpenAIServer, work: Work) -> None:
    lists(bob, LOCAL)
    openai.script("401")

    shot = draw(ann, work)

    assert (shot.status, served_by(shot)) == ("failed", ASKED)


def test_after_a_failure_of_the_whole_provider_its_other_models_are_not_asked(
    ann: Member, openai: OpenAIServer, work: Work
) -> None:
    lists(ann, CHEAPER, LOCAL)
    openai.script("401")

    shot = draw(ann, work)

    assert served_by(shot) == LOCAL
    assert len(openai.requests) == 1


def test_after_a_model_that_is_not_there_another_of_the_same_provider_is_asked(
    ann: Member, openai: OpenAIServer, work: Work
) -> None:
    lists(ann, CHEAPER, LOCAL)
    openai.script("404_model")

    shot = draw(ann, work)

    assert (shot.status, served_by(shot)) == ("succeeded", CHEAPER)
    assert [request.body["model"] for request in openai.requests] == [ASKED[1], CHEAPER[1]]
    spent = db.session.scalars(select(LedgerEntry.amount_micro).where(LedgerEntry.account == "spend")).all()
    assert sum(spent) == openai.bill > 0


def test_each_model_is_asked_once_at_most(ann: Member, openai: OpenAIServer, work: Work) -> None:
    lists(ann, ASKED, CHEAPER)
    openai.script("404_model", "404_model")

    shot = draw(ann, work)

    assert (shot.status, served_by(shot)) == ("failed", CHEAPER)
    assert len(openai.requests) == 2


def test_what_is_set_aside_becomes_what_the_new_model_costs(ann: Member, openai: OpenAIServer, work: Work) -> None:
    lists(ann, CHEAPER)
    openai.script("404_model", {"kind": "none", "hold": True})
    job = submit(ann, provider=ASKED[0], model=ASKED[1], quality="low")
    asked = job.estimated_micro
    openai.release()

    work()

    check_invariants()
    shot = db.session.scalars(select(Shot)).one()
    reservation = db.session.scalars(select(Reservation)).one()
    now_estimated = db.session.scalars(select(Job.estimated_micro)).one()
    assert reservation.amount_micro == shot.estimated_micro == now_estimated
    assert asked is not None and shot.estimated_micro is not None and shot.estimated_micro < asked
    assert reservation.posted_micro == openai.bill


def test_a_model_for_which_there_is_no_money_is_passed_over(ann: Member, openai: OpenAIServer, work: Work) -> None:
    dear = ("openai", "gpt-image-2.6-sunburst")
    room = estimate(*CHEAPER)
    assert room < estimate(*dear)
    budgets.set_budget(by=COMMAND_LINE, organisation_id=ann.organisation_id, per=Per.MONTH, cap=room, hard=True)
    lists(ann, dear, LOCAL)
    openai.script("404_model")

    shot = draw(ann, work, model=CHEAPER[1])

    assert (shot.status, served_by(shot)) == ("succeeded", LOCAL)
    assert [request.body["model"] for request in openai.requests] == [CHEAPER[1]]


def test_a_model_that_cannot_draw_what_a_person_asked_for_is_passed_over(
    ann: Member, openai: OpenAIServer, work: Work
) -> None:
    lists(ann, ("openai", "gpt-image-2"), LOCAL)
    openai.script("404_model")

    shot = draw(ann, work, model=CHEAPER[1], background="transparent")

    assert len(openai.requests) == 1
    assert (shot.status, served_by(shot)) == ("failed", CHEAPER)


def breaker_opens(*, broken_for: float = 0.0) -> None:
    """Let the provider have failed so often that it is not called for the next minutes."""
    with transaction() as uow:
        uow.add(
            ProviderState(
                provider="openai",
                failures=limits.FAILURES_TO_OPEN,
                open_until=db_now(300),
                broken_since=db_now(-broken_for),
            )
        )


def test_while_the_breaker_is_open_shots_move_on_at_once_and_nobody_is_called(
    ann: Member, openai: OpenAIServer, work: Work
) -> None:
    lists(ann, LOCAL)
    breaker_opens()

    shot = draw(ann, work)

    assert (shot.status, served_by(shot)) == ("succeeded", LOCAL)
    assert openai.requests == []
    assert [attempt.status for attempt in shot.attempts] == ["not_sent", "succeeded"]


def test_without_a_stand_in_a_shot_waits_for_a_while_and_then_says_so(
    ann: Member, openai: OpenAIServer, work: Work
) -> None:
    breaker_opens(broken_for=1000)
    submit(ann, provider=ASKED[0], quality="low")
    assert claims.claim(owner="me", lease_seconds=60, lone_only=False) is None

    with transaction() as uow:
        uow.execute(update(Shot).values(created_at=db_now(-limits.patience() - 1)))
    work()

    check_invariants()
    shot = db.session.scalars(select(Shot)).one()
    assert (shot.status, shot.error_kind) == ("failed", "unavailable")
    assert db.session.scalars(select(Reservation.status)).one() == "void"
    assert openai.requests == []


def test_a_long_pause_is_not_waited_for_by_who_has_a_stand_in(ann: Member, openai: OpenAIServer, work: Work) -> None:
    lists(ann, LOCAL)
    with transaction() as uow:
        uow.add(ProviderState(provider="openai", failures=0, paused_until=db_now(30)))

    assert served_by(draw(ann, work)) == LOCAL
