"""Answers to calls that were written off: a person said how they ended, or nobody could fetch what they brought.

What has ended never changes, so the answer stands as a call of its own, in a new shot of the same slot. It was paid
for: the person gets the picture, and its cost is booked, as an overrun, for nothing is set aside any more.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import select

from imagegen.core.errors import ErrorKind
from imagegen.core.money import Micro
from imagegen.core.text import N_
from imagegen.engine import states
from imagegen.engine.claims import Claim
from imagegen.models import Attempt, Job, Shot, UnitOfWork
from imagegen.models.columns import db_now
from imagegen.models.states import AttemptStatus, ShotStatus
from imagegen.services import events, ledger

log = structlog.get_logger(__name__)

ANSWERED_LATE = "answered_late"
"""In place of a provider's error code: the answer of this call has come, and stands as another one."""
CAME_LATE = N_("Its answer came after that, and stands as a call of its own.")

_NOT_BOOKED = frozenset({AttemptStatus.REJECTED})
_WRITTEN_OFF = _NOT_BOOKED | {AttemptStatus.BILLED_NO_IMAGE}
_UNHEARD = frozenset({ErrorKind.UNKNOWN, ErrorKind.TIMEOUT})
"""Why a shot may have failed without anybody having seen the answer; any other end is one that the answer had."""
_FREE = frozenset({ShotStatus.WAITING, ShotStatus.FAILED, ShotStatus.REFUSED, ShotStatus.CANCELED})
"""Where the newest shot of a slot may stand for a late picture to take its place."""


@dataclass(frozen=True)
class Awaited:
    """The shot and the call that an answer is for, locked; `booked` is what it has cost already."""

    claim: Claim
    shot: Shot
    job: Job
    booked: Micro = 0
    stood: str | None = None
    """How the job stood before an answer came that nobody waited for any more."""

    def tell(self, uow: UnitOfWork) -> None:
        """Say how the job ends, where a late answer has not changed that: its last event is its end."""
        if self.job.finished and self.job.status == self.stood:
            events.record(uow, job=self.job, type=f"job.{self.stood}")


def awaited_by(uow: UnitOfWork, claim: Claim, *, picture: bool) -> Awaited | None:
    """Return what the answer to `claim` is for; None if another has been heard in its place, or its job is gone.

    One that brings no `picture` changes nothing where its cost is booked.
    """
    locked = states.lock(uow, shot_id=claim.shot_id, fence=claim.fence, also_unknown=True)
    if locked is not None:
        return Awaited(claim, *locked)
    found = _opened(uow, claim, _WRITTEN_OFF if picture else _NOT_BOOKED)
    if found is None:
        log.warning("attempt.fenced_off", shot=claim.shot_id)
    return found


def _opened(uow: UnitOfWork, claim: Claim, ends: Container[str]) -> Awaited | None:
    """Open a new shot for the answer to a call that was written off, in one of `ends`.

    It takes the place of a shot of the same slot that has no picture, also of one that waits to be called: nobody
    pays for a second picture while the first is here. Beside one that has a picture, or is being drawn, it stands
    alone, and its picture is in the library.
    """
    locked = states.lock(uow, shot_id=claim.shot_id)
    call = uow.get(Attempt, claim.attempt_id)
    if locked is None or call is None or not _was_written_off(locked[0], call, ends):
        return None
    shot, job = locked
    stood = job.status
    late = _shot_like(shot, call)
    _take_place(uow, job, late)
    uow.add(late)
    uow.flush()
    ledger.reserve_nothing(uow, job=job, shot=late)
    again = _call_like(call, late)
    uow.add(again)
    uow.flush()
    call.error_code = ANSWERED_LATE
    call.error_message = call.error_message + " " + CAME_LATE if call.error_message else CAME_LATE
    log.warning("attempt.answered_late", shot=late.id, written_off=call.id, was=call.status)
    opened = replace(claim, shot_id=late.id, attempt_id=again.id, fence=late.fence)
    return Awaited(opened, late, job, call.cost_micro or 0, stood)


def _was_written_off(shot: Shot, call: Attempt, ends: Container[str]) -> bool:
    return (
        shot.status == ShotStatus.FAILED
        and shot.error_kind in _UNHEARD
        and call.status in ends
        and call.error_code != ANSWERED_LATE
    )


def _shot_like(shot: Shot, call: Attempt) -> Shot:
    return Shot(
        organisation_id=shot.organisation_id,
        job_id=shot.job_id,
        newest=False,
        slot=shot.slot,
        status=ShotStatus.UNKNOWN,
        provider=shot.provider,
        model=shot.model,
        provider_key=call.provider_key,
        request=shot.request,
        width=shot.width,
        height=shot.height,
        fence=1,
        tries=1,
        estimated_micro=shot.estimated_micro,
        started_at=shot.started_at,
        finished_at=db_now(),
    )


def _call_like(call: Attempt, shot: Shot) -> Attempt:
    return Attempt(
        organisation_id=call.organisation_id,
        job_id=call.job_id,
        number=shot.fence,
        status=AttemptStatus.UNKNOWN,
        provider=call.provider,
        model=call.model,
        provider_key=call.provider_key,
        sent_at=call.sent_at,
        ended_at=db_now(),
        shots=[shot],
    )


def _take_place(uow: UnitOfWork, job: Job, late: Shot) -> None:
    """Let `late` be the newest shot of its slot, unless another has the picture or works on it."""
    newest = uow.scalars(
        select(Shot).where(Shot.job_id == job.id, Shot.slot == late.slot, Shot.newest).with_for_update()
    ).one()
    if newest.status not in _FREE:
        return
    newest.newest, late.newest, late.retry_of_id = False, True, newest.id
    states.count(job, leaves=ShotStatus(newest.status), enters=ShotStatus.UNKNOWN)
    if newest.status == ShotStatus.WAITING:
        states.move(uow, shot=newest, job=job, to=ShotStatus.CANCELED)
        ledger.release(uow, shot=newest)
