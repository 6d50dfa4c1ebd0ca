"""One picture's way through the books, gone through beforehand and undone.

The first use of each statement costs its compilation, and a task runs in a process forked from the worker: without
this the first picture of every task would wait for a tenth of a second.
"""

from __future__ import annotations

from inspect import unwrap

import structlog
from sqlalchemy.exc import SQLAlchemyError

from imagegen.core.errors import StudioError
from imagegen.core.ids import new_id
from imagegen.engine import attempts, claims, departures, fleet
from imagegen.extensions import db
from imagegen.models import Organisation, UnitOfWork, User, system_scope
from imagegen.models.unit_of_work import undone
from imagegen.services import generation
from imagegen.services.generation import GenerationRequest
from imagegen.services.library import StoredFiles

log = structlog.get_logger(__name__)

_PICTURE = StoredFiles(
    mime_type="image/png", width=1, height=1, file_size=1, sha256="0" * 64, received_sha256="0" * 64,
    file_key="rehearsal", received_key="rehearsal",
)  # fmt: skip


def rehearse() -> None:
    """Submit, claim, send and deliver a picture in a transaction that is never committed."""
    try:
        with system_scope(), undone() as uow:
            _submit(uow)
            claim = unwrap(claims.claim)(uow, owner="rehearsal", lease_seconds=60, lone_only=False)
            if claim is not None:
                departures.write(uow, [claim])
                unwrap(attempts._deliver)(uow, claim, _PICTURE, seed=None, facts={})
        with system_scope():
            fleet.orders("rehearsal")
            claims.due()
            claims.seconds_to_next()
    except (SQLAlchemyError, StudioError) as error:
        log.info("rehearsal.failed", error=str(error))
    finally:
        db.session.remove()


def _submit(uow: UnitOfWork) -> None:
    user = User(email=f"{new_id()}@studio.invalid", name="Rehearsal", password_hash="")
    organisation = Organisation(name="Rehearsal")
    uow.add_all([user, organisation])
    uow.flush()
    request = GenerationRequest(prompt="rehearsal", provider="local")
    unwrap(generation.create_job)(
        uow,
        organisation_id=organisation.id,
        user_id=user.id,
        request=request,
        plan=generation.plan(request),
        idempotency_key=new_id(),
    )
