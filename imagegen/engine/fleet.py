"""The workers and what they have before them, for those who look after the installation; and the drain.

What runs and what waits is read from the database, which is the truth. Redis knows which processes there are and how
many wake-ups lie in its queue; it may be away, and then only that is missing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple, TypeVar

import structlog
from redis import RedisError
from rq import Worker
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job as Task
from rq.registry import FailedJobRegistry
from rq.worker import BaseWorker
from sqlalchemy import ColumnElement, Select, bindparam, case, delete, func, or_, select

from imagegen.core.errors import Conflict, StudioError
from imagegen.core.text import N_
from imagegen.engine import claims, dispatch
from imagegen.engine.limits import FAILURES_TO_OPEN
from imagegen.extensions import db, runtime
from imagegen.models import Job, Organisation, ProviderState, Shot, Switch, UnitOfWork, system_scope, writes
from imagegen.models.audit import Action
from imagegen.models.columns import db_now
from imagegen.models.jobs import running, waiting
from imagegen.services import audit, kept_answers
from imagegen.services.audit import Actor
from imagegen.services.kept_answers import KeptAnswer

log = structlog.get_logger(__name__)

R = TypeVar("R")

DRAIN = "drain"
"""The switch that stops all claiming; with `:host:pid` behind it that of one worker."""
MOST_FAILED = 50
LONGEST_LINE = 300


# The drain


def worker_here() -> str:
    """Return what the worker of this process is called: a task runs in a child of the worker's own process."""
    return f"{socket.gethostname()}:{os.getppid()}"


def draining(worker: str = "") -> bool:
    """Tell whether `worker`, or every worker, is to claim nothing more."""
    return orders(worker).draining


class Orders(NamedTuple):
    """Whether a worker is to claim nothing more, whether shots wait, and whether pictures wait to be fetched."""

    draining: bool
    waiting: bool
    fetching: bool


def orders(worker: str) -> Orders:
    """Return what `worker` is to do: one look, at tables that are all but empty, before it begins to write."""
    with system_scope():
        row = db.session.execute(_orders(), {"switches": [DRAIN, _drain_of(worker)]}).one()
    db.session.rollback()
    return Orders(*map(bool, row))


@cache
def _orders() -> Select[bool, bool, bool]:
    held = select(Switch.name).where(Switch.name.in_(bindparam("switches", expanding=True)))
    return select(held.exists(), select(Shot.id).where(waiting()).exists(), claims.to_be_fetched().exists())


@writes
def drain(uow: UnitOfWork, *, by: Actor, worker: str = "") -> None:
    """Let all workers, or one, claim nothing more. What they are at goes on to its end."""
    name = _drain_of(worker)
    if uow.get(Switch, name) is None:
        uow.add(Switch(name=name))
        audit.record(uow, Action.DRAINED, by=by.within(None), facts={"worker": worker} if worker else {})


@writes
def resume(uow: UnitOfWork, *, by: Actor, worker: str = "") -> None:
    """Let all workers, or one, claim again; with all, those that were drained one by one too."""
    held = select(Switch).where(Switch.name == _drain_of(worker) if worker else Switch.name.startswith(DRAIN))
    rows = uow.scalars(held).all()
    if not rows:
        return
    uow.execute(delete(Switch).where(Switch.name.in_([row.name for row in rows])))
    audit.record(uow, Action.DRAIN_ENDED, by=by.within(None), facts={"worker": worker} if worker else {})


def _drain_of(worker: str) -> str:
    return f"{DRAIN}:{worker}"[:160] if worker else DRAIN


# What there is


@dataclass(frozen=True)
class Process:
    """A worker as Redis knows it. `id` is what a drain calls it."""

    id: str
    host: str
    pid: int
    since: datetime | None
    heard: datetime | None
    busy: bool
    drained: datetime | None


@dataclass(frozen=True)
class AtWork:
    """What one task holds leases on: so many shots of so many jobs and organisations, until when at the least."""

    host: str
    pid: str
    shots: int
    jobs: int
    organisations: int
    oldest: datetime | None
    lease_until: datetime | None


@dataclass(frozen=True)
class Backlog:
    """What waits or runs for one organisation at one provider. `resting`: not before a later time; `paused`: held."""

    organisation: str
    provider: str
    waiting: int
    resting: int
    paused: int
    running: int
    oldest: datetime | None


@dataclass(frozen=True)
class FailedTask:
    """A task that RQ gave up, with the last line of what it said."""

    id: str
    error: str
    ended: datetime | None


@dataclass(frozen=True)
class InRedis:
    """What only Redis knows: processes, wake-ups that lie in the queue, tasks that failed."""

    processes: Sequence[Process]
    wake_ups: int
    oldest_wake_up: datetime | None
    failed: Sequence[FailedTask]


@dataclass(frozen=True)
class Fleet:
    """Everything that operators see; `redis` is None while it does not answer, `answers` are those on this host."""

    drained: datetime | None
    redis: InRedis | None
    at_work: Sequence[AtWork]
    backlog: Sequence[Backlog]
    limits: Sequence[ProviderState] = field(default_factory=tuple)
    answers: Sequence[KeptAnswer] = field(default_factory=tuple)


