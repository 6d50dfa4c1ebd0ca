"""How a provider is doing, in words."""

from __future__ import annotations

from datetime import datetime

from flask_babel import format_datetime, format_percent, format_time, gettext, to_user_timezone

from imagegen.core.clock import now
from imagegen.core.errors import ADVICE, ErrorKind
from imagegen.core.text import N_
from imagegen.services.provider_health import Figures, Health, Hold, Status
from imagegen.web import contexts
from imagegen.web.language import said

_LABELS: dict[Status, str] = {
    Status.QUIET: N_("Not used today"),
    Status.WELL: N_("Well"),
    Status.SLOW: N_("Slower than usual"),
    Status.FAILING: N_("Most calls fail"),
    Status.PAUSED: N_("Paused"),
    Status.BROKEN: N_("Broken"),
}

TONES: dict[Status, str] = {
    Status.QUIET: "",
    Status.WELL: "ok",
    Status.SLOW: "warn",
    Status.FAILING: "bad",
    Status.PAUSED: "warn",
    Status.BROKEN: "bad",
}


def label(status: Status) -> str:
    """Return the status in a word or two."""
    return said(_LABELS[status])


def at(moment: datetime) -> str:
    """Return the time of day, with the day if that is another one."""
    today = to_user_timezone(moment).date() == to_user_timezone(now()).date()
    return format_time(moment, "short") if today else format_datetime(moment, "short")


def held(hold: Hold) -> str:
    """Return why no call is begun and when that is over: short enough for a line in a list."""
    if hold.status == Status.PAUSED and hold.until is not None:
        return gettext("Asked for a pause until %(time)s", time=at(hold.until))
    since = gettext("Not answering since %(time)s", time=at(hold.since)) if hold.since else label(hold.status)
    if hold.until is None:
        return since
    return gettext("%(trouble)s, tried again at %(time)s", trouble=since, time=at(hold.until))


def health(told: Health) -> contexts.Context:
    """Return a provider's health for a page."""
    error = told.error
    return {
        "status": told.status,
        "tone": TONES[told.status],
        "label": label(told.status),
        "held": held(told.hold) if told.hold else "",
        "figures": _figures(told.figures),
        "error": {
            "sentence": said(error.message),
            "advice": said(ADVICE[ErrorKind(error.kind)]),
            "when": contexts.ago(error.at),
        }
        if error
        else None,
    }


def _figures(figures: Figures) -> list[tuple[str, str]]:
    """Return what can be said in figures, each with its name."""
    if figures.success_rate is None:
        return []
    named = [(gettext("Gave a picture"), format_percent(figures.success_rate))]
    if figures.p50 is not None and figures.p95 is not None:
        named += [
            (gettext("Half within"), contexts.seconds(figures.p50)),
            (gettext("95 % within"), contexts.seconds(figures.p95)),
        ]
    return [*named, (gettext("Calls"), str(figures.calls))]
