"""F33 and F34: clocks that are wrong, days that have two half past two, schedulers that are many, frozen or late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update

from imagegen.engine import due
from imagegen.extensions import db
from imagegen.models import Job, Organisation, Schedule, ScheduleRun, system_scope, unit_of_work
from imagegen.models.columns import db_now
from imagegen.models.schedules import RunStatus
from imagegen.services import schedules
from imagegen.services.generation import GenerationRequest
from imagegen.services.schedules import When
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.faults.conftest import PAID
from tests.faults.outcome import expect_settled, expect_sound, statuses
from tests.faults.processes import Fault, Processes, freezing, kill, task
from tests.models.rows import Member, submit
from tests.waiting import eventually

HELD = {"kind": "none", "hold": True}
TWO_HOURS, A_DAY = 7200, 86_400
BERLIN = "Europe/Berlin"
DAYS = 400
REQUEST = GenerationRequest(prompt="violet waves", provider="local")


def database_now() -> datetime:
    """Return the time by which the studio goes."""
    db.session.rollback()
    with system_scope():
        return db.session.scalars(select(db_now())).one()


def leases_were_renewed_until(moment: datetime) -> bool:
    """Tell whether a whole lease and more has passed since `moment`."""
    return database_now() > moment + timedelta(seconds=6)


class TestClocks:
    """F33: a worker two hours ahead, one a day behind, and a scheduler that is wrong as well."""

    def test_f33_nothing_is_taken_for_lost_and_nothing_is_sent_twice(
        self, processes: Processes, ann: Member, openai: OpenAIServer
    ) -> None:
        openai.script(*[HELD] * 4)
        for worker in (TWO_HOURS, -A_DAY):
            processes.start("tests.faults.out_of_time", str(worker), "imagegen.worker")
        processes.start("tests.faults.out_of_time", str(TWO_HOURS), "imagegen.scheduler")
        submit(ann, **PAID, n=2)
        submit(ann, **PAID, n=2)
        eventually(lambda: len(openai.requests) == 4)
        began = database_now()

        # Calls that take three leases are kept alive all the while.
        eventually(lambda: leases_were_renewed_until(began))
        assert statuses() == ["running"] * 4
        openai.release()

        expect_settled(*["succeeded"] * 4)
        expect_sound(openai)
        assert len(openai.requests) == 4

    def test_f33_who_is_really_gone_is_missed_in_time_whatever_the_clocks_say(
        self, processes: Processes, ann: Member, openai: OpenAIServer
    ) -> None:
        openai.script(HELD)
        worker = processes.start("tests.faults.out_of_time", str(TWO_HOURS), "imagegen.worker")
        submit(ann, **PAID)
        eventually(lambda: openai.requests)
        kill(worker.pid, task())
        openai.release()

        processes.start("tests.faults.out_of_time", str(-A_DAY), "imagegen.scheduler")

        expect_settled("unknown")
        expect_sound(openai)
        assert len(openai.requests) == 1


def add(member: Member, cron: str, zone: str = "UTC") -> int:
    """Add a schedule of `member`, whose organisation keeps the time of `zone`, and return its id."""
    with system_scope():
        with unit_of_work() as uow:
            uow.execute(update(Organisation).values(time_zone=zone))
        made = schedules.create(
            organisation_id=member.organisation_id,
            user_id=member.user_id,
            request=REQUEST,
            when=When(cron=cron),
        )
        return made.id


def bring(schedule: int, slot: datetime) -> None:
    """Make the next time of a schedule be `slot`."""
    with unit_of_work() as uow, system_scope():
        uow.execute(update(Schedule).where(Schedule.id == schedule).values(next_at=slot))


def runs(*wanted: int) -> list[tuple[datetime, str, int]]:
    """Return time, state and number of missed times of each run of these schedules, in order."""
    db.session.rollback()
    query = select(ScheduleRun).where(ScheduleRun.schedule_id.in_(wanted)).order_by(ScheduleRun.slot_at)
    with system_scope():
        return [(run.slot_at, run.status, run.missed) for run in db.session.scalars(query)]


def jobs() -> int:
    """Return how many jobs there are."""
    db.session.rollback()
    with system_scope():
        return db.session.scalar(select(func.count(Job.id))) or 0


@pytest.fixture
def scope() -> Iterator[None]:
    """The scope of the studio's own machinery."""
    with system_scope():
        yield


