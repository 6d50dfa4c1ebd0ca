"""Who works on what: fair order, one owner at a time, leases that end, and late writers that change nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from imagegen.core.errors import ErrorKind
from imagegen.engine import attempts, claims, departures, fair_order
from imagegen.engine.claims import Claim
from imagegen.engine.sweep import sweep
from imagegen.extensions import db, in_app_context, runtime
from imagegen.models import Attempt, Job, Reservation, Shot, system_scope, unit_of_work
from imagegen.models.columns import db_now
from imagegen.providers.base import ImagePayload, ImageResult
from imagegen.providers.errors import Outcome, ProviderError
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.fakes.pictures import picture
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything")


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    """A provider that is somebody else's, so that a call sent is a call that may be billed."""
    return {"openai_api_key": openai.key, "openai_base_url": openai.base_url}


def take(*, owner: str = "one", seconds: float = 60, lone_only: bool = False) -> Claim | None:
    """Claim the next shot."""
    return claims.claim(owner=owner, lease_seconds=seconds, lone_only=lone_only)


def job_of(claim: Claim | None) -> int:
    """Return the id of the job that was claimed from."""
    assert claim is not None
    db.session.rollback()
    return db.session.get_one(Shot, claim.shot_id).job_id


def shot_of(claim: Claim) -> Shot:
    """Return the claimed shot as it is now."""
    db.session.rollback()
    return db.session.get_one(Shot, claim.shot_id)


def attempt_of(claim: Claim) -> Attempt:
    """Return the claim's call as it is now."""
    db.session.rollback()
    return db.session.get_one(Attempt, claim.attempt_id)


# --- fair order ------------------------------------------------------------------------------------------------


def test_the_organisation_with_the_fewest_running_goes_first_then_the_job_then_the_oldest(
    ann: Member, bob: Member
) -> None:
    early, late = submit(ann, n=4).id, submit(ann, n=4).id
    others = submit(bob, n=2).id

    order = [job_of(take()) for _ in range(10)]

    assert order == [early, others, late, others, early, late, early, late, early, late]
    check_invariants()


def test_what_is_finished_no_longer_counts_against_an_organisation(ann: Member, bob: Member) -> None:
    mine, others = submit(ann, n=2).id, submit(bob, n=2).id
    first = take()
    attempts.abandon(first, message=attempts.STOPPED)

    assert [job_of(take()) for _ in range(2)] == [mine, others]


def test_shots_of_a_job_are_taken_in_the_order_of_their_slots(ann: Member) -> None:
    submit(ann, n=3)

    assert [shot_of(take()).slot for _ in range(3)] == [0, 1, 2]


def test_a_lone_slot_leaves_large_jobs_alone_even_if_nothing_of_them_runs(ann: Member) -> None:
    submit(ann, n=fair_order.SMALL_JOB + 1)

    assert take(lone_only=True) is None
    assert take() is not None


def test_a_lone_slot_takes_only_from_jobs_of_which_nothing_runs(ann: Member) -> None:
    large = submit(ann, n=3).id
    assert job_of(take(lone_only=True)) == large
    assert take(lone_only=True) is None

    small = submit(ann, n=1).id
    assert job_of(take(lone_only=True)) == small
    assert take(lone_only=True) is None
    assert job_of(take()) == large


def test_a_shot_that_has_to_wait_is_passed_over_until_its_time(ann: Member) -> None:
    submit(ann, n=2)
    first = db.session.scalars(select(Shot).order_by(Shot.slot)).first()
    with unit_of_work() as uow:
        uow.execute(update(Shot).where(Shot.id == first.id).values(not_before=db_now(600)))

    assert take().shot_id != first.id
    assert take() is None
    assert 500 < claims.seconds_to_next() <= 600
    assert claims.due() == 0


def test_seconds_to_next_is_none_without_work_and_zero_with_work_that_is_due(ann: Member) -> None:
    assert claims.seconds_to_next() is None
    submit(ann)
    assert claims.seconds_to_next() == 0
    assert claims.due() == 1
    with unit_of_work() as uow:
        uow.execute(update(Shot).values(not_before=db_now(-5)))
    assert claims.seconds_to_next() == 0
    take()
    assert claims.seconds_to_next() is None


