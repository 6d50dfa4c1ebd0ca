"""One call to a provider, from the claim to the picture in the library, each step written down before the next."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import bindparam, func, select

from imagegen.core.errors import ErrorKind
from imagegen.core.money import Micro
from imagegen.core.text import N_
from imagegen.engine import departures, journal, late_answers, limits, pictures, receipts, retries, stand_ins, states
from imagegen.engine.claims import Claim
from imagegen.engine.late_answers import Awaited
from imagegen.engine.patience import patiently
from imagegen.engine.stand_ins import StandIn
from imagegen.extensions import db, runtime
from imagegen.imaging.errors import ImagingError
from imagegen.models import Attempt, Job, Shot, UnitOfWork, User, attempt_shots, writes
from imagegen.models.columns import db_now
from imagegen.models.states import AttemptStatus, ShotStatus
from imagegen.providers.base import Provider
from imagegen.providers.calls import Accepted, ImageRequest, ImageResult, Usage
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.services import generation, ledger, library, provider_keys
from imagegen.services.library import StoredFiles
from imagegen.storage.errors import StorageError

log = structlog.get_logger(__name__)


def run(
    claim: Claim, on_departure: Callable[[], None] = lambda: None, on_answer: Callable[[], None] = lambda: None
) -> None:
    """Make the call that `claim` allows, and write down how it ended. Never raises for what a provider does.

    `on_departure` is called when the call goes out, `on_answer` when the provider is done with it, before what it
    sent is put away.
    """
    if claim.shut is not None:
        fail(claim, claim.shut.error())
        return
    prepared = _load(claim)
    if prepared is None:
        return
    provider, request, accepted = prepared
    if accepted is None and not departures.mark_sent(claim):
        return
    on_departure()
    try:
        if accepted is None:
            result = provider.generate(request, functools.partial(receipts.keep, claim))
        else:
            result = provider.resume(accepted, deadline_seconds=request.deadline_seconds)
    except ProviderError as error:
        fail(claim, error)
        return
    on_answer()
    store(claim, result)


def _load(claim: Claim) -> tuple[Provider, ImageRequest, Accepted | None] | None:
    """Read whom to ask for what; the session is closed before anything slow begins."""
    try:
        shot, owner, key = db.session.execute(_CALL, {"shot": claim.shot_id, "attempt": claim.attempt_id}).one()
        provider, _ = runtime.providers.find(shot.provider, shot.model)
        keyed = provider_keys.as_claimed(
            provider, organisation_id=claim.organisation_id, digest=key, taken_on=claim.taken_on
        )
        if keyed is None:
            _hand_back(claim)
            return None
        request = generation.image_request(
            shot,
            user_hash=hashlib.sha256(owner.encode()).hexdigest(),
            deadline_seconds=runtime.settings.provider_timeout_seconds,
        )
        return keyed, request, receipts.of(claim)
    except ProviderError as error:
        fail(claim, error)
        return None
    finally:
        db.session.remove()


KEY_CHANGED = N_("The organisation's key was changed before anything was sent.")


@writes
def _hand_back(uow: UnitOfWork, claim: Claim) -> None:
    """Let the shot be claimed anew, with the key that its organisation has now."""
    locked = states.lock(uow, shot_id=claim.shot_id, fence=claim.fence)
    if locked is not None:
        shot, job = locked
        states.end_attempt(uow, claim.attempt_id, AttemptStatus.NOT_SENT, {"error_message": KEY_CHANGED})
        shot.tries -= 1  # nobody was called
        states.give_back(uow, shot=shot, job=job)


# Built once: every call asks it.
_CALL = (
    select(Shot, User.public_id, Attempt.provider_key)
    .join(Job, Job.id == Shot.job_id)
    .join(User, User.id == Job.user_id)
    .join(Attempt, Attempt.job_id == Job.id)
    .where(Shot.id == bindparam("shot"), Attempt.id == bindparam("attempt"))
)


def store(claim: Claim, result: ImageResult) -> None:
    """Put away what the provider has answered, so that no death of this process loses it."""
    with journal.kept(claim, result):
        put_away(claim, result)


def put_away(claim: Claim, result: ImageResult) -> None:
    """Check and keep the picture of `result`, then settle: image, money, state and event in one transaction."""
    answered_at = time.monotonic()
    payload = result.images[0]
    facts = _facts_of(result)
    try:
        with runtime.storage.workspace() as folder:
            kept = pictures.keep(claim, payload.data, Path(folder))
            _deliver(claim, kept, seed=payload.seed, facts=facts)
    except ImagingError as error:
        kind = ErrorKind.BAD_ANSWER if error.about_the_picture else ErrorKind.INTERNAL
        _billed_without_picture(claim, kind, error.message, facts)
    except StorageError as error:
        _billed_without_picture(claim, ErrorKind.INTERNAL, error.message, facts)
        log.error("attempt.not_stored", error=str(error), shot=claim.shot_id)
    log.info("attempt.stored", shot=claim.shot_id, seconds=round(time.monotonic() - answered_at, 3))


def _facts_of(result: ImageResult) -> dict[str, Any]:
    return {
        "provider_request_id": result.request_id,
        "usage": result.usage.as_dict() if result.usage else None,
    }


@patiently
@writes
def _deliver(uow: UnitOfWork, claim: Claim, kept: StoredFiles, *, seed: int | None, facts: dict[str, Any]) -> None:
    awaited = late_answers.awaited_by(uow, claim, picture=True)
    if awaited is None:
        return
    shot, job = awaited.shot, awaited.job
    # Nothing that is asked for here depends on what is written here: each row is written once, with the picture.
    with uow.no_autoflush:
        attempt = states.end_attempt(uow, awaited.claim.attempt_id, AttemptStatus.SUCCEEDED, facts)
        cost = _settle(uow, job, shot, attempt, booked=awaited.booked)
        states.move(uow, shot=shot, job=job, to=ShotStatus.SUCCEEDED, actual_micro=cost)
        awaited.tell(uow)
        limits.note_success(uow, provider=attempt.provider, key=attempt.provider_key)
        library.add_generated(uow, job=job, shot=shot, kept=kept, seed=seed)


@patiently
@writes
def _billed_without_picture(
    uow: UnitOfWork, claim: Claim, kind: ErrorKind, message: str, facts: dict[str, Any]
) -> None:
    awaited = late_answers.awaited_by(uow, claim, picture=False)
    if awaited is not None:
        _bill(uow, awaited, kind, message, facts)


def _bill(uow: UnitOfWork, awaited: Awaited, kind: ErrorKind, message: str, facts: dict[str, Any]) -> None:
    facts = {**facts, "error_kind": kind, "error_message": message}
    attempt = states.end_attempt(uow, awaited.claim.attempt_id, AttemptStatus.BILLED_NO_IMAGE, facts)
    cost = _settle(uow, awaited.job, awaited.shot, attempt, booked=awaited.booked)
    states.move(
        uow,
        shot=awaited.shot,
        job=awaited.job,
        to=ShotStatus.FAILED,
        actual_micro=cost,
        error_kind=kind,
        error_message=message,
    )
    awaited.tell(uow)


def _settle(uow: UnitOfWork, job: Job, shot: Shot, attempt: Attempt, *, booked: Micro) -> Micro | None:
    """Book what the attempt cost beyond what is `booked`: what the provider's usage tells, else the estimate."""
    usage = Usage(**attempt.usage) if attempt.usage else None
    told = runtime.prices.actual(attempt.provider, attempt.model, usage) if usage else None
    # A model whose price is by the picture costs that, whatever tokens it counts.
    cost = shot.estimated_micro if told is None else told
    if cost is not None:
        cost = max(0, cost - booked)
    attempt.cost_micro = cost
    job.actual_micro += cost or 0
    ledger.settle(uow, job=job, shot=shot, attempt=attempt, cost=cost, price_date=runtime.prices.as_of.isoformat())
    return cost