@pytest.mark.usefixtures("scope")
def test_f33_each_day_has_one_half_past_two_also_those_that_have_none_or_two(ann: Member) -> None:
    schedule = add(ann, "30 2 * * *", BERLIN)
    now = database_now().astimezone(ZoneInfo(BERLIN))
    today = now.replace(hour=2, minute=30, second=0, microsecond=0)
    bring(schedule, today - timedelta(days=DAYS))  # by the clock on the wall: both its changes lie in between

    due.begin_due()

    ((_, status, missed),) = runs(schedule)
    assert (status, missed) == (RunStatus.BEGUN, DAYS if now >= today else DAYS - 1)
    assert jobs() == 1
    check_invariants()


class TestSchedulers:
    """F34: one job for each time of each schedule, whoever looks, however often, and however late."""

    @pytest.fixture
    def found(self, ann: Member) -> list[int]:
        """Six schedules, once an hour."""
        return [add(ann, "0 * * * *") for _ in range(6)]

    @pytest.fixture
    def seldom(self, ann: Member) -> list[int]:
        """Six schedules whose own times are so far away that none falls between those that a test gives them."""
        return [add(ann, "0 0 29 2 *") for _ in range(6)]

    def test_f34_three_schedulers_of_which_one_is_frozen_for_a_while_make_one_job_of_each_time(
        self, processes: Processes, seldom: list[int]
    ) -> None:
        frozen, *_ = [processes.scheduler() for _ in range(3)]
        slots = [(database_now() - timedelta(minutes=minutes)).replace(microsecond=0) for minutes in (3, 2, 1)]
        self.expect_round(seldom, slots[0])
        with freezing(frozen.pid):
            self.expect_round(seldom, slots[1])
        self.expect_round(seldom, slots[2])

        for schedule in seldom:
            assert runs(schedule) == [(slot, RunStatus.BEGUN, 0) for slot in slots]
        assert jobs() == 3 * len(seldom)
        check_invariants()

    @staticmethod
    def expect_round(found: list[int], slot: datetime) -> None:
        """Let the time of all schedules come, and wait until it was taken."""
        for schedule in found:
            bring(schedule, slot)
        eventually(lambda: runs(*found).count((slot, RunStatus.BEGUN, 0)) == len(found), within=60)

    def test_f34_who_wakes_up_in_the_middle_of_beginning_a_job_after_another_took_over_makes_no_second(
        self, processes: Processes, seldom: list[int]
    ) -> None:
        schedule, *_ = seldom
        slot = (database_now() - timedelta(seconds=1)).replace(microsecond=0)
        first = processes.start("imagegen.scheduler", fault=Fault("K0 committed, not queued", does="wait"))
        bring(schedule, slot)
        with freezing(processes.wait_for_the_fault()):
            assert runs(schedule) == [(slot, RunStatus.DUE, 0)]
            self.let_its_lease_run_out(schedule)
            processes.scheduler()
            eventually(lambda: runs(schedule) == [(slot, RunStatus.BEGUN, 0)], within=60)
            processes.mark.unlink()

        first.terminate()
        assert first.wait(20) == 0  # what it had begun is done
        assert runs(schedule) == [(slot, RunStatus.BEGUN, 0)]
        assert jobs() == 1
        check_invariants()

    @staticmethod
    def let_its_lease_run_out(schedule: int) -> None:
        with unit_of_work() as uow, system_scope():
            uow.execute(update(ScheduleRun).where(ScheduleRun.schedule_id == schedule).values(lease_until=db_now(-1)))

    def test_f34_after_three_hours_without_any_one_job_makes_up_for_what_was_missed(
        self, processes: Processes, found: list[int]
    ) -> None:
        now = database_now()
        first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
        for schedule in found:
            bring(schedule, first)

        for _ in range(2):
            processes.scheduler()

        eventually(lambda: len(runs(*found)) == len(found), within=60)
        eventually(lambda: {status for _, status, _ in runs(*found)} == {RunStatus.BEGUN}, within=60)
        assert {(slot, status) for slot, status, _ in runs(*found)} == {(first, RunStatus.BEGUN)}
        assert {missed for *_, missed in runs(*found)} <= {3, 4}
        assert jobs() == len(found)
        check_invariants()
