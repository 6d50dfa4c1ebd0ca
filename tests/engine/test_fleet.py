"""What operators see of the workers, with and without Redis, and the drain that survives its loss."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from redis import RedisError
from rq import Worker
from rq.registry import FailedJobRegistry
from sqlalchemy import select

from imagegen.core.errors import Conflict
from imagegen.engine import attempts, claims, control, dispatch, fleet
from imagegen.engine.fleet import RedisAway
from imagegen.extensions import db, runtime
from imagegen.models import AuditEntry, ProviderState, organisation_scope, system_scope, unit_of_work
from imagegen.models.audit import Action
from imagegen.models.columns import db_now
from imagegen.services.audit import Actor
from tests.engine.conftest import Member
from tests.models.rows import add_member, submit

OPERATOR = Actor(user_id=1, is_operator=True)


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {"openai_api_key": SecretStr("sk-never-called"), "openai_base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that answers nothing."""

    def gone(*_: object, **__: object) -> None:
        raise RedisError("gone")

    monkeypatch.setattr(runtime.redis, "execute_command", gone)
    monkeypatch.setattr(runtime.redis, "pipeline", gone)


def test_nothing_is_held_back_until_somebody_says_so(ann: Member) -> None:
    assert not fleet.draining(fleet.worker_here())
    assert fleet.look().drained is None


def test_a_drain_of_all_holds_every_worker_and_a_flush_of_redis_changes_nothing(ann: Member) -> None:
    fleet.drain(by=OPERATOR)
    runtime.redis.flushall()
    assert fleet.draining("one:1") and fleet.draining("two:2")
    assert fleet.look().drained is not None
    fleet.resume(by=OPERATOR)
    assert not fleet.draining("one:1")


def test_one_worker_is_held_alone_and_a_general_resume_frees_it_too(ann: Member) -> None:
    fleet.drain(by=OPERATOR, worker="one:1")
    assert fleet.draining("one:1") and not fleet.draining("one:11") and not fleet.draining("two:1")
    fleet.resume(by=OPERATOR, worker="two:1")
    assert fleet.draining("one:1")
    fleet.resume(by=OPERATOR)
    assert not fleet.draining("one:1")


def test_who_drains_stands_in_the_log_once(ann: Member) -> None:
    for _ in range(2):
        fleet.drain(by=OPERATOR, worker="one:1")
    for _ in range(2):
        fleet.resume(by=OPERATOR, worker="one:1")
    with system_scope():
        rows = db.session.scalars(
            select(AuditEntry).where(AuditEntry.action.in_((Action.DRAINED, Action.DRAIN_ENDED)))
        )
        assert [(row.action, row.actor_id, row.facts) for row in rows] == [
            ("drained", 1, {"worker": "one:1"}),
            ("drain_ended", 1, {"worker": "one:1"}),
        ]


def test_what_runs_and_waits_is_told_by_owner_organisation_and_provider(ann: Member) -> None:
    bob = add_member("bob", "Two")
    submit(ann, n=3, provider="openai")
    held = submit(bob, n=2)
    with organisation_scope(bob.organisation_id):
        control.pause(held.public_id)
    with system_scope():
        for owner in ("host:1:a", "host:1:a", "other:2:b"):
            assert claims.claim(owner=owner, lease_seconds=60, lone_only=False)
    found = fleet.look()
    assert [(one.host, one.pid, one.shots, one.jobs, one.organisations) for one in found.at_work] == [
        ("host", "1", 2, 1, 1),
        ("other", "2", 1, 1, 1),
    ]
    told = {(one.organisation, one.provider): one for one in found.backlog}
    assert told["One", "openai"].running == 3 and told["One", "openai"].waiting == 0
    two = told["Two", "local"]
    assert (two.waiting, two.paused, two.resting, two.running) == (2, 2, 0, 0) and two.oldest is not None


def test_what_is_tried_again_later_rests(ann: Member) -> None:
    submit(ann, n=1)
    with system_scope():
        claim = claims.claim(owner="host:1:a", lease_seconds=60, lone_only=False)
        assert claim is not None
        attempts.abandon(claim, message=attempts.LOST)
    (one,) = fleet.look().backlog
    assert (one.waiting, one.resting) == (1, 1)


def test_only_providers_that_are_held_back_are_told(ann: Member) -> None:
    with unit_of_work() as uow:
        uow.add_all(
            [
                ProviderState(provider="well", failures=1),
                ProviderState(provider="paused", paused_until=db_now(60), failures=0),
                ProviderState(provider="over", paused_until=db_now(-60), failures=0),
                ProviderState(provider="broken", failures=99),
                ProviderState(provider="slow", slots=1, failures=0),
            ]
        )
    assert [row.provider for row in fleet.look().limits] == ["broken", "paused", "slow"]


def test_workers_and_wake_ups_are_told_from_redis(ann: Member) -> None:
    queue = dispatch.queue()
    worker = Worker([queue], connection=runtime.redis, serializer=queue.serializer)
    worker.register_birth()
    dispatch.wake("one")
    redis = fleet.look().redis
    assert redis is not None
    (process,) = redis.processes
    assert (process.id, process.busy, process.drained) == (f"{worker.hostname}:{worker.pid}", False, None)
    assert process.since is not None and process.since.tzinfo is not None
    assert redis.wake_ups == 1 and redis.oldest_wake_up is not None
    worker.register_death()


def test_without_redis_the_rest_is_told(ann: Member, no_redis: None) -> None:
    submit(ann, n=2)
    found = fleet.look()
    assert found.redis is None and [one.waiting for one in found.backlog] == [2]
    fleet.drain(by=OPERATOR)
    assert fleet.look().drained is not None
    for act in (fleet.try_again, fleet.forget):
        with pytest.raises(RedisAway):
            act("any")


def failed_task(name: str) -> str:
    """Queue a task and let RQ find that it fails."""
    queue = dispatch.queue()
    task = queue.enqueue("imagegen.engine.no_such_task", job_id=name, result_ttl=0, failure_ttl=3600)
    worker = Worker([queue], connection=runtime.redis, serializer=queue.serializer)
    worker.register_birth()
    worker.handle_job_failure(task, queue, exc_string="Traceback:\n  in a\nValueError: no good\n")
    queue.remove(task)
    worker.register_death()
    return task.id


def test_a_failed_task_tells_its_error_and_is_tried_again_or_forgotten(ann: Member) -> None:
    again, gone = failed_task("again"), failed_task("gone")
    redis = fleet.look().redis
    assert redis is not None and {one.id: one.error for one in redis.failed} == {
        again: "ValueError: no good",
        gone: "ValueError: no good",
    }
    fleet.try_again(again)
    fleet.forget(gone)
    assert dispatch.queue().get_job_ids() == [again]
    assert FailedJobRegistry(queue=dispatch.queue()).get_job_ids() == []


@pytest.mark.parametrize("task", ["", "nonsense", "a|b", "waits"])
def test_what_has_not_failed_is_left_alone(ann: Member, task: str) -> None:
    dispatch.queue().enqueue("imagegen.engine.tasks.work", job_id="waits")
    for act in (fleet.try_again, fleet.forget):
        with pytest.raises(Conflict):
            act(task)
    assert dispatch.queue().get_job_ids() == ["waits"]
