"""What budgets promise: hard ones are never passed, the truth is booked, and everything ends where it began."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select, update

from imagegen.core import calendar
from imagegen.core.errors import Conflict, NotFound, StudioError
from imagegen.core.money import Micro
from imagegen.engine import control
from imagegen.extensions import db, in_app_context, runtime
from imagegen.models import Event, Job, Organisation, organisation_scope, system_scope, unit_of_work
from imagegen.models.budgets import BudgetPeriod, Per
from imagegen.services import budgets, generation
from imagegen.services.audit import COMMAND_LINE
from imagegen.services.budget_periods import BudgetExceeded
from imagegen.services.budgets import Step
from tests.models.rows import Member, add_member
from tests.money.books import EACH, ask, check_books, colleague, fail, settle, take, the_period

pytestmark = pytest.mark.usefixtures("everything")


def budget(member: Member, cap: Micro, *, per: Per = Per.MONTH, hard: bool = True, own: bool = False) -> str:
    return budgets.set_budget(
        by=COMMAND_LINE,
        organisation_id=member.organisation_id,
        per=per,
        cap=cap,
        hard=hard,
        user_id=member.user_id if own else None,
    ).public_id


def amounts(period: BudgetPeriod | None = None) -> tuple[int, int, int]:
    period = period or the_period()
    return period.reserved_micro, period.spent_micro, period.over_micro


@pytest.fixture(autouse=True)
def books_are_right(app: Flask) -> object:
    yield
    check_books()


def test_the_price_that_these_tests_count_with_is_the_table_s(amy: Member) -> None:
    assert ask(amy).estimated_micro == EACH


def test_what_fits_is_set_aside_and_what_does_not_is_refused_with_what_is_left_and_until_when(amy: Member) -> None:
    budget(amy, 2 * EACH)
    ask(amy)
    ask(amy)

    with pytest.raises(BudgetExceeded) as refused:
        ask(amy)

    assert amounts() == (2 * EACH, 0, 0)
    assert refused.value.status == 402
    assert refused.value.left == 0
    assert "$0.00 left" in refused.value.message
    assert "begins anew on" in refused.value.message
    assert "(UTC)" in refused.value.message
    assert 0 < refused.value.retry_after <= 31 * 24 * 3600


def test_a_refused_job_leaves_nothing_behind(amy: Member) -> None:
    budget(amy, EACH)
    with pytest.raises(BudgetExceeded):
        ask(amy, n=2)

    db.session.rollback()
    assert db.session.scalars(select(Job)).all() == []
    assert amounts() == (0, 0, 0)


def test_settling_takes_the_true_cost_and_gives_the_rest_back(amy: Member) -> None:
    budget(amy, EACH)
    ask(amy)
    settle(take(), EACH // 2)

    assert amounts() == (0, EACH // 2, 0)


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_what_is_never_billed_gives_all_of_it_back(amy: Member, end: str) -> None:
    budget(amy, EACH)
    job = ask(amy)
    if end == "fail":
        fail(take())
    else:
        control.cancel(job.public_id)

    assert amounts() == (0, 0, 0)
    ask(amy)


def test_a_true_cost_above_what_was_set_aside_is_booked_flagged_and_told(amy: Member) -> None:
    budget(amy, EACH)
    job = ask(amy)
    settle(take(), EACH + 5000)

    assert amounts() == (0, EACH + 5000, 5000)
    types = db.session.scalars(select(Event.type).where(Event.job_id == job.id)).all()
    assert "shot.overrun" in types
    with pytest.raises(BudgetExceeded):
        ask(amy)


def test_a_retry_is_paid_for_again(amy: Member) -> None:
    budget(amy, 2 * EACH)
    job = ask(amy)
    settle(take(), EACH)
    control.retry(job.public_id)
    assert amounts() == (EACH, EACH, 0)
    settle(take(), EACH)

    with pytest.raises(BudgetExceeded):
        control.retry(job.public_id)

    assert db.session.get_one(Job, job.id).n_waiting == 0


def test_an_unknown_price_is_refused_by_a_hard_budget_and_let_through_by_a_soft_one(
    amy: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(runtime.prices), "estimate", lambda *_: None)
    budget(amy, 1_000_000_000)
    with pytest.raises(BudgetExceeded, match="nobody knows what this model costs"):
        ask(amy)

    budget(amy, 1_000_000_000, hard=False)
    ask(amy)
    settle(take(), EACH)
    assert amounts() == (0, EACH, 0)


def test_a_soft_budget_counts_past_its_cap(amy: Member) -> None:
    budget(amy, EACH, hard=False)
    ask(amy, n=3)

    assert amounts() == (3 * EACH, 0, 0)


def test_what_is_free_is_drawn_when_nothing_is_left(amy: Member) -> None:
    budget(amy, 0)
    ask(amy, provider="local", model=None, quality=None)


def test_a_person_s_budget_binds_them_alone(amy: Member) -> None:
    bea = colleague(amy, "bea")
    budget(amy, EACH, own=True)
    ask(amy)
    with pytest.raises(BudgetExceeded, match=r"^Your budget"):
        ask(amy)

    ask(bea)


def test_all_budgets_are_held_or_none(amy: Member) -> None:
    budget(amy, 5 * EACH)
    budget(amy, EACH, per=Per.DAY, own=True)
    ask(amy)
    with pytest.raises(BudgetExceeded):
        ask(amy)

    db.session.rollback()
    assert [period.reserved_micro for period in db.session.scalars(select(BudgetPeriod))] == [EACH, EACH]


def test_another_organisation_s_budget_is_nobody_else_s(amy: Member) -> None:
    bob = add_member("bob", "Two")
    budget(bob, 0)
    ask(amy)


def test_a_budget_made_in_the_middle_of_the_month_knows_what_has_gone_before(amy: Member) -> None:
    ask(amy, n=2)
    settle(take(), EACH)
    budget(amy, 3 * EACH)
    assert amounts() == (EACH, EACH, 0)

    settle(take(), EACH)
    assert amounts() == (0, 2 * EACH, 0)


def test_a_cap_lowered_below_what_is_gone_says_by_how_much(amy: Member) -> None:
    budget(amy, 3 * EACH)
    ask(amy, n=3)
    budget(amy, EACH)

    assert amounts() == (3 * EACH, 0, 2 * EACH)


def test_an_admin_s_consent_raises_this_month_alone(amy: Member) -> None:
    public_id = budget(amy, EACH)
    ask(amy)
    with organisation_scope(amy.organisation_id):
        budgets.ask(user_id=amy.user_id, public_id=public_id, amount=EACH)
        assert the_period().asked_micro == EACH
        budgets.grant(by=COMMAND_LINE, public_id=public_id, amount=EACH)

    assert the_period().asked_micro is None
    ask(amy)
    with pytest.raises(BudgetExceeded):
        ask(amy)
    assert the_period().cap_micro == EACH


def test_nobody_asks_for_more_in_a_colleague_s_budget(amy: Member) -> None:
    public_id = budget(amy, EACH, own=True)
    with pytest.raises(NotFound):
        budgets.ask(user_id=colleague(amy, "bea").user_id, public_id=public_id, amount=EACH)


def test_a_removed_budget_holds_nothing_back(amy: Member) -> None:
    public_id = budget(amy, EACH)
    ask(amy)
    budgets.remove(by=COMMAND_LINE, public_id=public_id)
    ask(amy, n=2)
    settle(take(), EACH)


@pytest.mark.parametrize("cap", [-1, budgets.LARGEST + 1])
def test_a_cap_is_an_amount_that_somebody_can_mean(amy: Member, cap: Micro) -> None:
    with pytest.raises(StudioError):
        budget(amy, cap)


def test_a_budget_is_for_somebody_in_the_organisation(amy: Member) -> None:
    bob = add_member("bob", "Two")
    with pytest.raises(StudioError):
        budgets.set_budget(
            by=COMMAND_LINE,
            organisation_id=amy.organisation_id,
            per=Per.DAY,
            cap=1,
            hard=True,
            user_id=bob.user_id,
        )


@pytest.mark.parametrize(
    ("pictures", "step"), [(1, Step.FINE), (14, Step.FINE), (15, Step.WARN), (18, Step.CHEAPER), (20, Step.FULL)]
)
def test_the_steps_come_at_75_90_and_100_percent(amy: Member, pictures: int, step: Step) -> None:
    budget(amy, 20 * EACH)
    found = budgets.verdict(organisation_id=amy.organisation_id, user_id=amy.user_id, estimate=pictures * EACH)

    assert (found.step if found else Step.FINE) == step
    assert found is None or found.refusal is None


def test_the_refusal_is_foretold_in_the_words_in_which_it_comes(amy: Member) -> None:
    budget(amy, EACH)
    with pytest.raises(BudgetExceeded) as refused:
        ask(amy, n=2)
    told = budgets.verdict(organisation_id=amy.organisation_id, user_id=amy.user_id, estimate=2 * EACH)

    assert told is not None
    assert told.refusal is not None
    assert told.refusal.message == refused.value.message


def test_the_tightest_budget_is_the_one_of_which_most_is_used(amy: Member) -> None:
    budget(amy, 10 * EACH)
    small = budget(amy, 2 * EACH, per=Per.DAY)
    ask(amy)
    found = budgets.tightest(budgets.standings(organisation_id=amy.organisation_id, user_id=amy.user_id))

    assert found is not None
    assert (found.budget.public_id, found.percent(), found.left) == (small, 50, EACH)


@pytest.mark.parametrize("parallel", [20])
def test_of_many_at_once_exactly_those_that_fit_get_the_last_cents(app: Flask, amy: Member, parallel: int) -> None:
    budget(amy, 100 * EACH)
    for _ in range(10):
        ask(amy, n=9)
    start = threading.Barrier(parallel)
    outcomes: Counter[str] = Counter()

    def one(count: int) -> None:
        for _ in range(count):
            try:
                ask(amy)
                outcomes["accepted"] += 1
            except BudgetExceeded:
                outcomes["refused"] += 1

    def run() -> None:
        start.wait()
        with system_scope():
            one(5)

    call: Callable[[], None] = in_app_context(run)
    threads = [threading.Thread(target=call) for _ in range(parallel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {"accepted": 10, "refused": 90}
    assert amounts() == (100 * EACH, 0, 0)


@pytest.mark.parametrize(
    ("zone", "moment", "first", "starts", "ends"),
    [
        ("UTC", "2026-11-30T23:59:59", "2026-11-01", "2026-11-01T00:00", "2026-12-01T00:00"),
        ("Europe/Berlin", "2026-11-30T23:30:00", "2026-12-01", "2026-11-30T23:00", "2026-12-31T23:00"),
        ("America/Los_Angeles", "2027-01-01T07:00:00", "2026-12-01", "2026-12-01T08:00", "2027-01-01T08:00"),
        ("Europe/Berlin", "2026-10-15T12:00:00", "2026-10-01", "2026-09-30T22:00", "2026-10-31T23:00"),
    ],
)
def test_a_month_is_the_organisation_s_own(zone: str, moment: str, first: str, starts: str, ends: str) -> None:
    found = calendar.month_of(datetime.fromisoformat(moment).replace(tzinfo=UTC), zone)

    assert found.first.isoformat() == first
    assert found.starts_at == datetime.fromisoformat(starts).replace(tzinfo=UTC)
    assert found.ends_at == datetime.fromisoformat(ends).replace(tzinfo=UTC)


def test_a_day_whose_midnight_is_skipped_begins_with_the_leap() -> None:
    found = calendar.day_of(datetime(2026, 4, 24, 12, tzinfo=UTC), "Africa/Cairo")

    assert (found.starts_at, found.ends_at) == (
        datetime(2026, 4, 23, 22, tzinfo=UTC),
        datetime(2026, 4, 24, 21, tzinfo=UTC),
    )


def test_what_began_before_midnight_ends_in_its_own_day(amy: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    evening, morning = datetime(2027, 3, 1, 22, 59, 59, tzinfo=UTC), datetime(2027, 3, 1, 23, tzinfo=UTC)
    _move_to(amy, "Europe/Berlin")
    monkeypatch.setattr("imagegen.services.ledger.now", lambda: evening)
    monkeypatch.setattr("imagegen.services.budgets.now", lambda: evening)
    budget(amy, EACH, per=Per.DAY)
    ask(amy)
    with pytest.raises(BudgetExceeded):
        ask(amy)

    monkeypatch.setattr("imagegen.services.ledger.now", lambda: morning)
    ask(amy)
    settle(take(), EACH)

    db.session.rollback()
    days = db.session.scalars(select(BudgetPeriod).order_by(BudgetPeriod.starts_on)).all()
    assert [(f"{day.starts_on}", *amounts(day)) for day in days] == [
        ("2027-03-01", 0, EACH, 0),
        ("2027-03-02", EACH, 0, 0),
    ]


def test_a_finished_job_is_not_canceled_for_its_money(amy: Member) -> None:
    budget(amy, EACH)
    job = ask(amy)
    settle(take(), EACH)
    with pytest.raises(Conflict):
        control.cancel(job.public_id)
    assert amounts() == (0, EACH, 0)


def test_planning_alone_holds_nothing(amy: Member) -> None:
    budget(amy, EACH)
    request = generation.GenerationRequest(prompt="x", provider="openai", n=5)
    generation.plan(request)
    assert amounts() == (0, 0, 0)


def _move_to(member: Member, zone: str) -> None:
    with unit_of_work() as uow:
        uow.execute(update(Organisation).where(Organisation.id == member.organisation_id).values(time_zone=zone))
