"""What got lost, found again in the database: the safety net under every process that may die."""

from __future__ import annotations

import structlog
from sqlalchemy import func, select

from imagegen.engine import attempts, claims, dispatch
from imagegen.engine.claims import Claim
from imagegen.extensions import db
from imagegen.models import Shot, attempt_shots, system_scope
from imagegen.models.columns import db_now
from imagegen.models.jobs import running

log = structlog.get_logger(__name__)


def sweep() -> dict[str, int]:
    """Take back expired leases, and wake the workers if work waits.

    Returns how much of each was found. Running it twice changes nothing more.
    """
    with system_scope():
        found = {"expired": _take_back(), "woken": dispatch.relay()}
    if any(found.values()):
        log.info("sweep", **found)
    return found


def _take_back() -> int:
    rows = db.session.execute(
        select(Shot.id, Shot.organisation_id, Shot.fence, func.max(attempt_shots.c.attempt_id))
        .join(attempt_shots, attempt_shots.c.shot_id == Shot.id)
        .where(running(), Shot.lease_until < db_now())
        .group_by(Shot.id, Shot.organisation_id, Shot.fence)
    ).all()
    fetched = {shot_id for shot_id, _ in db.session.execute(claims.to_be_fetched())}
    db.session.remove()
    lost = [row for row in rows if row[0] not in fetched]
    for shot_id, organisation_id, fence, attempt_id in lost:
        try:
            attempts.abandon(Claim(shot_id, attempt_id, organisation_id, fence), message=attempts.LOST)
        except Exception:
            # One that can't be settled must not keep the others from it.
            log.exception("sweep.not_taken_back", shot=shot_id)
    return len(lost)
