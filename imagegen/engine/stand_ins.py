"""Another model in place of one that cannot: down, over its limit, or not able to draw this.

Only where nothing was made and nothing is owed, never where the content was refused, and only to models that the
organisation has put into its list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from imagegen.core.errors import ErrorKind, StudioError
from imagegen.engine.claims import Claim
from imagegen.extensions import db
from imagegen.models import Attempt, Fallback, Job, Shot, UnitOfWork, attempt_shots, organisation_scope
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.services import events, generation, ledger
from imagegen.services.budget_periods import BudgetExceeded
from imagegen.services.generation import PlannedShot

_WHOLE_PROVIDER = frozenset(
    {ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT, ErrorKind.RATE_LIMITED, ErrorKind.AUTH, ErrorKind.BILLING}
)
"""What holds for all models of a provider: none of them is asked after it."""

_MOVES_ON = _WHOLE_PROVIDER | {ErrorKind.BAD_REQUEST}
_NOTHING_OWED = frozenset({Outcome.NOT_SENT, Outcome.REJECTED})


@dataclass(frozen=True)
class StandIn:
    """A model that may take a shot over, and how it would draw it."""

    provider: str
    model: str
    planned: PlannedShot


def for_claim(claim: Claim, error: ProviderError) -> Sequence[StandIn]:
    """Return who may draw the claimed shot after `error`, in the order of its organisation."""
    if error.kind not in _MOVES_ON or error.outcome not in _NOTHING_OWED:
        return ()
    try:
        listed = db.session.execute(
            select(Fallback.provider, Fallback.model)
            .where(Fallback.organisation_id == claim.organisation_id)
            .order_by(Fallback.position)
        ).all()
        if not listed:
            return ()
        shot = db.session.get_one(Shot, claim.shot_id)
        job = db.session.get_one(Job, shot.job_id)
        tried = _tried(shot) | {(shot.provider, shot.model, error.kind)}
        # What the organisation may use follows from its own keys.
        with organisation_scope(claim.organisation_id):
            return [
                StandIn(provider, model, planned)
                for provider, model in listed
                if not _in_vain(provider, model, tried) and (planned := _plan(job, shot, provider, model)) is not None
            ]
    finally:
        db.session.remove()


def take_over(uow: UnitOfWork, *, shot: Shot, job: Job, candidates: Sequence[StandIn]) -> bool:
    """Hand the locked shot to the first of `candidates` for which there is money; False if there is none."""
    for candidate in candidates:
        try:
            with uow.begin_nested():
                ledger.change(uow, shot=shot, estimate=candidate.planned.estimate)
        except BudgetExceeded:
            continue
        _hand_over(uow, shot, job, candidate)
        return True
    return False


def _hand_over(uow: UnitOfWork, shot: Shot, job: Job, to: StandIn) -> None:
    before, after = shot.estimated_micro, to.planned.estimate
    if job.estimated_micro is not None:
        job.estimated_micro = None if after is None else job.estimated_micro - (before or 0) + after
    shot.provider, shot.model = to.provider, to.model
    shot.request = generation.stored(to.planned)
    shot.width, shot.height = to.planned.size
    shot.estimated_micro = after
    shot.tries = 0
    events.record(uow, job=job, shot=shot, type="shot.moved_on")


def _tried(shot: Shot) -> set[tuple[str, str, str | None]]:
    query = (
        select(Attempt.provider, Attempt.model, Attempt.error_kind)
        .join(attempt_shots, attempt_shots.c.attempt_id == Attempt.id)
        .where(attempt_shots.c.shot_id == shot.id)
    )
    return {(provider, model, kind) for provider, model, kind in db.session.execute(query)}


def _in_vain(provider: str, model: str, tried: set[tuple[str, str, str | None]]) -> bool:
    return any(
        provider == asked and (model == drawn_by or kind in _WHOLE_PROVIDER) for asked, drawn_by, kind in tried
    )


def _plan(job: Job, shot: Shot, provider: str, model: str) -> PlannedShot | None:
    try:
        return generation.plan_stand_in(job, shot, provider=provider, model=model)
    except StudioError:
        return None
