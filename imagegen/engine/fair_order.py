"""Whose turn it is: the order in which the shots of all organisations' jobs are claimed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, literal, or_, select

from imagegen.engine import limits
from imagegen.engine.limits import Closed
from imagegen.extensions import db
from imagegen.models import Job, Shot, UnitOfWork
from imagegen.models.columns import db_now
from imagegen.models.jobs import unfinished, waiting
from imagegen.models.states import ShotStatus

SMALL_JOB = 4
"""How many pictures a job may have for which a slot is kept free, so that it begins at once behind any large ones."""


@dataclass(slots=True)
class _Candidate:
    """A job of which shots may be claimed; `busy` is how many of its whole organisation are running."""

    id: int
    organisation_id: int
    priority: int
    n_running: int
    n_waiting: int
    busy: int

    @property
    def rank(self) -> tuple[int, int, int, int]:
        return self.busy, -self.priority, self.n_running, self.id


def claimable(shut: Sequence[Closed] = ()) -> ColumnElement[bool]:
    """Return the condition that a shot may be claimed now, with nobody called of those that are `shut`."""
    due = or_(Shot.not_before.is_(None), Shot.not_before <= db_now())
    return waiting() & due & Shot.job_id.not_in(paused()) & limits.allowed(shut)


def paused() -> Select[int]:
    """Return the ids of the jobs that a person has paused."""
    return select(Job.id).where(Job.paused_at.is_not(None))


def next_turns(uow: UnitOfWork, shut: Sequence[Closed], *, most: int) -> Mapping[int, int]:
    """Return how many shots of which jobs come next, by the id of the job; `most` in all.

    Each turn goes to the organisation with the fewest running; of its jobs to what was moved to the front, the
    fewest running, the oldest.
    """
    return _dealt(_candidates(uow, shut, most=most, lone_only=False), most)


def lone_turn(uow: UnitOfWork, shut: Sequence[Closed]) -> Mapping[int, int]:
    """Return the job whose turn it is among the small ones of which nothing runs; empty without any."""
    return _dealt(_candidates(uow, shut, most=1, lone_only=True), 1)


def is_lone_waiting() -> bool:
    """Tell whether a small job of which nothing runs waits: a look before anything is locked for it."""
    found = db.session.execute(_ranked_with_all_open(lone_only=True), {"most": 1, "rows": 1}).first()
    db.session.rollback()
    return found is not None


def shots_of_job(shut: Sequence[Closed]) -> Select[int]:
    """Return the query for the first `most` claimable shots of `job`; both are its parameters."""
    return _shots_of_job(shut) if shut else _shots_with_all_open()


@cache
def _shots_with_all_open() -> Select[int]:
    return _shots_of_job(())


def _shots_of_job(shut: Sequence[Closed]) -> Select[int]:
    mine = select(Shot.id).where(Shot.job_id == bindparam("job"), claimable(shut))
    return mine.order_by(Shot.slot).limit(bindparam("most"))


def _dealt(candidates: list[_Candidate], most: int) -> Mapping[int, int]:
    turns: Counter[int] = Counter()
    while candidates and turns.total() < most:
        first = min(candidates, key=lambda each: each.rank)
        turns[first.id] += 1
        first.n_running, first.n_waiting = first.n_running + 1, first.n_waiting - 1
        for each in candidates:
            each.busy += each.organisation_id == first.organisation_id
        if not first.n_waiting:
            candidates.remove(first)
    return turns


def _candidates(uow: UnitOfWork, shut: Sequence[Closed], *, most: int, lone_only: bool) -> list[_Candidate]:
    query = _ranked(lone_only, shut) if shut else _ranked_with_all_open(lone_only)
    return [_Candidate(*row) for row in uow.execute(query, {"most": most, "rows": most**2})]


@cache
def _ranked_with_all_open(lone_only: bool) -> Select[int, int, int, int, int, int]:
    # Building this takes longer than asking it, and it is asked for every picture.
    return _ranked(lone_only, ())


def _ranked(lone_only: bool, shut: Sequence[Closed]) -> Select[int, int, int, int, int, int]:
    """Return the query for the jobs that `most` turns can go to: so many of each organisation, and of so many."""
    busy = func.sum(Job.n_running).over(partition_by=Job.organisation_id).label("busy")
    pictures = sum((getattr(Job, f"n_{status}") for status in ShotStatus), start=literal(0)).label("pictures")
    columns = (Job.id, Job.organisation_id, Job.priority, Job.n_running, Job.n_waiting)
    jobs = select(*columns, busy, pictures).where(unfinished()).subquery()
    lone = (jobs.c.n_running == 0, jobs.c.pictures <= SMALL_JOB) if lone_only else ()
    order = (jobs.c.priority.desc(), jobs.c.n_running, jobs.c.id)
    place = func.row_number().over(partition_by=jobs.c.organisation_id, order_by=order).label("place")
    open_to = exists().where(Shot.job_id == jobs.c.id, claimable(shut))
    found = select(jobs, place).where(jobs.c.n_waiting > 0, open_to, *lone).subquery()
    return (
        select(*(found.c[name] for name in _Candidate.__slots__))
        .where(found.c.place <= bindparam("most"))
        .order_by(found.c.busy, found.c.priority.desc(), found.c.n_running, found.c.id)
        .limit(bindparam("rows"))
    )
