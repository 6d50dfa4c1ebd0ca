"""What the pieces of a page that several pages and the streams share need to be drawn: plain data from rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import format_decimal, format_timedelta, gettext

from imagegen.core.clock import now
from imagegen.core.errors import ADVICE, ErrorKind
from imagegen.core.ids import new_id
from imagegen.core.money import Micro
from imagegen.core.text import one_line
from imagegen.extensions import runtime
from imagegen.models import Job, Shot
from imagegen.models.states import JobStatus, ShotStatus
from imagegen.providers.errors import ProviderError
from imagegen.services import generation, job_line, jobs, library
from imagegen.services.job_line import Line
from imagegen.services.jobs import JobView, ShotView
from imagegen.services.rights import Right
from imagegen.web import readers, verbs
from imagegen.web.addresses import address
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
    may_create = readers.may(Right.CREATE)
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
        "step": _step(row, job),
        "percent": None,
        "partial": None,
        "image": image(view.image) | {"caption": _took_and_cost(row)} if view.image is not None else None,
        "gone": _gone(row) if row.status == ShotStatus.SUCCEEDED and view.image is None else None,
        "took": _took(row),
        "cost": "" if row.reused else price(row.actual_micro),
        "reused": row.reused,
        "paused": job.paused_at is not None,
        "served_by": "" if _asked_for(row, job) else model_name(row.provider, row.model),
        "asked": "" if _asked_for(row, job) else job.model_label,
        "error": error(row.error_kind, row.error_message) if row.status in _ENDED_BADLY and row.error_kind else None,
        "may_organise": readers.may(Right.ORGANISE),
        "retry_url": None,
        "again_url": address("generator.page", again=job.public_id) if may_create else None,
        "resolve_url": address("jobs.resolve", job_id=job.public_id, shot_id=row.public_id)
        if may_create and row.status == ShotStatus.UNKNOWN
        else None,
    }


def _gone(row: Shot) -> Context:
    """Return what became of the picture of a shot that has none any more, and where it can be had back."""
    if row.picture_deleted_at is not None or (row.reused and row.reused_image_id is None):
        return {"sentence": gettext("Deleted."), "url": None}
    return {"sentence": gettext("In the trash."), "url": address("library.index", filter="trash")}


def model_name(provider_id: str, model_id: str) -> str:
    """Return what a model is called; one that is not there any more by its id."""
    try:
        _provider, spec = runtime.providers.find(provider_id, model_id)
    except ProviderError:
        return model_id
    return spec.label


def provider_name(provider_id: str) -> str:
    """Return what a provider is called; one that is not there any more by its id."""
    known = {provider.id: provider.label for provider in runtime.providers.providers()}
    return said(known.get(provider_id, provider_id))


def _asked_for(row: Shot, job: Job) -> bool:
    """Whether the shot is with the model that was asked for, and with no other that stands in."""
    return (row.provider, row.model) == (job.provider, job.model)


_ENDED_BADLY = (ShotStatus.FAILED, ShotStatus.REFUSED, ShotStatus.UNKNOWN)


def _step(row: Shot, job: Job) -> str:
    if row.status == ShotStatus.WAITING and row.tries:
        return gettext("The provider asked for a pause; trying again")
    if row.status == ShotStatus.RUNNING and not _asked_for(row, job):
        return gettext("Drawing with %(model)s", model=model_name(row.provider, row.model))
    return ""


def _took_and_cost(row: Shot) -> str:
    return " · ".join(filter(None, (_took(row), price(row.actual_micro))))


def _took(row: Shot) -> str:
    if row.started_at is None or row.finished_at is None:
        return ""
    return seconds((row.finished_at - row.started_at).total_seconds())


def error(kind: str | None, message: str | None) -> Context:
    """Return what went wrong, and what to do about it."""
    known = ErrorKind(kind) if kind is not None else ErrorKind.INTERNAL
    return {"kind": known, "sentence": said(message or ""), "advice": said(ADVICE[known])}


def job(view: JobView, *, line: Line | None = None) -> Context:
    """Return one job with its tiles. `line`, where the caller has it, spares a query."""
    row = view.job
    if line is None:
        line = job_line.line() if row.n_waiting else Line(())
    waiting = [each.shot.id for each in view.shots if each.shot.status == ShotStatus.WAITING]
    places = {shot_id: place(line, row, nth=nth) for nth, shot_id in enumerate(waiting)}
    return job_status(row) | {
        "title": one_line(row.prompt, _TITLE),
        "shots": [shot(each, job=row, place=places.get(each.shot.id)) for each in view.shots],
    }


def place(line: Line, row: Job, *, nth: int = 0) -> int | None:
    """Return the number in line of a job's `nth` waiting shot, from 1; None while its job is paused."""
    before = line.before(row.id, nth=nth)
    return None if before is None else before + 1


def job_status(row: Job) -> Context:
    """Return where a job stands, without its tiles."""
    may_create = readers.may(Right.CREATE)
    return {
        "id": row.public_id,
        "state": row.status,
        "mood": _mood(row),
        "finished": row.finished,
        "done": row.done,
        "delivered": row.n_succeeded,
        "total": row.total,
        "prompt": row.prompt,
        "model": row.model_label,
        "cost": job_cost(row),
        "when": ago(row.created_at) if row.finished else "",
        "since": "" if row.finished or row.paused_at else (row.started_at or row.created_at).isoformat(),
        "paused": row.paused_at is not None and not row.finished,
        "canceling": row.cancel_requested_at is not None and not row.finished,
        **{f"{verb.name}_url": _address(verb, row) for verb in verbs.VERBS},
        "again_url": address("generator.page", again=row.public_id) if may_create else None,
        "repeat": _repeat(row) if may_create and row.finished and row.kind == generation.KIND else None,
    }


def _address(verb: verbs.Verb, row: Job) -> str | None:
    return address(f"jobs.{verb.name}", job_id=row.public_id) if verb.offered(row) else None


def _repeat(row: Job) -> Context:
    """Return how the same is asked for again with one click, and what that will cost."""
    known = row.estimated_micro is not None
    return {
        "url": address("jobs.again", job_id=row.public_id),
        "key": new_id(),
        "price": (f"≈ {price(row.estimated_micro)}" if row.estimated_micro else "")
        if known
        else gettext("price unknown"),
    }


def _mood(row: Job) -> str:
    """Return how a job stands in one word: its state, or what matters more just now."""
    if not row.finished:
        return "canceling" if row.cancel_requested_at else "paused" if row.paused_at else row.status
    if row.n_unknown:
        return "unclear"
    refused = row.status == JobStatus.FAILED and row.n_refused == row.total
    return "refused" if refused else row.status


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
    line = job_line.line() if any(row.n_waiting for row in page.items) else Line(())
    return {"jobs": [job(view, line=line) for view in jobs.view(page.items)], "next_cursor": page.next_cursor}
