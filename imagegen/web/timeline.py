"""What happened to a shot, step by step, with seconds and money."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from flask_babel import gettext

from imagegen.core.text import N_
from imagegen.models import Attempt, Job, Shot
from imagegen.models.states import AttemptStatus, ShotStatus
from imagegen.web import contexts
from imagegen.web.contexts import Context
from imagegen.web.language import said

_ENDINGS: dict[str, tuple[str, str]] = {
    AttemptStatus.PREPARED: (N_("Calling {model}"), "live"),
    AttemptStatus.SENT: (N_("Called {model}"), "live"),
    AttemptStatus.ACCEPTED: (N_("Taken on by {model}"), "live"),
    AttemptStatus.SUCCEEDED: (N_("Drawn by {model}"), "ok"),
    AttemptStatus.NOT_SENT: (N_("Not sent to {model}"), "warn"),
    AttemptStatus.REJECTED: (N_("Turned down by {model}"), "bad"),
    AttemptStatus.BILLED_NO_IMAGE: (N_("No usable picture from {model}"), "bad"),
    AttemptStatus.UNKNOWN: (N_("No answer from {model}"), "bad"),
}

_SHORTEST_WAIT = 0.5
"""Seconds between two calls below which nobody waited for anything."""


def steps(shot: Shot, job: Job, earlier: Sequence[Shot] = ()) -> list[Context]:
    """Return what happened to a shot: waited, called, tried again, drawn; with seconds and money.

    `earlier` are the shots that had its slot before somebody asked again.
    """
    found: list[Context] = []
    for one in (*earlier, shot):
        if found:
            found.append(_step(_why_anew(one)))
        found += _of_one(one, job)
    return found


def _why_anew(shot: Shot) -> str:
    """Return why a shot has the slot of one that had ended."""
    # What began before it was there is an answer that came late: its call was made for the shot before it.
    if shot.started_at is not None and shot.started_at < shot.created_at:
        return gettext("Answered after it had been cleared up")
    return gettext("Tried again by hand")


def _of_one(shot: Shot, job: Job) -> list[Context]:
    if shot.reused:
        return [_reused(shot)]
    found = []
    if shot.attempts:
        found.append(_step(gettext("Waited"), _between(shot.created_at, shot.attempts[0].created_at)))
        found.append(_attempt(shot.attempts[0], job))
    for last, attempt in pairwise(shot.attempts):
        found += [*_meanwhile(last, attempt), _attempt(attempt, job)]
    return found + _now(shot, job)


def _reused(shot: Shot) -> Context:
    step = _step(gettext("Answered with an earlier picture of the same request"), tone="ok")
    if shot.estimated_micro:
        step["value"] = gettext("%(price)s saved", price=contexts.price(shot.estimated_micro))
    return step


def _meanwhile(last: Attempt, attempt: Attempt) -> list[Context]:
    """Return what lay between two calls: a wait, or another model that took over."""
    found = []
    waited = _between(last.ended_at, attempt.created_at)
    if waited is not None and waited >= _SHORTEST_WAIT:
        found.append(_step(gettext("Waited"), waited))
    if (last.provider, last.model) != (attempt.provider, attempt.model):
        sentence = gettext(
            "%(model)s stands in, because %(other)s could not",
            model=contexts.model_name(attempt.provider, attempt.model),
            other=contexts.model_name(last.provider, last.model),
        )
        found.append(_step(sentence, tone="warn"))
    return found


def _now(shot: Shot, job: Job) -> list[Context]:
    """Return what the shot waits for; nothing once it has ended or while it is called."""
    if shot.status == ShotStatus.CANCELED:
        return [_step(gettext("Canceled"))]
    if shot.status != ShotStatus.WAITING:
        return []
    if job.paused_at is not None:
        return [_step(gettext("Paused"), tone="live")]
    return [_step(gettext("Waits to be tried again") if shot.attempts else gettext("Waits"), tone="live")]


def _attempt(attempt: Attempt, job: Job) -> Context:
    label, tone = _ENDINGS[attempt.status]
    asked_for = (attempt.provider, attempt.model) == (job.provider, job.model)
    model = job.model_label if asked_for else contexts.model_name(attempt.provider, attempt.model)
    begun = attempt.sent_at or attempt.created_at
    step = _step(said(N_(label).format(model=model)), _between(begun, attempt.ended_at), tone)
    if attempt.cost_micro is not None:
        step["value"] = " · ".join(filter(None, (step["value"], contexts.price(attempt.cost_micro))))
    step["note"] = said(attempt.error_message) if attempt.error_message else ""
    step["since"] = begun.isoformat() if attempt.ended_at is None else ""
    return step


def _between(first: datetime | None, second: datetime | None) -> float | None:
    return (second - first).total_seconds() if first is not None and second is not None else None


def _step(label: str, elapsed: float | None = None, tone: str = "") -> Context:
    value = contexts.seconds(max(0.0, elapsed)) if elapsed is not None else ""
    return {"label": label, "value": value, "tone": tone, "note": "", "since": ""}