def test_a_claim_writes_the_call_down_before_anything_is_sent(ann: Member) -> None:
    submit(ann)

    claim = take(owner="worker one")

    shot, attempt = shot_of(claim), attempt_of(claim)
    assert (shot.status, shot.lease_owner, shot.fence, shot.tries) == ("running", "worker one", 1, 1)
    assert (attempt.status, attempt.sent_at, attempt.number) == ("prepared", None, 1)
    assert db.session.scalars(select(Job.status)).one() == "running"
    check_invariants()


def test_eight_threads_claim_every_shot_once(ann: Member, bob: Member) -> None:
    for member in (ann, bob):
        for _ in range(2):
            submit(member, n=10)
    start = threading.Barrier(8)

    def work_off(number: int) -> list[Claim]:
        start.wait()
        mine, misses = [], 0
        while misses < 3:
            with system_scope():
                claim = take(owner=f"thread {number}")
            if claim is None:
                misses += 1
            else:
                mine.append(claim)
        return mine

    with ThreadPoolExecutor(8) as pool:
        taken = [claim for mine in pool.map(in_app_context(work_off), range(8)) for claim in mine]

    assert len(taken) == 40
    assert len({claim.shot_id for claim in taken}) == 40
    check_invariants()


# --- leases ----------------------------------------------------------------------------------------------------


def test_a_lease_that_ran_out_before_anything_was_sent_gives_the_shot_back(ann: Member, work: Work) -> None:
    submit(ann)
    claim = take(seconds=-1)

    assert sweep()["expired"] == 1

    assert (shot_of(claim).status, attempt_of(claim).status) == ("waiting", "not_sent")
    check_invariants()
    assert sweep()["expired"] == 0
    work()
    assert shot_of(claim).status == "succeeded"
    check_invariants()


def test_a_lease_that_ran_out_after_the_call_was_sent_leaves_its_fate_open(ann: Member, openai: OpenAIServer) -> None:
    submit(ann, provider="openai")
    claim = take(seconds=-1)
    assert departures.mark_sent(claim)

    assert sweep()["expired"] == 1

    shot = shot_of(claim)
    assert (shot.status, shot.error_kind, shot.error_message) == ("unknown", "unknown", attempts.LOST)
    assert attempt_of(claim).status == "unknown"
    assert db.session.scalars(select(Reservation.status)).one() == "held"
    assert take() is None
    check_invariants()


def test_a_drawing_of_our_own_is_simply_made_again_for_nobody_is_paid(ann: Member, work: Work) -> None:
    submit(ann, provider="local")
    claim = take(seconds=-1)
    assert departures.mark_sent(claim)

    sweep()
    work()

    assert (shot_of(claim).status, shot_of(claim).tries) == ("succeeded", 2)
    check_invariants()


def test_a_shot_that_keeps_getting_lost_is_given_up_and_its_money_is_free_again(ann: Member) -> None:
    submit(ann, provider="openai")
    for _ in range(attempts.MOST_LOSSES):
        with unit_of_work() as uow:
            uow.execute(update(Shot).values(not_before=None))
        claim = take(seconds=-1)
        sweep()

    shot = shot_of(claim)
    assert (shot.status, shot.error_kind, shot.error_message) == ("failed", "internal", attempts.GIVEN_UP)
    assert db.session.scalars(select(Reservation.status)).one() == "void"
    check_invariants()


def test_being_stopped_politely_is_never_counted_as_a_loss(ann: Member) -> None:
    submit(ann, provider="openai")
    for _ in range(attempts.MOST_LOSSES + 2):
        attempts.abandon(take(), message=attempts.STOPPED)

    assert claims.due() == 1
    check_invariants()


def test_a_stop_in_the_moment_of_sending_never_gives_back_what_was_sent(ann: Member) -> None:
    submit(ann, provider="openai")
    claim = take()
    assert departures.mark_sent(claim)

    attempts.abandon(claim, message=attempts.STOPPED)

    assert (shot_of(claim).status, shot_of(claim).error_message) == ("unknown", attempts.STOPPED)
    check_invariants()


def test_a_lease_that_is_kept_is_not_taken_away(ann: Member) -> None:
    submit(ann, n=2)
    kept, left = take(owner="one", seconds=-1), take(owner="two", seconds=-1)

    claims.keep(owner="one", shot_ids=[kept.shot_id, left.shot_id], lease_seconds=60)

    assert sweep()["expired"] == 1
    assert (shot_of(kept).status, shot_of(left).status) == ("running", "waiting")


