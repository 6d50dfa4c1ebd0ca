"""Rows that have had their day: what is expired or sent, and what lay in the trash for long enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, literal, select

from imagegen.extensions import db
from imagegen.models import (
    CleaningReport,
    IdempotencyKey,
    Image,
    Invitation,
    Outbox,
    PasswordReset,
    ScheduleRun,
    Session,
    UnitOfWork,
    writes,
)
from imagegen.models.schedules import RunStatus
from imagegen.services.cleaning.duty import BATCH, Finding
from imagegen.services.cleaning.files import in_batches
from imagegen.services.library.trash import forget

KEPT_EXPIRED = timedelta(days=7)
"""For so long after its end a row can still tell what was; a repeated request is known for at least a day."""

KEPT_IN_TRASH = timedelta(days=30)
KEPT_RECORDS = timedelta(days=90)

_AT_ONCE = 50
"""Pictures that one transaction forgets: each takes a millisecond, in which nobody else writes to SQLite."""

_NOTHING = literal(0)

Condition = Callable[[datetime], ColumnElement[bool]]


@dataclass(frozen=True)
class Expired:
    """Rows of one table that are over by a condition as of a moment; `named` is what people know them by."""

    table: Any
    over: Condition
    named: Any
    size: Any = _NOTHING

    def find(self, moment: datetime) -> Iterator[Finding]:
        """Yield the rows that are over, in the order of their ids."""
        last = 0
        while True:
            query = select(self.table.id, self.named, self.size).where(self.table.id > last, self.over(moment))
            rows = db.session.execute(query.order_by(self.table.id).limit(BATCH)).all()
            db.session.rollback()
            yield from (Finding(row_id, str(name), size) for row_id, name, size in rows)
            if len(rows) < BATCH:
                return
            last = rows[-1][0]

    def remove(self, findings: Sequence[Finding], moment: datetime) -> Sequence[Finding]:
        """Delete those that are over still."""
        gone = _delete(table=self.table, ids=[finding.ref for finding in findings], over=self.over(moment))
        return [finding for finding in findings if finding.ref in gone]


@writes
def _delete(uow: UnitOfWork, *, table: Any, ids: Sequence[int | str], over: ColumnElement[bool]) -> set[int]:
    return set(uow.scalars(delete(table).where(table.id.in_(ids), over).returning(table.id)))


def _before(column: Any, age: timedelta) -> Condition:
    return lambda moment: column < moment - age


SESSIONS = Expired(Session, _before(Session.expires_at, KEPT_EXPIRED), Session.expires_at)
RESETS = Expired(PasswordReset, _before(PasswordReset.expires_at, KEPT_EXPIRED), PasswordReset.expires_at)
INVITATIONS = Expired(
    Invitation,
    lambda moment: Invitation.accepted_at.is_(None) & (Invitation.expires_at < moment - KEPT_EXPIRED),
    Invitation.expires_at,
)
KEYS = Expired(IdempotencyKey, _before(IdempotencyKey.created_at, KEPT_EXPIRED), IdempotencyKey.created_at)
OUTBOX = Expired(
    Outbox,
    # What is not sent is work to do, however old.
    lambda moment: Outbox.sent_at.is_not(None) & (Outbox.sent_at < moment - KEPT_EXPIRED),
    Outbox.name,
)
RUNS = Expired(
    ScheduleRun,
    lambda moment: (ScheduleRun.status != RunStatus.DUE) & (ScheduleRun.created_at < moment - KEPT_RECORDS),
    ScheduleRun.slot_at,
)
REPORTS = Expired(CleaningReport, _before(CleaningReport.created_at, KEPT_RECORDS), CleaningReport.created_at)


# The trash


def _long_in_trash(moment: datetime) -> ColumnElement[bool]:
    return Image.deleted_at.is_not(None) & (Image.deleted_at < moment - KEPT_IN_TRASH)


_TRASH = Expired(
    Image, lambda moment: _long_in_trash(moment) & (Image.usage_count == 0), Image.filename, Image.file_size
)
_USED = Expired(Image, lambda moment: _long_in_trash(moment) & (Image.usage_count > 0), Image.filename)


def find_trash(moment: datetime) -> Iterator[Finding]:
    """Yield pictures that lay in the trash for long enough; one that is used in a post stays, and is named.

    Their files go later, when no other picture has the same.
    """
    yield from _TRASH.find(moment)
    yield from (replace(finding, kept=True) for finding in _USED.find(moment))


def remove_trash(findings: Sequence[Finding], moment: datetime) -> Sequence[Finding]:
    """Delete the rows of those that nobody has taken out of the trash, or used, since."""
    over = _TRASH.over(moment)
    gone: set[int] = set()
    for few in in_batches(iter(findings), _AT_ONCE):
        gone |= _forget(ids=[finding.ref for finding in few], over=over)
    return [finding for finding in findings if finding.ref in gone]


@writes
def _forget(uow: UnitOfWork, *, ids: Sequence[int | str], over: ColumnElement[bool]) -> set[int]:
    still = uow.execute(select(Image.id, Image.public_id).where(Image.id.in_(ids), over).with_for_update())
    images = {row.id: row.public_id for row in still}
    forget(uow, images)
    return set(images)
