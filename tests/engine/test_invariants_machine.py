"""Whatever people, workers, providers and accidents do, in whatever order: the invariants hold (I1 to I12, I16).

A few hundred runs belong to the tests; `make soak` does 20,000, in rounds that say their seed and go on where the
last soak was ended.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from pydantic import SecretStr
from sqlalchemy import func, null, select, text, union_all, update

from imagegen.core.errors import Conflict
from imagegen.core.money import Micro
from imagegen.engine import claims, control
from imagegen.engine.control import Resolution
from imagegen.engine.invariants import INVARIANTS, check
from imagegen.engine.sweep import sweep
from imagegen.extensions import Base, db, runtime
from imagegen.models import (
    Attempt,
    Event,
    Fallback,
    Job,
    LedgerEntry,
    Outbox,
    ProviderState,
    Reservation,
    Shot,
    attempt_shots,
    system_scope,
    unit_of_work,
)
from imagegen.models.budgets import Per
from imagegen.models.columns import db_now
from imagegen.models.states import AttemptStatus, ShotStatus
from imagegen.services import budgets, people
from imagegen.services.audit import COMMAND_LINE
from imagegen.services.budget_periods import BudgetExceeded
from tests.engine.calls_in_hand import FATES, Bill, Call, Calls
from tests.engine.questions import Question, broken_ones
from tests.models.rows import add_member, submit
from tests.money.books import EACH, MODEL, colleague

AFTER_EACH_STEP = ("I1", "I2", "I3", "I4", "I5", "I8", "I9", "I10")
"""What reads rows alone, and need not be waited for."""
BEYOND_ROWS = tuple(each.id for each in INVARIANTS if each.probes)
"""What asks more than the database: every file is read."""
LONG = timedelta(days=1)
AT_WORK = (AttemptStatus.SENT, AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN)

PAID = {"provider": "openai", "model": MODEL, "quality": "medium", "size": "1024x1024"}
DRAWN_HERE = {"provider": "local", "size": "256x256"}
WISHES = ({**PAID, "prompt": "x"}, {**PAID, "prompt": "y"}, {**PAID, "prompt": "x", "reuse": "exact"}, DRAWN_HERE)

PERSON = st.integers(0, 2)
which = st.integers(0, 30)


class Studio(RuleBasedStateMachine):
    """Three people in two organisations, two workers, providers that bill, and whatever comes between."""

    database: ClassVar[Any]
    calls_in_hand: ClassVar[Calls]

    @initialize(stands_in=st.booleans())
    def begin(self, stands_in: bool) -> None:
        """Start with an empty database, files and Redis, and with people."""
        self.database()
        first = add_member("amy", "One")
        self.people = [first, colleague(first, "bea"), add_member("cid", "Two")]
        if stands_in:
            with unit_of_work() as uow:
                place = first.organisation_id
                uow.add(Fallback(organisation_id=place, position=1, provider="local", model=_local_model()))
        self.bill = Bill()
        self.calls: list[Call] = []
        self.jobs: list[str] = []
        self.keys: dict[tuple[int, str], tuple[tuple[int, int], str]] = {}
        self.jobs.append(submit(first, n=2, **WISHES[0]).public_id)

    # --- what people do

    @rule(who=PERSON, n=st.integers(1, 3), wish=st.integers(0, 3), key=st.sampled_from(["", "", "k", "l"]))
    def submit(self, who: int, n: int, wish: int, key: str) -> None:
        """Ask for pictures, perhaps under a key that was used before: with the same wish, or with another."""
        asked, earlier = (n, wish), self.keys.get((who, key))
        try:
            job = submit(self.people[who], n=n, key=key or None, **WISHES[wish])
        except Conflict:
            assert earlier is not None and earlier[0] != asked
            return
        except BudgetExceeded:
            return
        assert earlier is None or earlier == (asked, job.public_id)
        if key:
            self.keys[who, key] = (asked, job.public_id)
        if job.public_id not in self.jobs:
            self.jobs.append(job.public_id)

    @precondition(lambda self: self.jobs)
    @rule(
        job=which,
        verb=st.sampled_from([control.cancel, control.retry, control.pause, control.resume, control.to_the_front]),
    )
    def decide(self, job: int, verb: Any) -> None:
        """Cancel, try again, pause, resume or move a job to the front; any of it may come too late."""
        with suppress(Conflict, BudgetExceeded):
            verb(self.jobs[job % len(self.jobs)])

    @precondition(lambda self: self.jobs)
    @rule(job=which)
    def delete(self, job: int) -> None:
        """Delete a job that has ended: its cost stays in the books, and its keys may be used again."""
        public_id = self.jobs[job % len(self.jobs)]
        with suppress(Conflict):
            control.delete(public_id)
            self.jobs.remove(public_id)
            self.keys = {key: told for key, told in self.keys.items() if told[1] != public_id}

    @rule(shot=which)
    def clear_up(self, shot: int) -> None:
        """Somebody asks the provider what became of a call, and says so."""
        unknown = db.session.execute(
            select(Shot.public_id, Shot.estimated_micro, func.max(attempt_shots.c.attempt_id))
            .join(attempt_shots, attempt_shots.c.shot_id == Shot.id)
            .where(Shot.status == ShotStatus.UNKNOWN)
            .group_by(Shot.id)
            .order_by(Shot.id)
        ).all()
        db.session.rollback()
        if not unknown:
            return
        public_id, estimate, attempt_id = unknown[shot % len(unknown)]
        price = self.bill.by_attempt[attempt_id]
        if price in (0, estimate):
            control.resolve(shot_id=public_id, resolution=Resolution.BILLED if price else Resolution.NOT_BILLED)

    @rule(who=PERSON, cap=st.integers(0, 8), hard=st.booleans(), per=st.sampled_from(Per), own=st.booleans())
    def set_budget(self, who: int, cap: int, hard: bool, per: Per, own: bool) -> None:
        """An admin sets a budget, or changes the one that is there."""
        member = self.people[who]
        budgets.set_budget(
            by=COMMAND_LINE,
            organisation_id=member.organisation_id,
            per=per,
            cap=cap * EACH,
            hard=hard,
            user_id=member.user_id if own else None,
        )

    @rule(amount=st.integers(1, EACH), remove=st.booleans(), number=which)
    def grant_or_remove(self, amount: Micro, remove: bool, number: int) -> None:
        """An admin consents to more, or takes a budget away."""
        found = [standing.budget.public_id for _, standing in budgets.everywhere()]
        db.session.rollback()
        if not found:
            return
        public_id = found[number % len(found)]
        if remove:
            budgets.remove(by=COMMAND_LINE, public_id=public_id)
        else:
            budgets.grant(by=COMMAND_LINE, public_id=public_id, amount=amount)

    @rule(on=st.booleans())
    def disable(self, on: bool) -> None:
        """Somebody's account is switched off, or on again, while their pictures are drawn."""
        people.set_enabled(by=COMMAND_LINE, email="bea@bea's own.example", enabled=on)

    # --- what workers and providers do

    @rule(owner=st.sampled_from(["one", "two"]), lone_only=st.booleans())
    def claim(self, owner: str, lone_only: bool) -> None:
        """A worker claims the next shot."""
        self._claim(owner, lone_only)

    def _claim(self, owner: str, lone_only: bool) -> None:
        found = claims.claim(owner=owner, lease_seconds=600, lone_only=lone_only)
        if found is not None:
            self.calls.append(self.calls_in_hand.take(owner, found, self.bill))

    @precondition(lambda self: self.calls)
    @rule(call=which, fate=st.sampled_from(sorted(FATES)))
    def go_on(self, call: int, fate: str) -> None:
        """A call gets one step further, or to its end: also one whose lease has long run out."""
        moved = self.calls[call % len(self.calls)]
        moved.go_on(FATES[fate])
        self._drop_ended()

    @precondition(lambda self: self.calls)
    @rule(call=which, fate=st.sampled_from(["picture", "picture", "dear picture", "silence, and a bill"]))
    def go_to_the_end(self, call: int, fate: str) -> None:
        """A call goes through without anything coming between."""
        moved = self.calls[call % len(self.calls)]
        while moved.waits != "over":
            moved.go_on(FATES[fate])
        self._drop_ended()

    @precondition(lambda self: self.calls)
    @rule(call=which, kindly=st.booleans())
    def end_worker(self, call: int, kindly: bool) -> None:
        """The process that makes a call is killed where it stands, or told to stop."""
        ended = self.calls[call % len(self.calls)]
        if kindly:
            ended.stop()
        else:
            ended.die()
        self._drop_ended()

    @rule(owner=st.sampled_from(["one", "two"]))
    def heartbeat(self, owner: str) -> None:
        """A worker renews the leases of what it believes to hold."""
        held = [call.claim.shot_id for call in self.calls if call.owner == owner]
        claims.keep(owner=owner, shot_ids=held, lease_seconds=600)

    # --- what happens

    @rule(shot=which)
    def lease_runs_out(self, shot: int) -> None:
        """Nobody renewed a lease for long."""
        running = db.session.scalars(select(Shot.id).where(Shot.status == ShotStatus.RUNNING).order_by(Shot.id)).all()
        db.session.rollback()
        if running:
            with unit_of_work() as uow:
                late = update(Shot).where(Shot.id == running[shot % len(running)])
                uow.execute(late.values(lease_until=db_now(-60)))

    @precondition(lambda self: self.calls)
    @rule(call=which, again=st.booleans())
    def worker_is_thought_dead(self, call: int, again: bool) -> None:
        """A worker hangs for so long that its shot is taken back, and perhaps taken over: it does not know that."""
        hangs = self.calls[call % len(self.calls)].claim
        with unit_of_work() as uow:
            late = update(Shot).where(Shot.id == hangs.shot_id, Shot.status == ShotStatus.RUNNING)
            uow.execute(late.values(lease_until=db_now(-60)))
        sweep()
        _pass_time()
        if again:
            self._claim("two", False)

    @rule()
    def time_passes(self) -> None:
        """Everything that was put off is due."""
        _pass_time()

    @rule()
    def sweep(self) -> None:
        """The scheduler looks for what got lost."""
        sweep()

    @rule()
    def flush(self) -> None:
        """Redis forgets everything."""
        runtime.redis.flushall()

    # --- what must hold

    @invariant()
    def it_holds(self) -> None:
        """Everything that the database alone can tell, and the bill."""
        if not hasattr(self, "people"):
            return
        if broken := _BROKEN.rows():
            raise AssertionError((broken, check(only=AFTER_EACH_STEP, hash_files=False, patience=LONG)))
        self._bill_is_booked()

    def _bill_is_booked(self) -> None:
        """I4: what the providers would ask for is booked, or may still be: under way, or of unknown fate."""
        booked, open_ = 0, []
        for amount, attempt in _BOOKED_AND_OPEN.rows():
            if attempt is None:
                booked = amount
            else:
                open_.append(attempt)
        assert self.bill.total == booked + sum(self.bill.by_attempt.get(attempt, 0) for attempt in open_)

    def _drop_ended(self) -> None:
        self.calls = [call for call in self.calls if call.waits != "over"]

    def teardown(self) -> None:
        """All processes are gone; one sweep brings everything in order, and another one changes nothing (I16)."""
        if not hasattr(self, "people"):
            return
        for call in self.calls:
            call.die()
        self.calls_in_hand.forget()
        with unit_of_work() as uow:
            uow.execute(update(Shot).where(Shot.status == ShotStatus.RUNNING).values(lease_until=db_now(-60)))
        sweep()
        _pass_time()
        sweep()
        before = _everything()
        assert sweep() == {"expired": 0, "woken": 0}
        assert _everything() == before
        if broken := _BROKEN_AT_REST.rows(patience=0.0):
            raise AssertionError((broken, check(patience=timedelta(0))))
        assert check(only=BEYOND_ROWS, patience=timedelta(0)) == []
        self._bill_is_booked()


