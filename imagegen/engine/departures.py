"""The note that a call may reach its provider from now on: written before the call, for all that leave together.

Several answers come at once where several calls went out at once, and so do the next calls. Each waits until it is
written down, and only one writes at a time: whoever gets the turn writes down all that wait by then.
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
class _Leaving:
    """A call that waits for its note."""

    claim: Claim
    written: threading.Event = field(default_factory=threading.Event)
    may_leave: bool = False
    error: BaseException | None = None


_lock = threading.Lock()
_waiting: list[_Leaving] = []


def note(claim: Claim) -> bool:
    """Write down that the call goes out; False if it must not: lost, or canceled."""
    mine = _Leaving(claim)
    with _lock:
        _waiting.append(mine)
        first = len(_waiting) == 1
    if first:
        _write_for_all()
    mine.written.wait()
    if mine.error is not None:
        raise mine.error
    return mine.may_leave


def _write_for_all() -> None:
    together: list[_Leaving] = []
    try:
        left = _when_it_is_our_turn(together)
        for each in together:
            each.may_leave = each.claim in left
    except BaseException as error:
        # Whatever it is: who waits would wait for ever.
        for each in _gathered(together):
            each.error = error
    finally:
        for each in together:
            each.written.set()


def _gathered(together: list[_Leaving]) -> list[_Leaving]:
    """Return who leaves together: those who wait now, or did when this was first asked."""
    if not together:
        with _lock:
            together += _waiting
            _waiting.clear()
    return together


@writes_first
def _when_it_is_our_turn(uow: UnitOfWork, together: list[_Leaving]) -> Sequence[Claim]:
    uow.connection()  # on SQLite nobody else writes from here on; who came while somebody did is taken along
    return write(uow, [each.claim for each in _gathered(together)])


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
    """Write down that these calls go out; return those that may. The others are given back."""
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
