"""I10 and I11: events that tell everything once and in order, and keys that name one request."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import exists, func, literal, or_, select
from sqlalchemy.orm import aliased

from imagegen.engine.invariants.rule import Invariant, Look, Rule
from imagegen.extensions import db
from imagegen.models import Event, IdempotencyKey, Job, Organisation
from imagegen.models.states import JOB_ENDS, JobStatus, ShotStatus
from imagegen.services import idempotency

BATCH = 1000

# --- I10 -------------------------------------------------------------------------------------------------------

_STATES = tuple(f"job.{status}" for status in JobStatus)

_told = (
    select(
        Event.job_id,
        func.count(Event.seq.distinct()).label("told"),
        func.min(Event.seq).label("first"),
        func.max(Event.seq).label("last"),
    )
    .group_by(Event.job_id)
    .subquery()
)
_last = (
    select(Event.job_id, func.max(Event.seq).label("seq"))
    .where(Event.type.in_(_STATES))
    .group_by(Event.job_id)
    .subquery()
)
_ordered = select(
    Event.job_id,
    Event.seq,
    Event.organisation_seq,
    func.lag(Event.organisation_seq).over(partition_by=Event.job_id, order_by=Event.seq).label("before"),
).subquery()
_earlier = aliased(Event)
_was_unknown = exists().where(
    _earlier.job_id == Event.job_id,
    _earlier.shot_id == Event.shot_id,
    _earlier.seq < _last.c.seq,
    _earlier.type == f"shot.{ShotStatus.UNKNOWN}",
)

EVENTS = Invariant(
    "I10",
    "Events: numbered without a gap, in the order of the commits, and the last state that they tell is the job's",
    (
        Rule(
            "job {job}",
            "has had {count} events, and {told} are there, numbered {first} to {last}",
            select(
                Job.public_id.label("job"),
                Job.event_seq.label("count"),
                func.coalesce(_told.c.told, 0).label("told"),
                _told.c.first,
                _told.c.last,
            )
            .outerjoin(_told, _told.c.job_id == Job.id)
            .where(
                or_(
                    func.coalesce(_told.c.told, 0) != Job.event_seq,
                    _told.c.first != 1,
                    _told.c.last != Job.event_seq,
                    Job.event_seq == 0,
                )
            ),
        ),
        Rule(
            "job {job}",
            "tells its event {seq} in another place than the organisation does",
            select(Job.public_id.label("job"), _ordered.c.seq)
            .join(_ordered, _ordered.c.job_id == Job.id)
            .where(_ordered.c.organisation_seq <= _ordered.c.before),
        ),
        Rule(
            "organisation {id}",
            "has {times} events with the number {number}",
            select(
                Event.organisation_id.label("id"), Event.organisation_seq.label("number"), func.count().label("times")
            )
            .group_by(Event.organisation_id, Event.organisation_seq)
            .having(func.count() > 1),
        ),
        Rule(
            "organisation {id}",
            "counts {count} events and has one with the number {last}",
            select(
                Organisation.public_id.label("id"),
                Organisation.event_seq.label("count"),
                func.max(Event.organisation_seq).label("last"),
            )
            .join(Event, Event.organisation_id == Organisation.id)
            .group_by(Organisation.public_id, Organisation.event_seq)
            .having(func.max(Event.organisation_seq) > Organisation.event_seq),
        ),
        Rule(
            "job {job}",
            "has an event, number {seq}, of another organisation",
            select(Job.public_id.label("job"), Event.seq)
            .join(Event, Event.job_id == Job.id)
            .where(Event.organisation_id != Job.organisation_id),
        ),
        Rule(
            "job {job}",
            "begins with the event {type}",
            select(Job.public_id.label("job"), Event.type)
            .join(Event, Event.job_id == Job.id)
            .where(Event.seq == 1, Event.type != f"job.{JobStatus.QUEUED}"),
        ),
        Rule(
            "job {job}",
            "is {status}, and the last that its events tell is {type}",
            select(Job.public_id.label("job"), Job.status, Event.type)
            .join(_last, _last.c.job_id == Job.id)
            .join(Event, (Event.job_id == Job.id) & (Event.seq == _last.c.seq))
            .where(Event.type != literal("job.") + Job.status),
        ),
        # What was of unknown fate when its job ended may be cleared up later, and that is told.
        Rule(
            "job {job}",
            "has ended, and later its event {seq} tells of {type}",
            select(Job.public_id.label("job"), Event.seq, Event.type)
            .join(_last, _last.c.job_id == Job.id)
            .join(Event, (Event.job_id == Job.id) & (Event.seq > _last.c.seq))
            .where(Job.status.in_(JOB_ENDS), or_(Event.shot_id.is_(None), ~_was_unknown)),
        ),
    ),
)

# --- I11 -------------------------------------------------------------------------------------------------------


def _other_requests(look: Look) -> Iterator[tuple[str, str]]:
    """Look whether each key's job is what was asked for under it."""
    after = 0
    while rows := db.session.execute(
        select(IdempotencyKey.id, IdempotencyKey.request_hash, Job.public_id, Job.request)
        .join(Job, Job.id == IdempotencyKey.job_id)
        .where(IdempotencyKey.id > after)
        .order_by(IdempotencyKey.id)
        .limit(BATCH)
    ).all():
        for row in rows:
            if idempotency.hash_of(row.request) != row.request_hash:
                yield f"idempotency key {row.id}", f"names the job {row.public_id}, which asks for something else"
        after = rows[-1].id
        look.progress("keys", after, 0)


KEYS = Invariant(
    "I11",
    "Idempotency keys: each names one job, of the same person, for the same request",
    (
        Rule(
            "idempotency key {id}",
            "names the job {job} of another person or organisation",
            select(IdempotencyKey.id, Job.public_id.label("job"))
            .join(Job, Job.id == IdempotencyKey.job_id)
            .where(or_(Job.user_id != IdempotencyKey.user_id, Job.organisation_id != IdempotencyKey.organisation_id)),
        ),
        Rule(
            "idempotency key {id}",
            "names a job that is not there",
            select(IdempotencyKey.id).where(~exists().where(Job.id == IdempotencyKey.job_id)),
        ),
    ),
    (_other_requests,),
)
