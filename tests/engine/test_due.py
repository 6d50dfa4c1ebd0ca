"""Work at its time: one job for each time, whoever looks, whoever dies, and whatever clocks do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import delete, func, select, update

from imagegen.core.errors import StudioError, TooMany
from imagegen.core.money import from_usd
from imagegen.core.text import N_
from imagegen.engine import dispatch, due
from imagegen.extensions import db, in_app_context
from imagegen.models import (
    Job,
    Membership,
    Schedule,
    ScheduleRun,
    Shot,
    User,
    organisation_scope,
    unit_of_work,
)
from imagegen.models.budgets import Per
from imagegen.models.columns import db_now
from imagegen.models.schedules import Missed, RunStatus
from imagegen.services import budgets, provider_keys, schedules
from imagegen.services.audit import Actor
from imagegen.services.generation import GenerationRequest
from imagegen.services.schedules import When
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.models.rows import Member

pytestmark = pytest.mark.usefixtures("everything")

HOURLY = "0 * * * *"
REQUEST = GenerationRequest(prompt="violet waves", provider="local")


def add(member: Member, cron: str | None = HOURLY, **more: Any) -> Schedule:
    """Add a schedule of `member`; without `cron` it runs once, in an hour."""
    when = When(cron=cron) if cron else When(at=database_now() + timedelta(hours=1))
    return schedules.create(
        organisation_id=member.organisation_id,
        user_id=member.user_id,
        **({"request": REQUEST, "when": when} | more),
    )


def database_now() -> datetime:
    db.session.rollback()
    return db.session.scalars(select(db_now())).one()


def bring(schedule: Schedule, back: timedelta = timedelta(seconds=1)) -> datetime:
    """Make the schedule's next time lie so far back, and return it."""
    slot = (database_now() - back).replace(microsecond=0)
    change(Schedule, schedule.id, next_at=slot)
    return slot


def whole_hour_ago(hours: int) -> timedelta:
    """Return how long ago a whole hour was, `hours` hours before the last one."""
    now = database_now()
    return now - now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)


def change(table: Any, row_id: int, **values: object) -> None:
    with unit_of_work() as uow:
        uow.execute(update(table).where(table.id == row_id).values(**values))


def runs(schedule: Schedule) -> list[ScheduleRun]:
    db.session.rollback()
    of = select(ScheduleRun).where(ScheduleRun.schedule_id == schedule.id).order_by(ScheduleRun.slot_at)
    return list(db.session.scalars(of))


def again(schedule: Schedule) -> Schedule:
    db.session.expire_all()
    return db.session.get_one(Schedule, schedule.id)


def jobs() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Job.id))) or 0


def test_nothing_begins_before_its_time(ann: Member) -> None:
    add(ann)
    add(ann, None)

    assert due.begin_due() == {"taken": 0, "taken_over": 0}
    assert jobs() == 0


def test_what_is_due_becomes_a_job_like_any_other(ann: Member, work: Work) -> None:
    schedule = add(ann)
    slot = bring(schedule)

    assert due.begin_due() == {"taken": 1, "taken_over": 0}
    (run,) = runs(schedule)
    assert (run.slot_at, run.status, run.missed, run.error) == (slot, RunStatus.BEGUN, 0, None)
    assert (run.job.user_id, run.job.prompt) == (ann.user_id, "violet waves")
    after = again(schedule)
    assert after.last_at == slot and after.runs == 1
    assert after.next_at is not None and after.next_at > database_now() and after.next_at.minute == 0

    work()
    assert db.session.get_one(Job, run.job_id, populate_existing=True).status == "succeeded"
    check_invariants()


def test_looking_again_changes_nothing(ann: Member) -> None:
    bring(add(ann))
    due.begin_due()

    assert due.begin_due() == {"taken": 0, "taken_over": 0}
    assert jobs() == 1


def test_what_runs_once_is_over_afterwards(ann: Member) -> None:
    schedule = add(ann, None)
    bring(schedule)

    due.begin_due()
    assert again(schedule).next_at is None
    assert len(runs(schedule)) == 1


