"""From the outbox to RQ. What is queued are wake-ups: the work itself is found in the database."""

from __future__ import annotations

import math

import structlog
from redis import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer
from sqlalchemy import func, select, update

from imagegen.core.clock import now
from imagegen.core.ids import new_id
from imagegen.engine import claims
from imagegen.extensions import WORK_CHANNEL, db, runtime, stir
from imagegen.models import Job, Outbox, UnitOfWork, organisation_scope, writes
from imagegen.services import generation, idempotency, pace
from imagegen.services.generation import GenerationRequest

log = structlog.get_logger(__name__)

QUEUE = "studio"
TASK = "imagegen.engine.tasks.work"
STAY_SECONDS = 60.0
"""How long a task stays when nothing is left to do, so that who asks again soon finds it awake."""


def queue() -> Queue:
    """Return the queue of wake-ups. Its messages are JSON: nothing from Redis is ever unpickled."""
    return Queue(QUEUE, connection=runtime.redis, serializer=JSONSerializer)


def submit(
    *,
    organisation_id: int,
    user_id: int,
    request: GenerationRequest,
    idempotency_key: str | None = None,
    most_new: int | None = None,
) -> Job:
    """Accept `request`: write the job, then wake the workers. Raises StudioError with a sentence.

    With `most_new`, Conflict if more pictures than that would have to be made beside the earlier ones.
    """
    with organisation_scope(organisation_id):
        plan = generation.plan(request)
        # The same request again is no new job; whether it is the same, `create_job` finds out.
        if not idempotency.is_used(organisation_id=organisation_id, user_id=user_id, key=idempotency_key):
            found = generation.answers(db.session(), organisation_id=organisation_id, request=request, plan=plan)
            pace.count_job(user_id=user_id, free=plan.provider.built_in or None not in found)
        job = generation.create_job(
            organisation_id=organisation_id,
            user_id=user_id,
            request=request,
            plan=plan,
            idempotency_key=idempotency_key,
            most_new=most_new,
        )
    if job.n_waiting:
        send(f"{generation.WAKE}-{job.public_id}", shots=job.n_waiting)
    return job


def relay() -> int:
    """Queue wake-ups if something may be claimed now and none are queued, whatever Redis remembers; return how many.

    The sweeper's half of `submit`: what the outbox held before is sent by that.
    """
    last = db.session.scalar(select(func.max(Outbox.id)).where(Outbox.sent_at.is_(None)))
    due = claims.due()
    try:
        woken = wake_ups(due) if due and not queue().count else 0
        if woken:
            wake(f"sweep-{new_id()}", count=woken)
    except RedisError as error:
        log.warning("dispatch.not_sent", error=str(error))
        return 0
    if last is not None:
        _note_sent(last)
    return woken


@writes
def _note_sent(uow: UnitOfWork, last: int) -> None:
    uow.execute(update(Outbox).where(Outbox.id <= last, Outbox.sent_at.is_(None)).values(sent_at=now()))


def send(name: str, *, shots: int) -> None:
    """Queue wake-ups called `name`, whose commit has stirred the workers that are up, for as many as sleep.

    Nothing is lost where that fails: the row called so stays in the outbox, and the sweeper tries again.
    """
    try:
        _enqueue(name, count=wake_ups(shots) - awake())
    except RedisError as error:
        log.warning("dispatch.not_sent", error=str(error), name=name)


def awake() -> int:
    """Return how many tasks listen for work. One whose slots are all taken calls for help by itself."""
    ((_, listening),) = runtime.redis.pubsub_numsub(WORK_CHANNEL)
    return int(listening)


def call_for_help(name: str) -> None:
    """Queue one wake-up called `name` if none are queued: for work that those who are up can't take on."""
    if not queue().count:
        _enqueue(name, count=1)


def wake_ups(shots: int) -> int:
    """Return how many tasks `shots` keep busy: every worker that there is, and more where their slots don't do."""
    settings = runtime.settings
    return max(min(shots, settings.workers), math.ceil(shots / settings.shots_per_worker))


def wake(name: str, *, count: int = 1) -> None:
    """Stir the workers that are up already, and queue `count` wake-ups called `name`. Raises RedisError."""
    stir()
    _enqueue(name, count=count)


def _enqueue(name: str, *, count: int) -> None:
    for number in range(count):
        try:
            queue().enqueue(
                TASK,
                kwargs={"stay": STAY_SECONDS},
                job_id=f"{name}-{number}",
                unique=True,
                job_timeout=-1,
                result_ttl=0,
                failure_ttl=3600,
            )
        except DuplicateJobError:
            continue
