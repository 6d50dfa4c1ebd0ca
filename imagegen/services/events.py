"""What watching pages hear of, written in the transaction that made it happen."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

from sqlalchemy import BindParameter, bindparam, update

from imagegen.extensions import announce
from imagegen.models import Event, Job, Organisation, UnitOfWork
from imagegen.models.bare import table_of

_PENDING = "pending_events"

# Built once, and past the ORM: that takes longer than they take, and every picture runs them several times.
_ONE: BindParameter[int] = bindparam("one")
_MORE: BindParameter[int] = bindparam("more")
_jobs, _organisations = table_of(Job), table_of(Organisation)
_OF_JOB = (
    update(_jobs).where(_jobs.c.id == _ONE).values(event_seq=_jobs.c.event_seq + _MORE).returning(_jobs.c.event_seq)
)
_OF_ORGANISATION = (
    update(_organisations)
    .where(_organisations.c.id == _ONE)
    .values(event_seq=_organisations.c.event_seq + _MORE)
    .returning(_organisations.c.event_seq)
)


class Numbered(Protocol):
    """A shot, or as much of one as an event tells."""

    @property
    def id(self) -> int:
        """The row's number."""

    @property
    def public_id(self) -> str:
        """What people know it by."""


def record(uow: UnitOfWork, *, job: Job, type: str, shot: Numbered | None = None) -> None:
    """Add an event of `job`; `type` is `job.` or `shot.` and the new state. It is numbered at the end of `uow`.

    The numbers come from counters whose rows stay locked until the commit, so their order is that of the commits;
    taken last, they are locked for no longer than the commit itself.
    """
    pending: list[dict[str, Any]] = uow.info.setdefault(_PENDING, [])
    if not pending:
        uow.before_commit(_number)
    pending.append(
        {
            "organisation_id": job.organisation_id,
            "job_id": job.id,
            "user_id": job.user_id,
            "shot_id": shot.id if shot else None,
            "type": type,
            "data": {
                "job_id": job.public_id,
                "shot_id": shot.public_id if shot else None,
                "status": type.partition(".")[2],
            },
        }
    )


def _number(uow: UnitOfWork) -> None:
    pending: list[dict[str, Any]] = uow.info.pop(_PENDING)
    connection = uow.connection()
    for job_id, count in sorted(Counter(event["job_id"] for event in pending).items()):
        last = connection.execute(_OF_JOB, {"one": job_id, "more": count}).scalar_one()
        for seq, event in enumerate((e for e in pending if e["job_id"] == job_id), last - count + 1):
            event["seq"] = seq
    for organisation_id, count in sorted(Counter(event["organisation_id"] for event in pending).items()):
        last = connection.execute(_OF_ORGANISATION, {"one": organisation_id, "more": count}).scalar_one()
        mine = [e for e in pending if e["organisation_id"] == organisation_id]
        for seq, event in enumerate(mine, last - count + 1):
            event["organisation_seq"] = seq
        uow.after_commit(lambda organisation_id=organisation_id: announce(organisation_id))  # type: ignore[misc]
    uow.append(Event, pending)
