"""What was used: the ledger added up by day, person, provider, model and operation, and how the pictures went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select

from imagegen.core.calendar import Span, span
from imagegen.core.errors import StudioError
from imagegen.core.money import Micro
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import Job, LedgerEntry, Reservation, Shot, User, organisation_scope
from imagegen.models.moments import QUARTER, quarter_of, seconds_between
from imagegen.models.states import SHOT_SETTLED, ShotStatus

MOST_DAYS = 366
_BATCH = 1000


@dataclass
class Line:
    """What one day, person or model used: micro-USD, pictures delivered, tries that ended, seconds in all."""

    cost: Micro = 0
    pictures: int = 0
    ended: int = 0
    seconds: float = 0.0

    def add(self, other: Line) -> None:
        """Count `other` in."""
        self.cost += other.cost
        self.pictures += other.pictures
        self.ended += other.ended
        self.seconds += other.seconds

    @property
    def success(self) -> float | None:
        """The share of tries that gave a picture, from 0 to 1; None without any."""
        return self.pictures / self.ended if self.ended else None

    @property
    def mean_seconds(self) -> float | None:
        """How long a picture took on average; None without any."""
        return self.seconds / self.pictures if self.pictures else None


@dataclass(frozen=True)
class Saved:
    """How many pictures were there already, and what they would have cost where that is known, in micro-USD."""

    pictures: int
    cost: Micro


@dataclass(frozen=True)
class Usage:
    """The usage of a span of days; keys of `people` are user ids, of `models` provider and model."""

    span: Span
    last: date
    total: Line
    days: Mapping[date, Micro]
    people: Mapping[int, Line]
    providers: Mapping[str, Line]
    models: Mapping[tuple[str, str], Line]
    operations: Mapping[str, Line]
    saved: Saved
    names: Mapping[int, tuple[str, str]]
    """Public id and name of each person who is still there."""


def span_of(first: date, last: date, *, zone: str) -> Span:
    """Return the days from `first` to `last`, both counted; raises StudioError if that is too long or backwards."""
    if last < first:
        raise StudioError(N_("The first day is after the last one."), field="since")
    if (last - first).days >= MOST_DAYS or not 1970 <= first.year <= last.year <= 9998:
        raise StudioError(N_("Choose a year at most."), field="since")
    return span(first, last + timedelta(days=1), zone)


def today(*, zone: str, now: datetime) -> date:
    """Return the local day."""
    return now.astimezone(ZoneInfo(zone)).date()


def usage(*, when: Span, zone: str, user_id: int | None = None) -> Usage:
    """Add up what the organisation in scope, or one person in it, used: five queries, however much it was."""
    cells = _costs(when, user_id)
    for key, line in _pictures(when, user_id).items():
        cells.setdefault(key, Line()).add(line)
    total = Line()
    for line in cells.values():
        total.add(line)
    last = when.ends_at.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)
    people = _by(cells, lambda key: key[0])
    return Usage(
        span=when,
        last=last,
        total=total,
        days=_days(when, last, zone, user_id),
        people=people,
        providers=_by(cells, lambda key: key[1]),
        models=_by(cells, lambda key: (key[1], key[2])),
        operations=_by(cells, lambda key: key[3]),
        saved=_saved(when, user_id),
        names=_names(people),
    )


Key = tuple[int, str, str, str]
"""Whose, with which provider and model, and for what."""


def _spent(when: Span, user_id: int | None) -> ColumnElement[bool]:
    spent = (
        (LedgerEntry.account == "spend")
        & (LedgerEntry.created_at >= when.starts_at)
        & (LedgerEntry.created_at < when.ends_at)
    )
    return spent if user_id is None else spent & (LedgerEntry.user_id == user_id)


def _costs(when: Span, user_id: int | None) -> dict[Key, Line]:
    key = (LedgerEntry.user_id, LedgerEntry.provider, LedgerEntry.model, LedgerEntry.operation)
    query = select(*key, func.sum(LedgerEntry.amount_micro)).where(_spent(when, user_id)).group_by(*key)
    return {(row[0], row[1], row[2], row[3]): Line(cost=int(row[4])) for row in db.session.execute(query)}


def _pictures(when: Span, user_id: int | None) -> dict[Key, Line]:
    """Count ends of shots by the day on which they were asked for, which is what the index knows."""
    key = (Reservation.user_id, Shot.provider, Shot.model, Job.kind)
    took = func.sum(seconds_between(Shot.started_at, Shot.finished_at))
    query = (
        select(*key, Shot.status, func.count(), took)
        .select_from(Reservation)
        .join(Shot, Shot.id == Reservation.shot_id)
        .join(Job, Job.id == Reservation.job_id)
        .where(
            Reservation.created_at >= when.starts_at,
            Reservation.created_at < when.ends_at,
            Shot.status.in_(SHOT_SETTLED - {ShotStatus.CANCELED}),
        )
        .group_by(*key, Shot.status)
    )
    if user_id is not None:
        query = query.where(Reservation.user_id == user_id)
    cells: dict[Key, Line] = defaultdict(Line)
    for user, provider, model, kind, status, count, seconds in db.session.execute(query):
        delivered = status == ShotStatus.SUCCEEDED
        cells[user, provider, model, kind].add(
            Line(pictures=count if delivered else 0, ended=count, seconds=float(seconds or 0) if delivered else 0.0)
        )
    return cells


def _saved(when: Span, user_id: int | None) -> Saved:
    """Count the shots that earlier pictures answered, by the day on which they were asked for."""
    query = select(func.count(), func.coalesce(func.sum(Shot.estimated_micro), 0)).where(
        Shot.reused, Shot.created_at >= when.starts_at, Shot.created_at < when.ends_at
    )
    if user_id is not None:
        query = query.join(Job, Job.id == Shot.job_id).where(Job.user_id == user_id)
    pictures, cost = db.session.execute(query).one()
    return Saved(pictures, int(cost or 0))


def _days(when: Span, last: date, zone: str, user_id: int | None) -> dict[date, Micro]:
    """Return the cost of each day, days without any too; quarters of an hour are put into local days here."""
    days = {when.first + timedelta(days=number): 0 for number in range((last - when.first).days + 1)}
    quarter = quarter_of(LedgerEntry.created_at)
    query = select(quarter, func.sum(LedgerEntry.amount_micro)).where(_spent(when, user_id)).group_by(quarter)
    local = ZoneInfo(zone)
    for number, amount in db.session.execute(query):
        days[datetime.fromtimestamp(number * QUARTER, UTC).astimezone(local).date()] += int(amount)
    return days


def _by(cells: Mapping[Key, Line], part: Callable[[Key], Any]) -> dict[Any, Line]:
    """Add cells up by a part of their keys, the dearest first."""
    lines: dict[Any, Line] = defaultdict(Line)
    for key, line in cells.items():
        lines[part(key)].add(line)
    return dict(sorted(lines.items(), key=lambda item: (-item[1].cost, -item[1].pictures, str(item[0]))))


def _names(ids: Mapping[int, Line]) -> dict[int, tuple[str, str]]:
    if not ids:
        return {}
    found = db.session.execute(select(User.id, User.public_id, User.name).where(User.id.in_(ids)))
    return {row.id: (row.public_id, row.name) for row in found}


CSV_HEADER = ("time", "person", "provider", "model", "operation", "job", "cost_usd", "price_date")


def entries(
    *, organisation_id: int, when: Span, user_id: int | None = None
) -> Iterator[tuple[LedgerEntry, str | None, str | None]]:
    """Return each cost with the person's address and the job's id, oldest first, read in batches.

    It enters its scope itself, batch by batch: a table is still being written when its request has ended.
    """
    after = 0
    while True:
        with organisation_scope(organisation_id):
            batch = _entries_after(after, when, user_id)
        if not batch:
            return
        yield from batch
        after = batch[-1][0].id


def _entries_after(
    after: int, when: Span, user_id: int | None
) -> Sequence[tuple[LedgerEntry, str | None, str | None]]:
    query = (
        select(LedgerEntry, User.email, Job.public_id)
        .outerjoin(User, User.id == LedgerEntry.user_id)
        .outerjoin(Job, Job.id == LedgerEntry.job_id)
        .where(_spent(when, user_id), LedgerEntry.id > after)
        .order_by(LedgerEntry.id)
        .limit(_BATCH)
    )
    return [(row[0], row[1], row[2]) for row in db.session.execute(query)]
