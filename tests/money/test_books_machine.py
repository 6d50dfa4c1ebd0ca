"""Whatever people, providers and admins do, in whatever order: the books agree after every step (I1 to I4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from imagegen.core.errors import Conflict
from imagegen.core.money import Micro
from imagegen.engine import attempts, claims, control, departures
from imagegen.engine.claims import Claim
from imagegen.engine.control import Resolution
from imagegen.extensions import db
from imagegen.models import Job, LedgerEntry, Shot, system_scope
from imagegen.models.budgets import Per
from imagegen.services import budgets
from imagegen.services.audit import COMMAND_LINE
from imagegen.services.budget_periods import BudgetExceeded
from tests.models.rows import add_member
from tests.money.books import EACH, ask, check_books, colleague, fail, settle

CAPS = st.integers(0, 6 * EACH)
COSTS = st.sampled_from([0, 1, EACH // 3, EACH, EACH + 1, 2 * EACH])


@pytest.fixture(autouse=True)
def one_scope(app: Flask) -> Iterator[None]:
    with system_scope():
        yield


class Books(RuleBasedStateMachine):
    """One organisation, two people, and a provider that keeps its own bill."""

    names = iter(range(1_000_000))

    @initialize()
    def begin(self) -> None:
        """Start with people of this run alone: the database is one for all runs of a test."""
        self.bill: Micro = 0
        number = next(self.names)
        first = add_member(f"amy{number}", f"One{number}")
        self.people = [first, colleague(first, f"bea{number}")]
        self.jobs: list[str] = []
        self.claims: list[Claim] = []
        self.unknown: list[str] = []

    @rule(who=st.integers(0, 1), n=st.integers(1, 3))
    def submit(self, who: int, n: int) -> None:
        """Ask for pictures; a budget may refuse."""
        try:
            self.jobs.append(ask(self.people[who], n=n).public_id)
        except BudgetExceeded as refused:
            assert refused.left < n * EACH

    @rule()
    def claim(self) -> None:
        """Begin the next call."""
        found = claims.claim(owner="test", lease_seconds=600, lone_only=False)
        if found is not None and departures.mark_sent(found):
            self.claims.append(found)

    @precondition(lambda self: self.claims)
    @rule(cost=COSTS)
    def bill_it(self, cost: Micro) -> None:
        """The provider answers and bills, also more than was set aside."""
        settle(self.claims.pop(0), cost)
        self.bill += cost

    @precondition(lambda self: self.claims)
    @rule()
    def refuse_it(self) -> None:
        """The provider refuses and bills nothing."""
        fail(self.claims.pop(0))

    @precondition(lambda self: self.claims)
    @rule()
    def lose_it(self) -> None:
        """Nobody hears the end of a call."""
        claim = self.claims.pop(0)
        attempts.abandon(claim, message=attempts.LOST)
        self.unknown.append(db.session.scalars(select(Shot.public_id).where(Shot.id == claim.shot_id)).one())

    @precondition(lambda self: self.unknown)
    @rule(billed=st.booleans())
    def clear_it_up(self, billed: bool) -> None:
        """A person finds out what became of it."""
        control.resolve(shot_id=self.unknown.pop(), resolution=Resolution.BILLED if billed else Resolution.NOT_BILLED)
        self.bill += EACH if billed else 0

    @precondition(lambda self: self.jobs)
    @rule(which=st.integers(0, 50), again=st.booleans())
    def cancel_or_retry(self, which: int, again: bool) -> None:
        """Somebody cancels a job, or tries again what failed; both may come too late."""
        job = self.jobs[which % len(self.jobs)]
        with suppress(Conflict, BudgetExceeded):
            control.retry(job) if again else control.cancel(job)

    @rule(cap=CAPS, hard=st.booleans(), per=st.sampled_from(Per), own=st.booleans())
    def set_budget(self, cap: Micro, hard: bool, per: Per, own: bool) -> None:
        """An admin sets a budget, or changes the one that is there."""
        who = self.people[0]
        budgets.set_budget(
            by=COMMAND_LINE,
            organisation_id=who.organisation_id,
            per=per,
            cap=cap,
            hard=hard,
            user_id=who.user_id if own else None,
        )

    @rule(amount=st.integers(1, EACH), remove=st.booleans())
    def grant_or_remove(self, amount: Micro, remove: bool) -> None:
        """An admin consents to more, or takes a budget away."""
        found = [standing for place, standing in budgets.everywhere() if place.id == self.people[0].organisation_id]
        if not found:
            return
        public_id = found[0].budget.public_id
        if remove:
            budgets.remove(by=COMMAND_LINE, public_id=public_id)
        else:
            budgets.grant(by=COMMAND_LINE, public_id=public_id, amount=amount)

    @invariant()
    def books_agree(self) -> None:
        """I1 to I3 from the database alone, and I4 against the provider's own bill."""
        if not hasattr(self, "people"):
            return
        check_books()
        place = self.people[0].organisation_id
        spent = db.session.scalar(
            select(func.coalesce(func.sum(LedgerEntry.amount_micro), 0)).where(
                LedgerEntry.account == "spend", LedgerEntry.organisation_id == place
            )
        )
        assert spent == self.bill
        actual = db.session.scalar(select(func.sum(Job.actual_micro)).where(Job.organisation_id == place))
        assert (actual or 0) == self.bill

    def teardown(self) -> None:
        """End what is under way, so that the next run finds nothing to claim."""
        with ExitStack() as stack:
            for claim in getattr(self, "claims", []):
                stack.callback(fail, claim)
            for job in getattr(self, "jobs", []):
                stack.callback(_cancel, job)


def _cancel(job: str) -> None:
    with suppress(Conflict):
        control.cancel(job)


def test_the_books_agree_whatever_happens(app: Flask) -> None:
    run_state_machine_as_test(
        Books,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