def test_it_ends_after_so_many_runs_or_at_its_end(ann: Member) -> None:
    counted = add(ann, when=When(cron=HOURLY, max_runs=2))
    ended = add(ann, when=When(cron=HOURLY, ends_at=database_now() + timedelta(hours=30)))
    for schedule in (counted, ended):
        bring(schedule)
    due.begin_due()
    assert again(counted).next_at is not None and again(ended).next_at is not None

    change(Schedule, ended.id, ends_at=database_now() + timedelta(seconds=1))
    for schedule in (counted, ended):
        bring(schedule, timedelta(minutes=1))
    due.begin_due()
    assert again(counted).next_at is None and again(ended).next_at is None
    assert [again(schedule).runs for schedule in (counted, ended)] == [2, 2]


# Several schedulers, and none for a while


def test_several_schedulers_at_the_same_moment_make_one_job_of_each_time(app: Flask, ann: Member) -> None:
    found = [add(ann) for _ in range(6)]
    for schedule in found:
        bring(schedule)
    gate = threading.Barrier(4)
    errors: list[BaseException] = []

    def scheduler() -> None:
        try:
            gate.wait(10)
            due.begin_due()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=in_app_context(scheduler)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not errors
    assert jobs() == 6
    assert [[run.status for run in runs(schedule)] for schedule in found] == [[RunStatus.BEGUN]] * 6
    check_invariants()


def test_after_three_hours_without_a_scheduler_one_job_makes_up_for_all(ann: Member) -> None:
    schedule = add(ann)
    first = bring(schedule, whole_hour_ago(3))

    due.begin_due()
    (run,) = runs(schedule)
    assert (run.slot_at, run.missed, run.status) == (first, 3, RunStatus.BEGUN)
    assert jobs() == 1
    assert due.begin_due()["taken"] == 0


def test_or_what_was_missed_is_left_out(ann: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "LATE", timedelta(0))  # the last whole hour, too, is long past
    schedule = add(ann, missed=Missed.SKIP)
    first = bring(schedule, whole_hour_ago(3))

    due.begin_due()
    (run,) = runs(schedule)
    assert (run.slot_at, run.missed, run.status) == (first, 3, RunStatus.SKIPPED)
    assert jobs() == 0 and again(schedule).runs == 0
    after = again(schedule).next_at
    assert after is not None and after > database_now()


def test_what_is_hardly_late_is_not_missed(ann: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "LATE", timedelta(hours=1))  # the last whole hour was just now
    schedule = add(ann, missed=Missed.SKIP)
    first = bring(schedule, whole_hour_ago(3))

    due.begin_due()
    skipped, begun = runs(schedule)
    assert (skipped.slot_at, skipped.missed, skipped.status) == (first, 2, RunStatus.SKIPPED)
    assert (begun.slot_at, begun.missed, begun.status) == (first + timedelta(hours=3), 0, RunStatus.BEGUN)
    assert jobs() == 1


def test_years_of_missed_times_are_counted_only_so_far(ann: Member) -> None:
    schedule = add(ann, "*/15 * * * *")
    bring(schedule, timedelta(days=700))

    due.begin_due()
    assert [run.missed for run in runs(schedule)] == [due.MOST_COUNTED]
    after = again(schedule).next_at
    assert after is not None and after > database_now()


@pytest.mark.parametrize("by", [timedelta(hours=2), timedelta(days=-1), timedelta(days=4000)])
def test_only_the_databases_clock_counts(ann: Member, by: timedelta) -> None:
    early, late = add(ann), add(ann)
    bring(late)

    with time_machine.travel(datetime.now(UTC) + by):
        due.begin_due()
    assert (runs(early), len(runs(late))) == ([], 1)


def test_a_database_clock_that_was_put_back_makes_nothing_twice(ann: Member) -> None:
    """It leads to a time that has had its job: the schedule moves on."""
    schedule = add(ann)
    slot = bring(schedule)
    due.begin_due()
    change(Schedule, schedule.id, next_at=slot)

    due.begin_due()
    assert len(runs(schedule)) == jobs() == 1
    after = again(schedule).next_at
    assert after is not None and after > database_now()


# Crashes


class Died(BaseException):
    """A process that is no more: nothing after it runs."""


def dies(*_: object, **__: object) -> None:
    raise Died


