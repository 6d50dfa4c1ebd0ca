"""The mark that a call may reach its provider from now on: set before the call, for all that leave together.

Several answers come at once where several calls went out at once, and so do the next calls. Each waits until it is
marked as sent, and only one writes at a time: whoever gets the turn marks all that wait by then.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, exists, select, update

from imagegen.engine import states
from imagegen.engine.claims import Claim
from imagegen.models import Attempt, Job, Shot, UnitOfWork, writes_first
from imagegen.models.bare import table_of
from imagegen.models.columns import db_now
from imagegen.models.states import AttemptStatus, ShotStatus


@dataclass(eq=False)
class _Departure:
    """Calls that leave together. Whoever is the first of them writes, the others wait until that is done."""

    claims: list[Claim] = field(default_factory=list)
    may_leave: Sequence[Claim] = ()
    error: BaseException | None = None
    written: threading.Event = field(default_factory=threading.Event)


_lock = threading.Lock()
_next: _Departure | None = None


def mark_sent(claim: Claim) -> bool:
    """Write down that the call goes out; False if it must not: lost, or canceled."""
    global _next
    with _lock:
        first = _next is None
        departure = _next = _next or _Departure()
        departure.claims.append(claim)
    if first:
        _write_down(departure)
    else:
        departure.written.wait()
        if departure.error is not None:
            # An exception of its own for each thread: as it is raised it is written to.
            raise RuntimeError("the calls that leave together could not be marked as sent") from departure.error
    return claim in departure.may_leave


def _write_down(departure: _Departure) -> None:
    try:
        departure.may_leave = _when_it_is_our_turn(departure)
    except BaseException as error:
        # Whatever it is: who waits would wait for ever.
        departure.error = error
        raise
    finally:
        _let_go(departure)


@writes_first
def _when_it_is_our_turn(uow: UnitOfWork, departure: _Departure) -> Sequence[Claim]:
    uow.connection()  # on SQLite nobody else writes from here on; who came while somebody did is taken along
    _close(departure)
    return write(uow, departure.claims)


def _close(departure: _Departure) -> None:
    """Let whoever comes from now on leave with the next one."""
    global _next
    with _lock:
        if _next is departure:
            _next = None


def _let_go(departure: _Departure) -> None:
    _close(departure)
    departure.written.set()


# Built once, and past the ORM: that takes longer than they take, and every call runs them.
_jobs, _shots, _attempts = table_of(Job), table_of(Shot), table_of(Attempt)
_HOLD_JOBS = (
    select(_jobs.c.id)
    .where(_jobs.c.id.in_(select(_shots.c.job_id).where(_shots.c.id.in_(bindparam("which", expanding=True)))))
    .order_by(_jobs.c.id)
    .with_for_update()
)
_SEND = (
    update(_attempts)
    .where(
        _attempts.c.id == bindparam("attempt"),
        exists().where(
            _shots.c.id == bindparam("shot"),
            _shots.c.fence == bindparam("under"),
            _shots.c.status == ShotStatus.RUNNING,
            _jobs.c.id == _shots.c.job_id,
            _jobs.c.cancel_requested_at.is_(None),
        ),
    )
    .values(status=AttemptStatus.SENT, sent_at=db_now())
    .returning(_attempts.c.id)
)


def write(uow: UnitOfWork, claims: Sequence[Claim]) -> Sequence[Claim]:
    """Mark these calls as sent; return those that may go out. The others are given back."""
    connection = uow.connection()
    if connection.dialect.name != "sqlite":
        # The jobs' locks keep away whoever thinks that this process is dead, until it is written down.
        connection.execute(_HOLD_JOBS, {"which": [claim.shot_id for claim in claims]}).all()
    may_leave = []
    for claim in claims:
        who = {"attempt": claim.attempt_id, "shot": claim.shot_id, "under": claim.fence}
        if connection.scalar(_SEND, who) is not None:
            may_leave.append(claim)
        else:
            _stay(uow, claim)
    return may_leave


def _stay(uow: UnitOfWork, claim: Claim) -> None:
    locked = states.lock(uow, shot_id=claim.shot_id, fence=claim.fence)
    if locked is not None:
        states.end_attempt(uow, claim.attempt_id, AttemptStatus.NOT_SENT, {})
        states.give_back(uow, shot=locked[0], job=locked[1])
