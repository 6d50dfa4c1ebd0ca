"""What happened to a shot, step by step, with seconds and money."""

from __future__ import annotations

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


def steps(shot: Shot, job: Job) -> list[Context]:
    """Return what happened to a shot: waited, called, tried again, drawn; with seconds and money."""
    found = []
    first = shot.attempts[0].created_at if shot.attempts else None
    if first is not None:
        found.append(_step(gettext("Waited"), (first - shot.created_at).total_seconds()))
    found += [_attempt(attempt, job) for attempt in shot.attempts]
    if shot.status == ShotStatus.WAITING:
        found.append(
            {"label": gettext("Waits to be tried again") if first else gettext("Waits"), "value": "", "tone": "live"}
        )
    return found


def _attempt(attempt: Attempt, job: Job) -> Context:
    label, tone = _ENDINGS[attempt.status]
    model = job.model_label if attempt.model == job.model else attempt.model
    elapsed = (
        (attempt.ended_at - (attempt.sent_at or attempt.created_at)).total_seconds() if attempt.ended_at else None
    )
    step = _step(said(N_(label).format(model=model)), elapsed, tone)
    if attempt.cost_micro is not None:
        step["value"] = " · ".join(filter(None, (step["value"], contexts.price(attempt.cost_micro))))
    return step


def _step(label: str, elapsed: float | None, tone: str = "") -> Context:
    return {"label": label, "value": contexts.seconds(max(0.0, elapsed)) if elapsed is not None else "", "tone": tone}