_BROKEN = broken_ones(AFTER_EACH_STEP)
_BROKEN_AT_REST = broken_ones([each.id for each in INVARIANTS])
_BOOKED_AND_OPEN = Question(
    union_all(
        select(func.coalesce(func.sum(LedgerEntry.amount_micro), 0), null()).where(LedgerEntry.account == "spend"),
        select(null(), Attempt.id).where(Attempt.status.in_(AT_WORK)),
    )
)
"""The sum of all spending, and the ids of calls whose end is not known yet."""


def _local_model() -> str:
    return next(p for p in runtime.providers.providers() if p.id == "local").models()[0].id


def _pass_time() -> None:
    with unit_of_work() as uow:
        uow.execute(update(Shot).where(Shot.not_before.is_not(None)).values(not_before=db_now(-1)))
        uow.execute(update(ProviderState).values(paused_until=None, open_until=None))


def _everything() -> list[Any]:
    """Return what a sweep could change."""
    db.session.rollback()
    tables = (
        select(Shot.id, Shot.status, Shot.fence).order_by(Shot.id),
        select(Attempt.id, Attempt.status).order_by(Attempt.id),
        select(Reservation.id, Reservation.status).order_by(Reservation.id),
        select(Job.id, Job.status, Job.event_seq).order_by(Job.id),
        select(func.count(Event.id)),
        select(func.count(Outbox.id)).where(Outbox.sent_at.is_(None)),
    )
    found = [db.session.execute(query).all() for query in tables]
    db.session.rollback()
    return found


