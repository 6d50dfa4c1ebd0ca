"""The pieces of open pages that events have changed, drawn as they are now."""

from __future__ import annotations

from collections.abc import Sequence

from flask import render_template

from imagegen.extensions import db
from imagegen.models import Event, Job, Organisation
from imagegen.services import jobs
from imagegen.services.jobs import ShotView
from imagegen.web import budget_words, contexts, timeline

NEXT_IN_LINE = 4
"""So many waiting shots of a job are told their new place when it moves; the others hear of it as they come up."""


def pieces(events: Sequence[Event], *, user_id: int | None) -> str:
    """Return what `events` changed, in the same partials that the pages were made of, to be put over them.

    A page passes over what it does not show. With `user_id` the person's own jobs are counted too, and their budget.
    """
    shot_ids = list(dict.fromkeys(event.shot_id for event in events if event.shot_id is not None))
    rows = {row.id: row for row in jobs.by_ids(list({event.job_id for event in events}))}
    drawn = [_shot(view, rows[view.shot.job_id]) for view in jobs.view_of_shots(shot_ids)]
    drawn += _waiting(rows, already=frozenset(shot_ids))
    for row in rows.values():
        status = contexts.job_status(row)
        drawn.append(render_template("jobs/_job_status.html", job=status, oob=True))
        drawn.append(render_template("jobs/_actions.html", job=status, oob=True))
    if user_id is not None and events:
        ring = contexts.jobs_ring(user_id=user_id)
        drawn.append(render_template("shared/_jobs_ring.html", jobs=ring, oob=True))
        drawn.append(_meter(events, user_id=user_id))
    return "\n".join(drawn)


def _meter(events: Sequence[Event], *, user_id: int) -> str:
    organisation = db.session.get_one(Organisation, events[0].organisation_id)
    meter = budget_words.meter(organisation=organisation, user_id=user_id)
    return render_template("shared/_meter.html", meter=meter, oob=True)


def _shot(view: ShotView, job: Job) -> str:
    place = jobs.places_before(job) + 1 if view.shot.status == "waiting" else None
    context = contexts.shot(view, job=job, place=place) | {"timeline": timeline.steps(view.shot, job)}
    tile = render_template("jobs/_shot.html", shot=context, oob=True)
    return tile + render_template("jobs/_timeline.html", shot=context, oob=True)


def _waiting(rows: dict[int, Job], *, already: frozenset[int]) -> list[str]:
    """Draw the tiles that come next in jobs that have moved: their place in line is another one now."""
    waiting = [row for row in rows.values() if row.n_waiting]
    if not waiting:
        return []
    before = {row.id: jobs.places_before(row) for row in waiting}
    drawn = []
    for shot in jobs.next_in_line(list(before), each=NEXT_IN_LINE):
        before[shot.job_id] += 1
        if shot.id not in already:
            context = contexts.shot(ShotView(shot, None), job=rows[shot.job_id], place=before[shot.job_id])
            drawn.append(render_template("jobs/_shot.html", shot=context, oob=True))
    return drawn
