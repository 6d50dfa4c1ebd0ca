"""What the pieces of a page that several pages and the streams share need to be drawn: plain data from rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import url_for
from flask_babel import format_decimal, format_timedelta, gettext

from imagegen.core.clock import now
from imagegen.core.errors import ADVICE, ErrorKind
from imagegen.core.money import Micro
from imagegen.core.text import one_line
from imagegen.models import Job, Shot
from imagegen.models.states import ShotStatus
from imagegen.services import jobs, library
from imagegen.services.jobs import JobView, ShotView
from imagegen.web.language import said
from imagegen.web.words import money

Context = dict[str, Any]

_TITLE = 110


def seconds(amount: float) -> str:
    """Return a duration as pages write it: `13.2 s`, `2 min 5 s`."""
    if amount < 60:
        return gettext("%(seconds)s s", seconds=format_decimal(round(amount, 1), format="0.0"))
    minutes, rest = divmod(round(amount), 60)
    return gettext("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=rest)


def ago(moment: datetime) -> str:
    """Return how long ago something was, in words."""
    passed = now() - moment
    if passed.total_seconds() < 45:
        return gettext("just now")
    return format_timedelta(-passed, add_direction=True, granularity="minute", threshold=1.2)


def price(amount: Micro | None) -> str:
    """Return money in words: `$0.041`, `free` for a known zero, nothing for an unknown amount."""
    if amount is None:
        return ""
    return money(amount) if amount else gettext("free")


def image(row: Any) -> Context:
    """Return a picture (an Image or a row of `library.GRID_COLUMNS`) for a grid, a tile or a filmstrip."""
    title = library.display_title(row)
    return {
        "id": row.public_id,
        "width": row.width,
        "height": row.height,
        "widths": [rendition["width"] for rendition in sorted(row.renditions, key=lambda r: r["width"])],
        "version": row.sha256[:16],
        "placeholder": row.placeholder,
        "alt": row.alt_text or title,
        "title": title,
        "prompt": row.prompt or "",
        "caption": one_line(row.title or "", _TITLE),
        "starred": row.favourite,
        "filename": row.filename,
        "created_at": row.created_at,
    }


def shot(view: ShotView, *, job: Job, place: int | None = None) -> Context:
    """Return one tile. `place` is the shot's number among all that wait."""
    row = view.shot
    return {
        # Of the slot, not of the shot: a retry takes the place of what failed.
        "id": f"{job.public_id}-{row.slot}",
        "number": row.slot + 1,
        "total": job.total,
        "state": row.status,
        "width": row.width,
        "height": row.height,
        "ratio": row.width / row.height,
        "place": place,
        "step": _step(row),
        "percent": None,
        "partial": None,
        "image": image(view.image) | {"caption": _took_and_cost(row)} if view.image is not None else None,
        "took": _took(row),
        "cost": price(row.actual_micro),
        "served_by": "" if row.model == job.model else row.model,
        "error": _error(row.error_kind, row.error_message) if row.status in _ENDED_BADLY else None,
        "retry_url": None,
        "again_url": url_for("generator.page", again=job.public_id),
        "resolve_url": url_for("jobs.resolve", job_id=job.public_id, shot_id=row.public_id)
        if row.status == ShotStatus.UNKNOWN
        else None,
    }


_ENDED_BADLY = (ShotStatus.FAILED, ShotStatus.REFUSED, ShotStatus.UNKNOWN)


def _step(row: Shot) -> str:
    if row.status == ShotStatus.WAITING and row.tries:
        return gettext("The provider asked for a pause; trying again")
    return ""


def _took_and_cost(row: Shot) -> str:
    return " · ".join(filter(None, (_took(row), price(row.actual_micro))))


def _took(row: Shot) -> str:
    if row.started_at is None or row.finished_at is None:
        return ""
    return seconds((row.finished_at - row.started_at).total_seconds())


def _error(kind: str | None, message: str | None) -> Context | None:
    if kind is None:
        return None
    return {"kind": kind, "sentence": said(message or ""), "advice": said(ADVICE[ErrorKind(kind)])}


def job(view: JobView) -> Context:
    """Return one job with its tiles."""
    row = view.job
    before = jobs.places_before(row) if row.n_waiting else 0
    waiting = [each.shot.id for each in view.shots if each.shot.status == ShotStatus.WAITING]
    places = {shot_id: before + index for index, shot_id in enumerate(waiting, 1)}
    return job_status(row) | {
        "title": one_line(row.prompt, _TITLE),
        "shots": [shot(each, job=row, place=places.get(each.shot.id)) for each in view.shots],
    }


def job_status(row: Job) -> Context:
    """Return where a job stands, without its tiles."""
    return {
        "id": row.public_id,
        "state": row.status,
        "finished": row.finished,
        "done": row.done,
        "delivered": row.n_succeeded,
        "total": row.total,
        "prompt": row.prompt,
        "model": row.model_label,
        "cost": job_cost(row),
        "when": ago(row.created_at) if row.finished else "",
        "paused": row.paused_at is not None,
        "canceling": row.cancel_requested_at is not None and not row.finished,
        **_actions(row),
        "again_url": url_for("generator.page", again=row.public_id),
    }


def _actions(row: Job) -> Context:
    """Return the address of each thing that can be done with a job now; None for what cannot."""
    failed = row.n_failed or row.n_refused or row.n_canceled
    possible = {
        "cancel": not row.finished and row.cancel_requested_at is None,
        "retry": row.finished and failed,
        "pause": row.n_waiting and row.paused_at is None and row.cancel_requested_at is None,
        "resume": not row.finished and row.paused_at is not None,
        "front": row.n_waiting and row.cancel_requested_at is None,
        "delete": row.finished and not row.n_unknown,
    }
    routes = {"front": "to_the_front"}
    return {
        f"{act}_url": url_for(f"jobs.{routes.get(act, act)}", job_id=row.public_id) if can else None
        for act, can in possible.items()
    }


def job_cost(row: Job) -> str:
    """Return what a job cost, or has cost so far; nothing where no price is known."""
    if row.wholly_reused:
        return gettext("used again, free")
    if row.finished and row.estimated_micro and not row.actual_micro:
        return money(0)  # nothing came of it; that does not make the model a free one
    if row.finished:
        return price(row.actual_micro if row.estimated_micro is not None or row.actual_micro else None)
    return gettext("%(cost)s so far", cost=money(row.actual_micro)) if row.actual_micro else ""


def jobs_ring(*, user_id: int) -> Context:
    """Return how many of a person's jobs are at work, and how far they are together."""
    done, total, running = jobs.progress(user_id=user_id)
    return {"running": running, "percent": round(100 * done / total) if total else None}


def feed(page: library.Page) -> Context:
    """Return a page of the feed from a page of jobs."""
    return {"jobs": [job(view) for view in jobs.view(page.items)], "next_cursor": page.next_cursor}
