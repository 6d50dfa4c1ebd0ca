"""What is cleaned up in the whole installation: the last rounds, and a wish for another. For operators alone."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_datetime, format_decimal, gettext

from imagegen.blueprints.admin.blueprint import blueprint
from imagegen.core.errors import StudioError
from imagegen.services.cleaning import reports
from imagegen.services.cleaning.duties import DUTIES
from imagegen.services.cleaning.duty import Duty
from imagegen.services.cleaning.reports import Result, Round
from imagegen.web import access, auth
from imagegen.web.contexts import ago
from imagegen.web.htmx import page
from imagegen.web.language import said

_UNITS = ("B", "kB", "MB", "GB", "TB")


@blueprint.get("/cleaning", endpoint="cleaning")
@access.operating
def show() -> ResponseReturnValue:
    """Show what the newest round has found and removed, and the rounds before it."""
    return page("admin/cleaning.html", "admin/_round.html", **_context())


@blueprint.post("/cleaning", endpoint="ask_for_cleaning")
@access.operating
def ask() -> ResponseReturnValue:
    """Ask for a round: a look at what there is (`dry_run=1`), or cleaning up."""
    try:
        reports.ask(by=auth.actor(), dry_run=request.form.get("dry_run") == "1")
    except StudioError as error:
        return page("admin/cleaning.html", status=error.status, **_context(said(error.message)))
    return redirect(url_for("admin.cleaning"), 303)


def _context(error: str = "") -> dict[str, Any]:
    rounds = reports.latest()
    newest = rounds[0] if rounds else None
    return {
        "newest": _newest(newest) if newest else None,
        "earlier": [_summary(each) for each in rounds[1:]],
        "error": error,
    }


def _newest(newest: Round) -> dict[str, Any]:
    results = {result.name: result for result in newest.results}
    chosen = [duty for duty in DUTIES.values() if newest.row.only in (None, duty.name)]
    return _summary(newest) | {"duties": [_duty(duty, results.get(duty.name), newest) for duty in chosen]}


def _summary(one: Round) -> dict[str, Any]:
    removed = sum(result.removed for result in one.results)
    found = sum(result.found for result in one.results)
    size = sum(result.bytes for result in one.results)
    return {
        "when": format_datetime(one.row.created_at, "medium"),
        "ago": ago(one.row.created_at),
        "moment": one.row.created_at.isoformat(),
        "dry_run": one.row.dry_run,
        "daily": one.row.day is not None,
        "under_way": one.under_way,
        "died": one.died,
        "failed": any(result.error for result in one.results),
        "count": format_decimal(found if one.row.dry_run else removed),
        "size": _size(size) if size else "",
    }


def _duty(duty: Duty, result: Result | None, one: Round) -> dict[str, Any]:
    found = result or Result(duty.name)
    return {
        "title": said(duty.title),
        "note": said(duty.note),
        "state": _state(result, one),
        "result": _told(found, dry_run=one.row.dry_run),
        "examples": found.examples,
    }


def _told(found: Result, *, dry_run: bool) -> str:
    """Return in words what a duty came to."""
    parts = []
    if found.found:
        parts.append(gettext("%(count)s found", count=format_decimal(found.found)))
        if not dry_run:
            parts.append(gettext("%(count)s removed", count=format_decimal(found.removed)))
    if found.kept:
        parts.append(gettext("%(count)s kept", count=format_decimal(found.kept)))
    if found.bytes:
        parts.append(_size(found.bytes))
    return " · ".join(parts) or gettext("Nothing")


def _state(result: Result | None, one: Round) -> str:
    if result is None:
        return "waits" if one.under_way else "not_done"
    return "failed" if result.error else "done"


def _size(length: int) -> str:
    """Return a number of bytes as people read it, in thousands."""
    amount, unit = float(length), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    digits = "#,##0" if unit == 0 or amount >= 100 else "#,##0.0"
    return gettext("%(amount)s %(unit)s", amount=format_decimal(amount, format=digits), unit=_UNITS[unit])
