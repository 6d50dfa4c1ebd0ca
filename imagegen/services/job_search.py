"""Finding jobs again: by state, provider, style, days, and the words of their prompts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, func, select

from imagegen.core.text import one_line
from imagegen.extensions import db
from imagegen.models import Job, built_once
from imagegen.models.jobs import unfinished
from imagegen.models.states import JOB_ENDS, JobStatus
from imagegen.services.library import decode_cursor, encode_cursor

PAGE = 20
LONGEST_SEARCH = 200
WINDOW = 20_000
"""Through so many jobs a search looks at once; what is older is looked through when one asks for more.

No index helps with parts of words. Bounded like this a page costs the same however many jobs there are, and whatever
is looked for; without it, one that is not there is looked for in all of them.
"""


class Standing(StrEnum):
    """How a job stands, as people ask for it: a state, or what several states have in common."""

    ACTIVE = "active"
    PAUSED = "paused"
    UNCLEAR = "unclear"
    QUEUED = JobStatus.QUEUED
    RUNNING = JobStatus.RUNNING
    SUCCEEDED = JobStatus.SUCCEEDED
    PARTIAL = JobStatus.PARTIAL
    FAILED = JobStatus.FAILED
    CANCELED = JobStatus.CANCELED


_STANDINGS: Mapping[Standing, Callable[[], ColumnElement[bool]]] = {
    Standing.ACTIVE: unfinished,
    Standing.PAUSED: lambda: Job.paused_at.is_not(None) & Job.status.not_in(JOB_ENDS),
    Standing.UNCLEAR: lambda: Job.n_unknown > 0,
}

_FEW = frozenset({Standing.ACTIVE, Standing.PAUSED, Standing.QUEUED, Standing.RUNNING})
"""Few jobs stand so at any time, and an index knows them: no need to look through the others."""


@dataclass(frozen=True)
class Wanted:
    """Which jobs are wanted. Moments are from, inclusive, and until, exclusive; `words` all stand in the prompt."""

    user_id: int | None = None
    standing: Standing | None = None
    provider: str = ""
    style: str = ""
    words: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrowed(self) -> bool:
        """Whether some jobs of this person, or of everybody, are not wanted."""
        return self != Wanted(user_id=self.user_id)


@dataclass(frozen=True)
class Found:
    """Jobs, newest first, and the cursor of what follows. `unseen`: there may be more among those not looked at."""

    items: Sequence[Job]
    next_cursor: str | None
    unseen: bool = False


def search(wanted: Wanted, *, cursor: str | None = None, limit: int = PAGE) -> Found:
    """Return a page of the jobs that are wanted, of the organisation in scope.

    One query, and another one only where a bounded search ended before the page was full.
    """
    after = decode_cursor(cursor)
    if not wanted.narrowed:
        return _page(
            _newest(wanted.user_id is not None, after is not None), limit, person=wanted.user_id, after=after
        )
    if wanted.standing in _FEW:
        return _page(_first(_of_few(wanted.user_id, after).where(*_conditions(wanted))), limit)
    query = _those_of(wanted.user_id, after)
    window = query.with_only_columns(Job.id).order_by(Job.id.desc()).limit(WINDOW).subquery()
    oldest = select(func.min(window.c.id)).scalar_subquery()
    found = _page(_first(query.where(Job.id >= oldest, *_conditions(wanted))), limit)
    if found.next_cursor is not None:
        return found
    last = db.session.scalar(query.with_only_columns(Job.id).order_by(Job.id.desc()).offset(WINDOW - 1).limit(1))
    return found if last is None else Found(found.items, encode_cursor(last), unseen=True)


Number = int | BindParameter[int]


def _those_of(user_id: Number | None, after: Number | None) -> Select[Job]:
    query = select(Job)
    if user_id is not None:
        query = query.where(Job.user_id == user_id)
    return query if after is None else query.where(Job.id < after)


def _of_few(user_id: int | None, after: int | None) -> Select[Job]:
    """Return the unfinished jobs; `+ 0` keeps SQLite from going through all of a person's jobs in their order."""
    query = select(Job).where(unfinished())
    if user_id is not None:
        query = query.where(Job.user_id + 0 == user_id)
    return query if after is None else query.where(Job.id + 0 < after)


@cache
def _newest(of_person: bool, after: bool) -> Select[Job]:
    query = _those_of(bindparam("person") if of_person else None, bindparam("after") if after else None)
    return built_once(_first(query))


def _first(query: Select[Job]) -> Select[Job]:
    return query.order_by(Job.id.desc()).limit(bindparam("most"))


def _page(query: Select[Job], limit: int, **parameters: int | None) -> Found:
    rows = db.session.scalars(query, {**parameters, "most": limit + 1}).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return Found(rows, encode_cursor(rows[-1].id) if more else None)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found = [Job.prompt.icontains(word, autoescape=True) for word in one_line(wanted.words, LONGEST_SEARCH).split()]
    if wanted.standing is not None:
        of_several = _STANDINGS.get(wanted.standing)
        found.append(of_several() if of_several else Job.status == wanted.standing)
    if wanted.provider:
        found.append(Job.provider == wanted.provider)
    if wanted.style:
        found.append(Job.request["style"].as_string() == wanted.style)
    if wanted.since is not None:
        found.append(Job.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(Job.created_at < wanted.until)
    return found


def unfinished_of(user_id: int) -> Sequence[str]:
    """Return the ids of a person's jobs that still may be canceled, newest first."""
    query = select(Job.public_id).where(Job.user_id == user_id, unfinished(), Job.cancel_requested_at.is_(None))
    return db.session.scalars(query.order_by(Job.id.desc())).all()
