"""The audit log: filtered, page by page, and exported."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_datetime, gettext

from imagegen.blueprints.admin import audit_words
from imagegen.blueprints.admin.blueprint import blueprint
from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.models.audit import Action
from imagegen.services import audit
from imagegen.services.audit import Entry, Filter
from imagegen.web import access, auth, sheets
from imagegen.web.htmx import page
from imagegen.web.language import said

_FIELDS = ("person", "action", "from", "to")


@blueprint.get("/audit", endpoint="audit")
@access.reading_audit
def show() -> ResponseReturnValue:
    """Show what has been done in the organisation."""
    return _page("admin.audit", auth.identity().organisation.id)


@blueprint.get("/audit.csv", endpoint="audit_csv")
@access.reading_audit
def export() -> ResponseReturnValue:
    """Export what the filters show, as a sheet."""
    return _export(auth.identity().organisation.id)


@blueprint.get("/installation/audit", endpoint="installation_audit")
@access.operating
def show_everywhere() -> ResponseReturnValue:
    """Show what has been done in the whole installation."""
    return _page("admin.installation_audit", None)


@blueprint.get("/installation/audit.csv", endpoint="installation_audit_csv")
@access.operating
def export_everywhere() -> ResponseReturnValue:
    """Export what the filters show, as a sheet."""
    return _export(None)


def _page(endpoint: str, organisation_id: int | None) -> Response:
    found = audit.entries(organisation_id=organisation_id, wanted=_filter(), cursor=request.args.get("cursor"))
    form = {field: request.args.get(field, "") for field in _FIELDS}
    chosen: dict[str, Any] = {field: value for field, value in form.items() if value}
    older = found.next_cursor and url_for(endpoint, **chosen, cursor=found.next_cursor)
    return page(
        "admin/audit.html",
        everywhere=organisation_id is None,
        entries=[_entry(entry) for entry in found.items],
        older_href=older,
        first_href=url_for(endpoint, **chosen) if request.args.get("cursor") else None,
        action_href=url_for(endpoint),
        csv_href=url_for(f"{endpoint}_csv", **chosen),
        filtered=bool(chosen),
        form=form,
        people=audit.actors(organisation_id=organisation_id),
        actions=[(str(action), audit_words.action(action)) for action in Action],
    )


def _filter() -> Filter:
    action = request.args.get("action", "")
    if action and action not in list(Action):
        raise StudioError(N_("There is no such filter."), field="action")
    until = _midnight("to")
    return Filter(
        actor=request.args.get("person") or None,
        action=Action(action) if action else None,
        since=_midnight("from"),
        until=until + timedelta(days=1) if until else None,
    )


def _midnight(field: str) -> datetime | None:
    """Return when a day begins where the person is."""
    text = request.args.get(field, "")
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        if not 2000 <= day.year <= 9000:
            raise ValueError
    except ValueError:
        raise StudioError(N_("Write days as 2027-01-31."), field=field) from None
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(auth.identity().time_zone))


def _entry(entry: Entry) -> dict[str, Any]:
    row = entry.row
    return {
        "when": format_datetime(row.created_at, "short"),
        "moment": row.created_at.isoformat(),
        "who": entry.actor or _nobody(entry),
        "what": audit_words.action(row.action),
        "target": entry.target or "",
        "details": audit_words.details(row.facts),
        "address": said(row.address),
        "organisation": entry.organisation or "",
    }


def _nobody(entry: Entry) -> str:
    if entry.row.actor_id is not None:
        return gettext("somebody who is gone")
    return ""


_COLUMNS = ("time", "person", "action", "target", "details", "address", "organisation")


def _export(organisation_id: int | None) -> Response:
    wanted = _filter()

    def rows() -> Iterator[tuple[str, ...]]:
        for entry in audit.all_entries(organisation_id=organisation_id, wanted=wanted):
            row = entry.row
            yield (
                row.created_at.isoformat(),
                entry.actor or "",
                row.action,
                entry.target or "",
                audit_words.details(row.facts),
                row.address,
                entry.organisation or "",
            )

    return sheets.stream(f"audit-{now():%Y-%m-%d}.csv", _COLUMNS, rows())
