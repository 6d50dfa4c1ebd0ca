"""F39 and F40: many reach for the last cent at once, and prices that nobody knows or that were higher than told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import select

from imagegen.extensions import db
from imagegen.models import Event, Reservation, Shot, organisation_scope, system_scope
from imagegen.models.budgets import BudgetPeriod, Per
from imagegen.services import budgets
from imagegen.services.audit import COMMAND_LINE
from tests.conftest import Person
from tests.fakes import openai_answers
from tests.fakes.openai_server import OpenAIServer
from tests.faults.at_once import at_once
from tests.faults.conftest import PAID, Ask
from tests.faults.outcome import expect_settled, expect_sound
from tests.faults.processes import Processes
from tests.models.rows import Member, submit

PARALLEL = 100
FIT = 7

Limit = Callable[[int], None]


@pytest.fixture
def limit(person: Person) -> Limit:
    """Give the organisation a hard budget of so many micro-dollars a month."""

    def set_hard(cap: int) -> None:
        organisation = person.organisation.id
        with organisation_scope(organisation):
            budgets.set_budget(by=COMMAND_LINE, organisation_id=organisation, per=Per.MONTH, cap=cap, hard=True)

    return set_hard


@pytest.fixture
def each(ann: Member) -> int:
    """What one picture may cost at most, in micro-dollars: that of a job which is there before there is a budget."""
    submit(ann, **PAID)
    with system_scope():
        return db.session.scalars(select(Shot.estimated_micro)).one() or 0


def period() -> tuple[int, int, int]:
    """Return what is set aside, spent, and spent beyond the cap."""
    db.session.rollback()
    with system_scope():
        row = db.session.scalars(select(BudgetPeriod)).one()
        return row.reserved_micro, row.spent_micro, row.over_micro


def test_f39_of_a_hundred_requests_at_once_for_the_last_cents_exactly_those_that_fit_are_accepted(
    processes: Processes, ask: Ask, each: int, limit: Limit, openai: OpenAIServer
) -> None:
    limit((1 + FIT) * each + each - 1)
    url = processes.web()

    answers = at_once(*[partial(ask, url) for _ in range(PARALLEL)])

    assert Counter(answer.status_code for answer in answers) == {202: FIT, 402: PARALLEL - FIT}
    assert period() == ((1 + FIT) * each, 0, 0)
    refused = next(answer for answer in answers if answer.status_code == 402)
    assert "left" in refused.json()["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    processes.worker()
    processes.scheduler()
    expect_settled(*["succeeded"] * (1 + FIT))
    expect_sound(openai)
    assert len(openai.requests) == 1 + FIT
    assert period() == (0, openai.bill, 0)


@pytest.mark.databases("sqlite")  # the database has no part in it
def test_f40_what_nobody_knows_the_price_of_is_refused_under_a_hard_budget(
    processes: Processes, ask: Ask, limit: Limit, openai: OpenAIServer
) -> None:
    limit(10**9)
    url = processes.web()
    unpriced = {"model": "dall-e-3", "quality": "standard"}

    refused = ask(url, **unpriced)

    assert refused.status_code == 402
    assert "nobody knows what this model costs" in refused.json()["detail"]
    assert ask(url).status_code == 202
    processes.worker()
    expect_settled("succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 1


def test_f40_a_cost_above_what_was_set_aside_is_booked_as_it_is_told_and_stops_what_comes_after(
    processes: Processes,
    ask: Ask,
    each: int,
    limit: Limit,
    openai: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(openai_answers._TOKENS, "low", 10 * openai_answers._TOKENS["low"])
    limit(2 * each)
    url = processes.web()
    processes.worker()

    expect_settled("succeeded")
    expect_sound(openai)
    assert openai.bill > 2 * each
    assert period() == (0, openai.bill, openai.bill - 2 * each)
    with system_scope():
        told = db.session.scalars(select(Event.type).order_by(Event.seq)).all()
        (held,) = db.session.scalars(select(Reservation)).all()
    assert told.count("shot.overrun") == 1
    assert (held.status, held.amount_micro) == ("posted", each)
    assert ask(url).status_code == 402
    assert len(openai.requests) == 1
