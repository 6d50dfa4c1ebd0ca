"""The pieces of open pages that events have changed, drawn as they are now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial

from flask import render_template

from imagegen.models import Event, Job
from imagegen.services import job_line, jobs
from imagegen.services.job_line import Line
from imagegen.services.jobs import ShotView
from imagegen.web import budget_words, contexts, job_details, job_rows, timeline

NEXT_IN_LINE = 4
"""So many waiting shots of a job are told their new place when it moves; the others hear of it as they come up."""
PLACES_TOLD = 40
"""So many jobs of an organisation are told when their place in line moves: those that begin next."""


class View(StrEnum):
    """What kind of page listens, and so which pieces it has."""

    FEED = "feed"
    LIST = "list"
    JOB = "job"
    LIBRARY = "library"


@dataclass(frozen=True)
class Page:
    """A page that listens: its kind, the job that it is about, and whose jobs it lists (`mine`: its reader's)."""

    view: View = View.FEED
    job_id: int | None = None
    mine: bool = False

    def shows(self, event: Event, *, user_id: int | None) -> bool:
        """Tell whether the page shows the job of this event."""
        if self.view == View.JOB:
            return event.job_id == self.job_id
        everybodys = self.view == View.LIBRARY or (self.view == View.LIST and not self.mine)
        return everybodys or event.user_id == user_id or user_id is None

    @property
    def of_everybody(self) -> bool:
        """Whether what others do moves something on the page: the places in line."""
        return self.view in (View.LIST, View.JOB)


FEED = Page()


class Parts:
    """What readers of the same events have in common who have a language and rights in common: made once for all."""

    def __init__(self) -> None:
        self._drawn: dict[tuple[object, ...], str] = {}

    def once(self, key: tuple[object, ...], draw: Callable[[], str]) -> str:
        """Return what `draw` draws, or drew for an earlier reader."""
        if key not in self._drawn:
            self._drawn[key] = draw()
        return self._drawn[key]

    @cached_property
    def line(self) -> Line:
        """The organisation's jobs in line."""
        return job_line.line()


def pieces(events: Sequence[Event], *, user_id: int | None, page: Page = FEED, parts: Parts | None = None) -> str:
    """Return what `events` changed, in the same partials that `page` was made of, to be put over them.

    A page passes over what it does not show. With `user_id` the person's own jobs are counted too, and their budget.
    `parts` keeps what is the same for several readers of these events, for the next of them.
    """
    known = Parts() if parts is None else parts
    shown = [event for event in events if page.shows(event, user_id=user_id)]
    own = [event for event in events if event.user_id == user_id and event.type not in _NO_CHANGE_IN_SHELL]
    whose = user_id if page.mine or page.view == View.FEED else None
    drawn = [known.once((page, whose), lambda: _DRAWN[page.view](shown, known))] if shown else []
    if page.of_everybody:
        drawn.append(known.once(("places", page.job_id), lambda: _places(page.job_id, known.line)))
    if own and user_id is not None:
        drawn.append(known.once(("shell", user_id), lambda: _shell(own, user_id)))
    return "\n".join(filter(None, drawn))


_NO_CHANGE_IN_SHELL = frozenset({"shot.running", "job.running", "job.moved", "job.paused", "job.resumed"})
"""What neither ends a picture nor a job nor costs anything: ring and meter stand as they stood."""


def _shell(events: Sequence[Event], user_id: int) -> str:
    ring = render_template("shared/_jobs_ring.html", jobs=contexts.jobs_ring(user_id=user_id), oob=True)
    meter = budget_words.meter(organisation_id=events[0].organisation_id, user_id=user_id)
    return ring + render_template("shared/_meter.html", meter=meter, oob=True)


def _tiles(events: Sequence[Event], parts: Parts, *, whole: bool) -> str:
    """Draw the tiles of shots and the status lines of jobs; `whole` with what happened to each."""
    shot_ids = list(dict.fromkeys(event.shot_id for event in events if event.shot_id is not None))
    rows = {row.id: row for row in jobs.by_ids(list({event.job_id for event in events}))}
    views = jobs.view_of_shots(shot_ids, with_attempts=whole) if shot_ids else []
    line = parts.line if any(row.n_waiting for row in rows.values()) else Line(())
    earlier = jobs.earlier([view.shot for view in views]) if whole else {}
    drawn = []
    for view in views:
        job = rows[view.shot.job_id]
        context = contexts.shot(view, job=job, place=contexts.place(line, job) if _waits(view) else None)
        if whole:
            context["timeline"] = timeline.steps(view.shot, job, earlier.get(view.shot.id, ()))
        drawn.append(render_template("jobs/_shot.html", shot=context, oob=True))
        if whole:
            drawn.append(render_template("jobs/_timeline.html", shot=context, oob=True))
    drawn += _next_tiles(rows, line, already=frozenset(shot_ids))
    for row in rows.values():
        status = contexts.job_status(row)
        drawn.append(render_template("jobs/_job_status.html", job=status, oob=True))
        if whole:
            drawn += _beside(row, status)
    return "\n".join(drawn)


def _beside(row: Job, status: contexts.Context) -> list[str]:
    """Draw what stands beside the tiles on a job's own page."""
    about = {"job": status, "facts": job_details.facts(row), "troubles": job_details.troubles(row), "oob": True}
    return [render_template(name, **about) for name in _BESIDE]


_BESIDE = ("jobs/_actions.html", "jobs/_troubles.html", "jobs/_facts.html")


def _waits(view: ShotView) -> bool:
    return view.shot.status == "waiting"


def _next_tiles(rows: dict[int, Job], line: Line, *, already: frozenset[int]) -> list[str]:
    """Draw the tiles that come next in jobs that have moved: their place in line is another one now."""
    waiting = [row.id for row in rows.values() if row.n_waiting]
    if not waiting:
        return []
    drawn = []
    turns = dict.fromkeys(waiting, 0)
    for shot in jobs.next_in_line(waiting, each=NEXT_IN_LINE):
        job = rows[shot.job_id]
        if shot.id not in already:
            place = contexts.place(line, job, nth=turns[job.id])
            context = contexts.shot(ShotView(shot, None), job=job, place=place)
            drawn.append(render_template("jobs/_shot.html", shot=context, oob=True))
        turns[job.id] += 1
    return drawn


def _list(events: Sequence[Event], parts: Parts) -> str:
    """Draw the lines of the jobs that have changed, and say where there are new ones."""
    rows = jobs.by_ids(list({event.job_id for event in events}))
    drawn = [render_template("jobs/_row.html", job=row, oob=True) for row in job_rows.rows(rows, line=parts.line)]
    if any(event.type == "job.queued" and event.seq == 1 for event in events):
        drawn.append(render_template("jobs/_news.html", news=True, oob=True))
    return "\n".join(drawn)


def _places(job_id: int | None, line: Line) -> str:
    """Draw where jobs stand in line: one's, or those of all that begin next."""
    ids = line.next_jobs(PLACES_TOLD) if job_id is None else [job_id] if job_id in line else []
    rows = jobs.by_ids(ids) if ids else ()
    return "\n".join(render_template("jobs/_place.html", job=job_rows.place(row, line), oob=True) for row in rows)


def _library(events: Sequence[Event], _: Parts) -> str:
    """Say that there are new pictures, by the last event that brought one; the page fetches them as it shows them."""
    new = [event.organisation_seq for event in events if event.type == "shot.succeeded"]
    return render_template("library/_news.html", news=max(new), oob=True) if new else ""


_DRAWN: dict[View, Callable[[Sequence[Event], Parts], str]] = {
    View.FEED: partial(_tiles, whole=False),
    View.LIST: _list,
    View.JOB: partial(_tiles, whole=True),
    View.LIBRARY: _library,
}