@pytest.mark.parametrize("before", ["submit", "_settle"])
def test_who_dies_in_between_leaves_a_run_that_the_next_one_ends(
    ann: Member, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    schedule = add(ann)
    bring(schedule)
    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(dispatch if before == "submit" else due, before, dies)
        due.begin_due()
    assert jobs() == (0 if before == "submit" else 1)
    (run,) = runs(schedule)
    assert run.status == RunStatus.DUE

    assert due.begin_due() == {"taken": 0, "taken_over": 0}, "its lease is not over"
    change(ScheduleRun, run.id, lease_until=database_now() - timedelta(seconds=1))
    assert due.begin_due() == {"taken": 0, "taken_over": 1}
    assert [each.status for each in runs(schedule)] == [RunStatus.BEGUN]
    assert jobs() == 1
    check_invariants()


def test_a_schedule_that_was_changed_after_a_crash_keeps_the_job_it_has(
    ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = add(ann)
    bring(schedule)
    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(due, "_settle", dies)
        due.begin_due()
    other = REQUEST.model_copy(update={"prompt": "amber waves"})
    schedules.change(public_id=schedule.public_id, user_id=ann.user_id, request=other)
    change(ScheduleRun, runs(schedule)[0].id, lease_until=database_now() - timedelta(seconds=1))

    due.begin_due()
    (run,) = runs(schedule)
    assert run.status == RunStatus.BEGUN and run.job.prompt == "violet waves"


def test_a_schedule_that_somebody_else_answers_for_since_a_crash_keeps_the_job_it_has(
    ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve = join(ann, "eve")
    schedule = add(ann)
    bring(schedule)
    with monkeypatch.context() as patched, pytest.raises(Died):
        patched.setattr(due, "_settle", dies)
        due.begin_due()
    schedules.change(public_id=schedule.public_id, user_id=eve.user_id, when=When(cron=HOURLY))
    change(ScheduleRun, runs(schedule)[0].id, lease_until=database_now() - timedelta(seconds=1))

    due.begin_due()
    (run,) = runs(schedule)
    assert run.status == RunStatus.BEGUN and run.job.user_id == ann.user_id
    assert jobs() == 1


def join(member: Member, name: str) -> Member:
    """Add a person to the organisation of `member`."""
    with unit_of_work() as uow:
        user = User(email=f"{name}@one.example", name=name, password_hash="unusable")
        user.memberships.append(Membership(organisation_id=member.organisation_id, role="editor"))
        uow.add(user)
    return Member(user.id, member.organisation_id)


def test_an_organisation_with_a_key_of_its_own_draws_with_it_at_its_time(ann: Member) -> None:
    actor = Actor(user_id=ann.user_id, organisation_id=ann.organisation_id)
    request = GenerationRequest(prompt="violet waves", provider="openai")
    with organisation_scope(ann.organisation_id):
        provider_keys.enter(by=actor, provider="openai", secret="sk-of-this-organisation-alone")
        schedule = add(ann, request=request)
    bring(schedule)

    due.begin_due()
    (run,) = runs(schedule)
    assert (run.status, run.error) == (RunStatus.BEGUN, None)
    assert run.job.provider == "openai"


def test_one_that_breaks_does_not_keep_the_others_from_their_time(
    ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, fine = add(ann), add(ann)
    bring(broken, timedelta(minutes=2))
    bring(fine)
    change(Schedule, broken.id, time_zone="Nowhere/At_All")

    assert due.begin_due() == {"taken": 1, "taken_over": 0}
    assert len(runs(fine)) == 1


# When there is no job


def _left(member: Member) -> None:
    with unit_of_work() as uow:
        uow.execute(delete(Membership).where(Membership.user_id == member.user_id))


def _reads_only(member: Member) -> None:
    with unit_of_work() as uow:
        uow.execute(update(Membership).where(Membership.user_id == member.user_id).values(role="viewer"))


def _disabled(member: Member) -> None:
    change(User, member.user_id, enabled=False)


@pytest.mark.parametrize(
    ("happens", "sentence"),
    [(_left, "no longer in the organisation"), (_disabled, "no longer in"), (_reads_only, "may no longer create")],
)
def test_who_may_not_create_any_more_begins_nothing_and_the_schedule_stays(
    ann: Member, happens: Callable[[Member], None], sentence: str
) -> None:
    schedule = add(ann)
    happens(ann)
    bring(schedule)

    due.begin_due()
    (run,) = runs(schedule)
    assert run.status == RunStatus.FAILED and sentence in (run.error or "")
    assert jobs() == 0
    assert again(schedule).next_at is not None and again(schedule).paused_at is None


def test_a_budget_that_is_used_up_is_said_in_the_run(ann: Member) -> None:
    with organisation_scope(ann.organisation_id):
        by = Actor(user_id=ann.user_id, organisation_id=ann.organisation_id, role="owner")
        budgets.set_budget(
            by=by, organisation_id=ann.organisation_id, per=Per.DAY, cap=from_usd("0.000001"), hard=True
        )
    from_elsewhere = {"prompt": "a fox", "provider": "openai"}
    schedule = add(ann)
    change(Schedule, schedule.id, request=from_elsewhere)
    bring(schedule)

    due.begin_due()
    (run,) = runs(schedule)
    assert run.status == RunStatus.FAILED and run.error and run.job_id is None


def test_five_failed_runs_in_a_row_pause_it_and_say_so(ann: Member) -> None:
    schedule = add(ann)
    _reads_only(ann)
    for number in range(due.FAILURES):
        assert again(schedule).paused_at is None
        bring(schedule, timedelta(minutes=5 - number))
        due.begin_due()

    paused = again(schedule)
    assert paused.paused_at is not None
    assert paused.paused_because is not None
    assert paused.paused_because.startswith("Paused after 5 failed runs in a row.")
    assert "may no longer create" in paused.paused_because
    bring(schedule)
    assert due.begin_due()["taken"] == 0

    schedules.change(public_id=schedule.public_id, user_id=ann.user_id, paused=False)
    going_on = again(schedule)
    assert going_on.paused_because is None
    assert going_on.next_at is not None and going_on.next_at > database_now()
    bring(schedule)
    due.begin_due()
    assert again(schedule).paused_at is None, "what went wrong before is forgiven"


def test_so_do_five_jobs_of_which_every_picture_failed(ann: Member) -> None:
    schedule = add(ann)
    for number in range(due.FAILURES + 1):
        bring(schedule, timedelta(minutes=6 - number))
        due.begin_due()
        with unit_of_work() as uow:
            uow.execute(update(Shot).where(Shot.status == "waiting").values(status="canceled"))
            uow.execute(update(Job).values(status="failed"))

    assert jobs() == due.FAILURES
    assert again(schedule).paused_because == "Paused after 5 failed runs in a row."


def test_one_good_run_in_between_is_enough_to_go_on(ann: Member) -> None:
    schedule = add(ann)
    for number in range(due.FAILURES + 1):
        with unit_of_work() as uow:
            role = "owner" if number == 3 else "viewer"
            uow.execute(update(Membership).where(Membership.user_id == ann.user_id).values(role=role))
        bring(schedule, timedelta(minutes=6 - number))
        due.begin_due()

    assert again(schedule).paused_at is None


def test_what_is_refused_for_now_is_asked_for_again(ann: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(**_: object) -> None:
        raise TooMany(N_("That was too often. Wait a little."), retry_after=5)

    schedule = add(ann)
    bring(schedule)
    with monkeypatch.context() as patched:
        patched.setattr(dispatch, "submit", busy)
        due.begin_due()
        assert [run.status for run in runs(schedule)] == [RunStatus.DUE]
    due.begin_due()
    assert [run.status for run in runs(schedule)] == [RunStatus.BEGUN]


def test_but_not_for_ever(ann: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(**_: object) -> None:
        raise TooMany(N_("That was too often. Wait a little."), retry_after=5)

    schedule = add(ann)
    bring(schedule)
    monkeypatch.setattr(dispatch, "submit", busy)
    due.begin_due()
    change(ScheduleRun, runs(schedule)[0].id, created_at=database_now() - due.PATIENCE - timedelta(seconds=1))
    due.begin_due()
    (run,) = runs(schedule)
    assert (run.status, run.error) == (RunStatus.FAILED, "That was too often. Wait a little.")


def test_a_request_that_nobody_understands_any_more_fails_in_words(ann: Member) -> None:
    schedule = add(ann)
    change(Schedule, schedule.id, request={"prompt": "waves", "brush": "wide"})
    bring(schedule)

    due.begin_due()
    assert [(run.status, run.error) for run in runs(schedule)] == [
        (
            RunStatus.FAILED,
            "The schedule's request is of an older kind that is no longer understood. Write it anew.",
        )
    ]


def test_what_is_paused_waits(ann: Member) -> None:
    schedule = add(ann)
    bring(schedule)
    schedules.change(public_id=schedule.public_id, user_id=ann.user_id, paused=True)

    assert due.begin_due()["taken"] == 0
    with pytest.raises(StudioError):
        schedules.change(public_id="nothing", user_id=ann.user_id, paused=True)