_ENDINGS: dict[Outcome, AttemptStatus] = {
    Outcome.NOT_SENT: AttemptStatus.NOT_SENT,
    Outcome.REJECTED: AttemptStatus.REJECTED,
    Outcome.ACCEPTED: AttemptStatus.BILLED_NO_IMAGE,
    Outcome.UNKNOWN: AttemptStatus.UNKNOWN,
}


def fail(claim: Claim, error: ProviderError) -> None:
    """Write down that the call gave no picture: try again, give up, or leave it open, as far as it got."""
    facts: dict[str, Any] = {"error_code": error.code}
    if error.request_id is not None:
        facts["provider_request_id"] = error.request_id
    if error.outcome == Outcome.ACCEPTED:
        # Who fails to fetch what was made does not know any more what came with its receipt.
        if error.usage is not None:
            facts["usage"] = error.usage.as_dict()
        if error.kind not in _FETCHED_LATER or not _fetch_later(claim):
            _billed_without_picture(claim, error.kind, error.message, facts)
    else:
        _not_made(claim, error, facts, stand_ins.for_claim(claim, error))
    # Last: a log that nobody takes any more must not cost what was to be written down.
    log.warning("attempt.failed", shot=claim.shot_id, kind=error.kind, outcome=error.outcome, error=error.message)


_FETCHED_LATER = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT})
FETCH_AGAIN_SECONDS = 10.0


@patiently
@writes
def _fetch_later(uow: UnitOfWork, claim: Claim) -> bool:
    """Let whoever is free fetch in a while what the provider has made; False if it gave no receipt, or long ago."""
    locked = states.lock(uow, shot_id=claim.shot_id, fence=claim.fence)
    if locked is None or not receipts.holds(uow, claim):
        return False
    locked[0].lease_until = db_now(FETCH_AGAIN_SECONDS)
    return True