def look() -> Fleet:
    """Return how the whole installation stands. For operators alone: whoever calls has seen to that."""
    with system_scope():
        switches = {row.name: row.changed_at for row in db.session.scalars(select(Switch))}
        return Fleet(
            drained=switches.get(DRAIN),
            redis=_or_none(lambda: _in_redis(switches)),
            at_work=_at_work(),
            backlog=_backlog(),
            limits=_limits(),
            answers=tuple(kept_answers.left()),
        )


def _or_none(ask: Callable[[], R]) -> R | None:
    try:
        return ask()
    except RedisError as error:
        log.warning("fleet.redis_unreachable", error=str(error))
        return None


def _in_redis(switches: dict[str, datetime]) -> InRedis:
    queue = dispatch.queue()
    processes = [_process(worker, switches) for worker in Worker.all(queue=queue, serializer=queue.serializer)]
    first = queue.get_jobs(0, 1)
    registry = FailedJobRegistry(queue=queue)
    ids = registry.get_job_ids(0, MOST_FAILED - 1, desc=True)
    tasks = Task.fetch_many(ids, connection=runtime.redis, serializer=queue.serializer)
    return InRedis(
        processes=sorted(processes, key=lambda process: (process.host, process.pid)),
        wake_ups=queue.count,
        oldest_wake_up=_aware(first[0].enqueued_at) if first else None,
        failed=[_failed(task) for task in tasks if task is not None],
    )


def _process(worker: BaseWorker, switches: dict[str, datetime]) -> Process:
    host, pid = worker.hostname or "", worker.pid or 0
    name = f"{host}:{pid}"
    return Process(
        id=name,
        host=host,
        pid=pid,
        since=_aware(worker.birth_date),
        heard=_aware(worker.last_heartbeat),
        busy=bool(worker.get_current_job_id()),
        drained=switches.get(_drain_of(name)),
    )


def _failed(task: Task) -> FailedTask:
    result = task.latest_result()
    told = ((result.exc_string if result is not None else None) or "").strip()
    return FailedTask(task.id, told.rpartition("\n")[2][:LONGEST_LINE], _aware(task.ended_at))


def _aware(moment: datetime | None) -> datetime | None:
    """Return RQ's moments, which are in UTC without saying so, as the rest of the studio has them."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _at_work() -> list[AtWork]:
    rows = db.session.execute(
        select(
            Shot.lease_owner,
            func.count(Shot.id),
            func.count(Shot.job_id.distinct()),
            func.count(Shot.organisation_id.distinct()),
            func.min(Shot.started_at),
            func.min(Shot.lease_until),
        )
        .where(running())
        .group_by(Shot.lease_owner)
        .order_by(Shot.lease_owner)
    )
    return [
        AtWork(*_owner(owner), shots, jobs, organisations, oldest, lease_until)
        for owner, shots, jobs, organisations, oldest, lease_until in rows
    ]


def _owner(name: str | None) -> tuple[str, str]:
    """Return host and process of whoever holds a lease: `host:pid:…`."""
    host, _, rest = (name or "").partition(":")
    return host, rest.partition(":")[0]


def _backlog() -> list[Backlog]:
    waits = waiting()
    held = waits & Job.paused_at.is_not(None)
    rests = waits & Job.paused_at.is_(None) & (Shot.not_before > db_now())
    rows = db.session.execute(
        select(
            Organisation.name,
            Shot.provider,
            _count(waits),
            _count(rests),
            _count(held),
            _count(running()),
            func.min(case((waits, Shot.created_at))),
        )
        .join(Job, Job.id == Shot.job_id)
        .join(Organisation, Organisation.id == Shot.organisation_id)
        .where(or_(waits, running()))
        .group_by(Organisation.id, Organisation.name, Shot.provider)
        .order_by(Organisation.name, Shot.provider)
    )
    return [Backlog(*row) for row in rows]


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _limits() -> Sequence[ProviderState]:
    """Return the providers and keys of which less is asked now than the settings allow."""
    in_force = or_(
        ProviderState.paused_until > db_now(),
        ProviderState.open_until > db_now(),
        ProviderState.failures >= FAILURES_TO_OPEN,
        ProviderState.slots.is_not(None),
    )
    query = select(ProviderState).where(in_force).order_by(ProviderState.provider, ProviderState.key)
    return db.session.scalars(query).all()


# Tasks that failed


_AWAY = N_("Redis does not answer. Try again in a moment; no work is lost.")


class RedisAway(StudioError):
    """What was asked for is in Redis alone, and Redis does not answer."""

    status = 503


def try_again(task_id: str) -> None:
    """Queue a failed task once more; raises Conflict if it is not among the failed ones any more."""
    _with_failed(lambda registry: registry.requeue(task_id))


def forget(task_id: str) -> None:
    """Delete a failed task. The work it was to do is found by others: a task is only a wake-up."""
    _with_failed(lambda registry: _forget(registry, task_id))


def _forget(registry: FailedJobRegistry, task_id: str) -> None:
    if task_id not in registry.get_job_ids():
        raise NoSuchJobError
    registry.remove(task_id, delete_job=True)


def _with_failed(act: Callable[[FailedJobRegistry], object]) -> None:
    try:
        act(FailedJobRegistry(queue=dispatch.queue()))
    except (NoSuchJobError, InvalidJobOperation, ValueError):  # ValueError: what no task is called
        raise Conflict(N_("This task is not among the failed ones any more.")) from None
    except RedisError:
        raise RedisAway(_AWAY) from None
