"""The same request sent again under one key: the first decides, and no second job is made of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import Select, select

from imagegen.core.errors import Conflict
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import IdempotencyKey, Job, UnitOfWork


def is_used(*, organisation_id: int, user_id: int, key: str | None) -> bool:
    """Tell whether the person has sent a request under this key before."""
    return key is not None and db.session.scalar(_row(organisation_id, user_id, key)) is not None


def earlier_job(
    uow: UnitOfWork, *, organisation_id: int, user_id: int, key: str | None, asked: dict[str, Any]
) -> Job | None:
    """Return the job that was made of the same request under this key; Conflict if that was another request."""
    row = uow.scalar(_row(organisation_id, user_id, key)) if key else None
    if row is None:
        return None
    if row.request_hash != hash_of(asked):
        raise Conflict(N_("This Idempotency-Key was used for another request. Use a new key."))
    return uow.get_one(Job, row.job_id)


def remember(uow: UnitOfWork, *, job: Job, key: str | None) -> None:
    """Keep the key, if there is one, with what was asked for under it."""
    if not key:
        return
    uow.add(
        IdempotencyKey(
            organisation_id=job.organisation_id,
            user_id=job.user_id,
            key=key,
            request_hash=hash_of(job.request),
            job_id=job.id,
        )
    )


def hash_of(asked: dict[str, Any]) -> str:
    """Return what tells a request, as a job keeps it, from others under the same Idempotency-Key."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _row(organisation_id: int, user_id: int, key: str) -> Select[Any]:
    return select(IdempotencyKey).where(
        IdempotencyKey.organisation_id == organisation_id,
        IdempotencyKey.user_id == user_id,
        IdempotencyKey.key == key,
    )