def test_a_heartbeat_brings_nothing_back_that_has_ended(ann: Member) -> None:
    submit(ann)
    claim = take(owner="one", seconds=-1)
    sweep()

    claims.keep(owner="one", shot_ids=[claim.shot_id], lease_seconds=60)

    assert (shot_of(claim).status, shot_of(claim).lease_until) == ("waiting", None)


# --- fencing ---------------------------------------------------------------------------------------------------


@pytest.fixture
def late(ann: Member) -> tuple[Claim, Claim]:
    """A claim whose owner was thought dead, and the claim of the one that took over."""
    submit(ann, provider="openai", size="1024x1024")
    old = take(owner="thought dead", seconds=-1)
    sweep()
    with unit_of_work() as uow:
        uow.execute(update(Shot).values(not_before=None))
    new = take(owner="took over")
    assert (new.shot_id, new.fence) == (old.shot_id, old.fence + 1)
    return old, new


def _answer() -> ImageResult:
    return ImageResult(images=(ImagePayload(data=picture(1024, 1024, "png"), mime_type="image/png"),))


def test_a_late_writer_changes_nothing(late: tuple[Claim, Claim]) -> None:
    old, new = late
    error = ProviderError("Late.", kind=ErrorKind.AUTH, outcome=Outcome.REJECTED)

    assert not departures.mark_sent(old)
    attempts.store(old, _answer())
    attempts.fail(old, error)
    attempts.abandon(old, message=attempts.LOST)

    shot = shot_of(new)
    assert (shot.status, shot.lease_owner, shot.error_kind) == ("running", "took over", None)
    assert (attempt_of(old).status, attempt_of(new).status) == ("not_sent", "prepared")
    check_invariants()


def test_a_worker_that_was_thought_dead_sends_nothing(late: tuple[Claim, Claim], openai: OpenAIServer) -> None:
    old, new = late

    attempts.run(old)
    assert openai.requests == []

    attempts.run(new)
    assert len(openai.requests) == 1
    assert shot_of(new).status == "succeeded"
    check_invariants()


def test_the_answer_of_one_whose_lease_ran_out_counts_while_nobody_has_taken_over(
    ann: Member, openai: OpenAIServer
) -> None:
    submit(ann, provider="openai")
    claim = take(seconds=-1)

    attempts.run(claim)
    assert sweep()["expired"] == 0

    assert shot_of(claim).status == "succeeded"
    assert len(openai.requests) == 1
    check_invariants()


def test_an_answer_that_comes_after_its_fate_was_called_unknown_is_taken_for_it_is_paid(ann: Member) -> None:
    submit(ann, provider="openai", size="1024x1024")
    claim = take(seconds=-1)
    departures.mark_sent(claim)
    sweep()
    assert db.session.scalars(select(Job.status)).one() == "failed"

    attempts.store(claim, _answer())
    attempts.store(claim, _answer())

    assert (shot_of(claim).status, attempt_of(claim).status) == ("succeeded", "succeeded")
    assert db.session.scalars(select(Reservation.status)).one() == "posted"
    assert db.session.scalars(select(Job.status)).one() == "succeeded"
    check_invariants()


def test_a_failure_that_comes_after_its_fate_was_called_unknown_changes_nothing(ann: Member) -> None:
    submit(ann, provider="openai")
    claim = take(seconds=-1)
    departures.mark_sent(claim)
    sweep()

    attempts.fail(claim, ProviderError("Late.", kind=ErrorKind.UNAVAILABLE, outcome=Outcome.REJECTED, retryable=True))

    assert shot_of(claim).status == "unknown"
    assert db.session.scalars(select(Reservation.status)).one() == "held"
    check_invariants()


def test_sweepers_side_by_side_take_each_shot_back_once(ann: Member) -> None:
    submit(ann, n=6)
    for _ in range(6):
        take(seconds=-1)
    start = threading.Barrier(3)

    def clean(_: int) -> None:
        start.wait()
        sweep()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(in_app_context(clean), range(3)))

    statuses = db.session.scalars(select(Attempt.status)).all()
    assert statuses == ["not_sent"] * 6
    check_invariants()
    assert runtime.redis.ping()
