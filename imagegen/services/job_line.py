"""Who comes when: the places of waiting shots in the fair order by which workers claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from imagegen.extensions import db
from imagegen.models import Job, built_once
from imagegen.models.jobs import unfinished


@dataclass(frozen=True)
class Place:
    """One job in line: how many of its shots run, and how many wait."""

    job_id: int
    priority: int
    running: int
    waiting: int


class Line:
    """The jobs of one organisation that wait. A paused job is not in line.

    Workers take the next shot from the job of the highest priority; among equals from the one of which the fewest
    run, and of those from the oldest. A place counts the claims that come before, as if nothing ended meanwhile.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._places = {place.job_id: place for place in places}

    def __contains__(self, job_id: int) -> bool:
        return job_id in self._places

    def before(self, job_id: int, *, nth: int = 0) -> int | None:
        """Return how many shots come before the job's `nth` waiting one, its own included; None if not in line."""
        mine = self._places.get(job_id)
        if mine is None:
            return None
        return nth + sum(_ahead(other, mine, nth) for other in self._places.values() if other is not mine)

    def next_jobs(self, most: int) -> list[int]:
        """Return the jobs that begin next, in order."""
        order = sorted(self._places.values(), key=lambda place: (-place.priority, place.running, place.job_id))
        return [place.job_id for place in order[:most]]


def _ahead(other: Place, mine: Place, nth: int) -> int:
    """Return how many of `other`'s waiting shots are claimed before the `nth` of `mine`."""
    if other.priority != mine.priority:
        return other.waiting if other.priority > mine.priority else 0
    turns = mine.running + nth - other.running + (other.job_id < mine.job_id)
    return min(other.waiting, max(0, turns))


def line() -> Line:
    """Return the line of the organisation in scope: one query over its unfinished jobs."""
    return Line(Place(*row) for row in db.session.execute(_LINE))


_LINE = built_once(
    select(Job.id, Job.priority, Job.n_running, Job.n_waiting).where(
        unfinished(), Job.n_waiting > 0, Job.paused_at.is_(None)
    )
)
