"""I8, I9, I12 and I16: states and counts, leases, what lies idle, and what a sweep would still find."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select
from sqlalchemy.orm import aliased

from imagegen.engine.invariants.rule import Invariant, Look, Question, Rule, differ, patience
from imagegen.extensions import db
from imagegen.models import Attempt, Event, Job, Outbox, ProviderState, Shot, attempt_shots, triggers
from imagegen.models.columns import db_now
from imagegen.models.moments import seconds_between
from imagegen.models.states import JOB_ENDS, SHOT_SETTLED, AttemptStatus, JobStatus, ShotStatus

LIVE = (AttemptStatus.PREPARED, AttemptStatus.SENT, AttemptStatus.ACCEPTED)
"""Calls of which an answer may still come to whoever makes them."""

LONGEST_IDLE_SECONDS = 15 * 60

# --- I8 --------------------------------------------------------------------------------------------------------

_standing = (
    select(Shot.job_id, *(func.sum(case((Shot.status == s, 1), else_=0)).label(f"n_{s}") for s in ShotStatus))
    .where(Shot.newest)
    .group_by(Shot.job_id)
    .subquery()
)
_miscounted = or_(*(getattr(Job, f"n_{s}") != func.coalesce(_standing.c[f"n_{s}"], 0) for s in ShotStatus))
_total = sum((getattr(Job, f"n_{s}") for s in ShotStatus if s != ShotStatus.WAITING), start=Job.n_waiting)

derived: ColumnElement[str] = case(
    (
        Job.n_waiting + Job.n_running > 0,
        case((Job.started_at.is_(None), JobStatus.QUEUED), else_=JobStatus.RUNNING),
    ),
    (Job.n_succeeded > 0, case((Job.n_succeeded == _total, JobStatus.SUCCEEDED), else_=JobStatus.PARTIAL)),
    (Job.n_canceled == _total, JobStatus.CANCELED),
    else_=JobStatus.FAILED,
)
"""What `models.states.derive` says, for a query."""

_calls = (
    select(
        attempt_shots.c.shot_id,
        func.count().label("calls"),
        func.count(Attempt.receipt).label("receipts"),
        func.sum(case((Attempt.status.in_(LIVE), 1), else_=0)).label("live"),
        func.sum(case((Attempt.status == AttemptStatus.SUCCEEDED, 1), else_=0)).label("succeeded"),
    )
    .join(Attempt, Attempt.id == attempt_shots.c.attempt_id)
    .group_by(attempt_shots.c.shot_id)
    .subquery()
)


def _of_job(*conditions: ColumnElement[bool]) -> Question:
    return (
        select(Job.public_id.label("job"), Job.status, derived.label("derived"))
        .outerjoin(_standing, _standing.c.job_id == Job.id)
        .where(*conditions)
    )


def _of_shot(*conditions: ColumnElement[bool]) -> Question:
    return (
        select(
            Shot.public_id.label("shot"),
            Shot.status,
            Shot.fence,
            func.coalesce(_calls.c.calls, 0).label("calls"),
            func.coalesce(_calls.c.live, 0).label("live"),
            func.coalesce(_calls.c.succeeded, 0).label("succeeded"),
        )
        .join(Job, Job.id == Shot.job_id)
        .outerjoin(_calls, _calls.c.shot_id == Shot.id)
        .where(*conditions)
    )


def _triggers(look: Look) -> Iterator[tuple[str, str]]:
    """Look whether the database itself still refuses illegal moves and changed books."""
    for name in triggers.missing(db.session.connection()):
        yield f"trigger {name}", "is not in the database as it should be; `flask --app wsgi db upgrade` makes it anew"


_older = aliased(Shot)

STATES = Invariant(
    "I8",
    "States: jobs stand where their shots do, ends are ends, and the database refuses any other move",
    (
        Rule("job {job}", "counts its shots otherwise than they stand", _of_job(_miscounted)),
        Rule("job {job}", "is {status} and should be {derived}", _of_job(Job.status != derived)),
        Rule(
            "job {job}",
            "is {status}, and whether it has an end does not fit that",
            _of_job(differ(Job.finished_at.is_not(None), Job.status.in_(JOB_ENDS))),
        ),
        Rule(
            "job {job}",
            "has {newest} newest shots for picture {slot}, not one",
            select(Job.public_id.label("job"), Shot.slot, func.sum(case((Shot.newest, 1), else_=0)).label("newest"))
            .join(Shot, Shot.job_id == Job.id)
            .group_by(Job.public_id, Shot.slot)
            .having(func.sum(case((Shot.newest, 1), else_=0)) != 1),
        ),
        Rule(
            "shot {shot}",
            "was tried again and still counts as the newest",
            select(_older.public_id.label("shot"))
            .join(Shot, Shot.retry_of_id == _older.id)
            .where(or_(_older.newest, Shot.job_id != _older.job_id, Shot.slot != _older.slot)),
        ),
        Rule(
            "shot {shot}",
            "is {status}, and whether it has an end does not fit that",
            _of_shot(differ(Shot.finished_at.is_not(None), Shot.status.in_(SHOT_SETTLED))),
        ),
        Rule(
            "shot {shot}",
            "is {status} and does not say why",
            _of_shot(
                Shot.status.in_([ShotStatus.FAILED, ShotStatus.REFUSED, ShotStatus.UNKNOWN]),
                or_(Shot.error_kind.is_(None), Shot.error_message.is_(None)),
            ),
        ),
        Rule(
            "shot {shot}",
            "waits, although its job was canceled",
            _of_shot(Shot.status == ShotStatus.WAITING, Job.cancel_requested_at.is_not(None)),
        ),
        Rule(
            "shot {shot}",
            "is {status} with {succeeded} calls that succeeded",
            _of_shot(
                or_(
                    func.coalesce(_calls.c.succeeded, 0) > 1,
                    and_(func.coalesce(_calls.c.succeeded, 0) == 1, Shot.status != ShotStatus.SUCCEEDED),
                )
            ),
        ),
        Rule(
            "attempt {id}",
            "is {status}, and whether it has an end does not fit that",
            select(Attempt.public_id.label("id"), Attempt.status).where(
                differ(Attempt.ended_at.is_(None), Attempt.status.in_(LIVE))
            ),
        ),
    ),
    (_triggers,),
)

# --- I9 --------------------------------------------------------------------------------------------------------

_RUNS = Shot.status == ShotStatus.RUNNING

LEASES = Invariant(
    "I9",
    "Leases: what runs has one owner, one lease and one call under way; nothing else has any",
    (
        Rule(
            "shot {shot}",
            "is {status}, and whether it has an owner and a lease does not fit that",
            _of_shot(or_(differ(_RUNS, Shot.lease_owner.is_not(None)), differ(_RUNS, Shot.lease_until.is_not(None)))),
        ),
        Rule(
            "shot {shot}",
            "is {status} with {live} calls under way",
            _of_shot(func.coalesce(_calls.c.live, 0) != case((_RUNS, 1), else_=0)),
        ),
        Rule(
            "shot {shot}",
            "was claimed {fence} times and has {calls} calls",
            # Who fetches what a provider has made claims the shot anew, and makes no new call.
            _of_shot(
                or_(
                    Shot.fence < func.coalesce(_calls.c.calls, 0),
                    and_(Shot.fence > func.coalesce(_calls.c.calls, 0), func.coalesce(_calls.c.receipts, 0) == 0),
                )
            ),
        ),
    ),
)

# --- I12 -------------------------------------------------------------------------------------------------------

_LONG_AGO = db_now(-LONGEST_IDLE_SECONDS)
_shut = exists().where(
    ProviderState.provider == Shot.provider,
    ProviderState.key.in_(["", Shot.provider_key]),
    or_(ProviderState.paused_until > db_now(), ProviderState.open_until > db_now()),
)
_stirred = exists().where(Event.job_id == Job.id, Event.created_at > _LONG_AGO)
_newest_call = select(Attempt.created_at).order_by(Attempt.id.desc()).limit(1).scalar_subquery()

IDLE = Invariant(
    "I12",
    "Nothing lies idle: what is not done is in line, leased, put off, paused, at a shut provider or of unknown fate",
    (
        Rule(
            "shot {shot}",
            "could be worked on for more than 15 minutes, and nobody works at all",
            _of_shot(
                Shot.status == ShotStatus.WAITING,
                Job.paused_at.is_(None),
                Shot.created_at < _LONG_AGO,
                or_(Shot.not_before.is_(None), Shot.not_before < _LONG_AGO),
                or_(_newest_call.is_(None), _newest_call < _LONG_AGO),
                ~_stirred,
                ~_shut,
            ),
        ),
        Rule(
            "shot {shot}",
            "runs under a lease that ended more than 15 minutes ago",
            _of_shot(_RUNS, Shot.lease_until < _LONG_AGO),
        ),
    ),
)

# --- I16 -------------------------------------------------------------------------------------------------------

SETTLED = Invariant(
    "I16",
    "A sweep would find nothing to do",
    (
        Rule(
            "shot {shot}",
            "has a lease that ran out, and was not taken back",
            _of_shot(_RUNS, seconds_between(Shot.lease_until, db_now()) > patience),
        ),
        Rule(
            "outbox {name}",
            "was not sent",
            select(Outbox.name).where(
                Outbox.sent_at.is_(None), seconds_between(Outbox.created_at, db_now()) > patience
            ),
        ),
    ),
)
