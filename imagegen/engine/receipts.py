"""What a provider gave for work that it has taken on: kept sealed, so that any worker can fetch the pictures."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from sqlalchemy import select

from imagegen.core.crypto import CannotOpen
from imagegen.core.errors import ErrorKind
from imagegen.core.text import N_
from imagegen.engine import claims, states
from imagegen.engine.claims import Claim
from imagegen.engine.patience import patiently
from imagegen.extensions import db, runtime
from imagegen.models import Attempt, UnitOfWork, writes
from imagegen.models.columns import db_now
from imagegen.models.states import AttemptStatus
from imagegen.providers.calls import Accepted
from imagegen.providers.errors import Outcome, ProviderError


def of(claim: Claim) -> Accepted | None:
    """Return what the provider gave for the work that it has taken on; None if it is still to be asked."""
    if not claim.taken_on:
        return None
    try:
        sealed = db.session.get_one(Attempt, claim.attempt_id).receipt or ""
        return Accepted.loads(SecretStr(runtime.sealer.open(sealed, about=_about(claim))))
    except (CannotOpen, ValueError):
        raise ProviderError(
            N_("The picture was made, but the studio can no longer read where it is."),
            kind=ErrorKind.INTERNAL,
            outcome=Outcome.ACCEPTED,
        ) from None


def _about(claim: Claim) -> str:
    return f"receipt {claim.attempt_id}"


def keep(claim: Claim, accepted: Accepted) -> None:
    """Write down that the provider has the work, before its pictures are fetched."""
    facts = {
        "receipt": runtime.sealer.seal(accepted.dumps().get_secret_value(), about=_about(claim)),
        "provider_request_id": accepted.request_id,
        "usage": accepted.usage.as_dict() if accepted.usage else None,
    }
    _write(claim, facts)


@patiently
@writes
def _write(uow: UnitOfWork, claim: Claim, facts: dict[str, Any]) -> None:
    locked = states.lock(uow, shot_id=claim.shot_id, fence=claim.fence)
    if locked is None:
        return
    shot, _ = locked
    shot.step = "fetching"
    attempt = uow.get_one(Attempt, claim.attempt_id)
    attempt.status = AttemptStatus.ACCEPTED
    for name, value in facts.items():
        setattr(attempt, name, value)


def holds(uow: UnitOfWork, claim: Claim) -> bool:
    """Tell whether the pictures of the claimed call can still be fetched."""
    kept = select(Attempt.id).where(
        Attempt.id == claim.attempt_id,
        Attempt.status == AttemptStatus.ACCEPTED,
        Attempt.sent_at > db_now(-claims.KEPT_SECONDS),
    )
    return uow.scalar(kept) is not None