@patiently
@writes
def _not_made(
    uow: UnitOfWork, claim: Claim, error: ProviderError, facts: dict[str, Any], candidates: Sequence[StandIn]
) -> None:
    locked = states.lock(uow, shot_id=claim.shot_id, fence=claim.fence)
    if locked is None:
        return
    shot, job = locked
    told = {"error_kind": error.kind, "error_message": error.message}
    attempt = uow.get_one(Attempt, claim.attempt_id)
    if attempt.status == AttemptStatus.PREPARED:
        states.end_attempt(uow, claim.attempt_id, AttemptStatus.NOT_SENT, {**facts, **told})
    else:
        states.end_attempt(uow, claim.attempt_id, _ENDINGS[error.outcome], {**facts, **told})
    if claim.shut is None:
        limits.note_failure(uow, provider=attempt.provider, error=error, key=attempt.provider_key)
    else:
        shot.tries -= 1  # nobody was called
    wait = retries.seconds_to_wait(error, shot.tries)
    if wait is not None:
        states.give_back(uow, shot=shot, job=job, not_before=db_now(wait), **told)
    elif job.cancel_requested_at is None and stand_ins.take_over(uow, shot=shot, job=job, candidates=candidates):
        states.give_back(uow, shot=shot, job=job, **told)
    elif claim.shut is not None and not claim.shut.hopeless:
        states.give_back(uow, shot=shot, job=job, not_before=claim.shut.until, **told)
    else:
        states.move(uow, shot=shot, job=job, to=_end_of(error), **told)
        if error.outcome != Outcome.UNKNOWN:
            ledger.release(uow, shot=shot)


def _end_of(error: ProviderError) -> ShotStatus:
    if error.outcome == Outcome.UNKNOWN:
        return ShotStatus.UNKNOWN
    return ShotStatus.REFUSED if error.kind == ErrorKind.REFUSED else ShotStatus.FAILED


STOPPED = N_("The studio was stopped while the provider was drawing.")
LOST = N_("The studio lost touch with this call: it was sent, and no answer came back.")
CRASHED = N_("The studio made a mistake while the provider was drawing.")
NOT_FETCHED = N_("The provider made this picture, and the studio could not fetch it in time.")
GIVEN_UP = N_("The studio tried several times to work on this picture and failed each time.")

MOST_LOSSES = 3
"""A shot whose calls got lost this often before anything was sent, or that took our own pen down, is given up."""


@writes
def abandon(uow: UnitOfWork, claim: Claim, *, message: str) -> None:
    """End a call that nobody will hear the end of: given back if nothing was sent, else its fate is unknown.

    What the provider has taken on and given a receipt for is left to whoever fetches it.

    How far it got is read under the shot's lock: the thread that makes the call may be about to send it.
    """
    locked = states.lock(uow, shot_id=claim.shot_id, fence=claim.fence)
    if locked is None:
        return
    shot, job = locked
    attempt = uow.get_one(Attempt, claim.attempt_id)
    if attempt.status == AttemptStatus.PREPARED or _draws_here(attempt.provider):
        _give_back(uow, claim, shot, job, message)
        return
    if attempt.status == AttemptStatus.ACCEPTED:
        if receipts.holds(uow, claim):
            shot.lease_until = db_now(FETCH_AGAIN_SECONDS if message == CRASHED else 0)
        else:
            _bill(uow, Awaited(claim, shot, job), ErrorKind.TIMEOUT, NOT_FETCHED, {})
        return
    # It is the studio that has lost the answer: the call says nothing against its provider.
    facts = {"error_kind": ErrorKind.INTERNAL, "error_message": message}
    states.end_attempt(uow, claim.attempt_id, AttemptStatus.UNKNOWN, facts)
    told = {"error_kind": ErrorKind.UNKNOWN, "error_message": message}
    states.move(uow, shot=shot, job=job, to=ShotStatus.UNKNOWN, **told)


def _draws_here(provider_id: str) -> bool:
    """Whether the call can be made again without being paid for twice."""
    return any(provider.id == provider_id and provider.built_in for provider in runtime.providers.providers())


def _give_back(uow: UnitOfWork, claim: Claim, shot: Shot, job: Job, message: str) -> None:
    stopped = message == STOPPED
    states.end_attempt(
        uow,
        claim.attempt_id,
        AttemptStatus.NOT_SENT,
        {"error_kind": None if stopped else ErrorKind.INTERNAL, "error_message": message},
    )
    losses = _losses(uow, shot)
    if stopped:
        states.give_back(uow, shot=shot, job=job)
    elif losses < MOST_LOSSES:
        states.give_back(uow, shot=shot, job=job, not_before=db_now(losses))
    else:
        told = {"error_kind": ErrorKind.INTERNAL, "error_message": GIVEN_UP}
        states.move(uow, shot=shot, job=job, to=ShotStatus.FAILED, **told)
        ledger.release(uow, shot=shot)


def _losses(uow: UnitOfWork, shot: Shot) -> int:
    """Return how many calls for `shot` came to nothing by our own fault."""
    query = (
        select(func.count(Attempt.id))
        .join(attempt_shots, attempt_shots.c.attempt_id == Attempt.id)
        .where(
            attempt_shots.c.shot_id == shot.id,
            Attempt.status == AttemptStatus.NOT_SENT,
            Attempt.error_kind == ErrorKind.INTERNAL,
        )
    )
    return uow.scalar(query) or 0