# --- runs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {"openai_api_key": SecretStr("sk-never-called"), "openai_base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture
def machine(
    app: Flask, data_folder: Path, migrated_database: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[Studio]]:
    """The machine, with an app whose database is emptied for each run."""
    sqlite = db.engine.dialect.name == "sqlite"

    def empty() -> None:
        db.session.remove()
        runtime.redis.flushall()
        shutil.rmtree(data_folder / "files" / "orgs", ignore_errors=True)
        if sqlite:
            db.engine.dispose()
            for left in data_folder.glob("studio.db-*"):
                left.unlink()
            shutil.copy(migrated_database, data_folder / "studio.db")
        else:
            with unit_of_work() as uow:
                names = ", ".join(table.name for table in Base.metadata.sorted_tables)
                uow.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))

    calls = Calls()
    calls.replace(monkeypatch)
    with system_scope():
        yield type("Studio", (Studio,), {"database": staticmethod(empty), "calls_in_hand": calls})


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "300"))


@pytest.mark.timeout(600)
def test_the_invariants_hold_whatever_happens(machine: type[Studio]) -> None:
    examples = EXAMPLES * 4 // 5 if db.engine.dialect.name == "sqlite" else max(1, EXAMPLES // 5)
    run_machine(machine, settings=_settings(examples, steps=15))


SOAK = int(os.environ.get("SOAK_EXAMPLES", "0"))
ROUND = 250
"""Examples with one seed: a soak that is ended goes on at the round in which it was."""


@pytest.mark.skipif(not SOAK, reason="`make soak` runs this, for hours")
@pytest.mark.timeout(0)
@pytest.mark.databases("sqlite")
def test_the_invariants_hold_for_hours(machine: type[Studio], pytestconfig: pytest.Config) -> None:
    first_seed = int(os.environ.get("SOAK_SEED", "0"))
    place = pytestconfig.rootpath / ".hypothesis" / f"soak-{first_seed}"
    place.parent.mkdir(exist_ok=True)
    done = int(place.read_text()) if place.exists() else 0
    for number in range(done, -(-SOAK // ROUND)):
        print(f"soak: seed {first_seed + number}, examples {number * ROUND} to {(number + 1) * ROUND} of {SOAK}")
        run_machine(seed(first_seed + number)(machine), settings=_settings(ROUND, steps=30))
        place.write_text(str(number + 1))
    place.unlink(missing_ok=True)
