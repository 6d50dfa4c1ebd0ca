"""Usage: what the pictures cost, by day, person, provider, model and operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, format_percent, gettext

from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.core.money import to_usd
from imagegen.core.text import N_
from imagegen.extensions import runtime
from imagegen.services import budgets, usage
from imagegen.services.rights import Right
from imagegen.services.usage import Line, Usage
from imagegen.web import access, budget_words, contexts, sheets
from imagegen.web.auth import Identity, identity
from imagegen.web.htmx import page as render
from imagegen.web.language import said
from imagegen.web.words import money

blueprint = Blueprint("usage", __name__, url_prefix="/usage")

MINE, ALL = "mine", "all"

OPERATIONS: Mapping[str, str] = {"generate": N_("Generate"), "edit": N_("Edit")}

CHART = (1000, 160)
"""Width and height of the chart in its own units; the page stretches it."""
_GAP = 0.22
"""The share of a bar's place that stays empty."""


@blueprint.get("")
@access.viewing
def page() -> ResponseReturnValue:
    """Show what was used in a span of days: one's own, or the organisation's to whoever may see that."""
    try:
        wanted = _wanted()
    except StudioError as error:
        shown = _context(_this_month(), error=said(error.message))
        return render("money/usage.html", status=error.status, **shown)
    return render("money/usage.html", **_context(wanted))


@blueprint.get("/usage.csv")
@access.viewing
def export() -> ResponseReturnValue:
    """Send every cost of the span as a table."""
    who, wanted = identity(), _wanted()
    when = usage.span_of(*wanted, zone=who.organisation.time_zone)
    rows = _csv_rows(usage.entries(organisation_id=who.organisation.id, when=when, user_id=_whose(who)))
    return sheets.stream(f"usage-{wanted[0]}-{wanted[1]}.csv", usage.CSV_HEADER, rows)


def _csv_rows(entries: Iterator[Any]) -> Iterator[tuple[str, ...]]:
    for entry, email, job_id in entries:
        yield (
            entry.created_at.isoformat(timespec="seconds"),
            email or "",
            entry.provider,
            entry.model,
            entry.operation,
            job_id or "",
            to_usd(entry.amount_micro),
            entry.price_date or "",
        )


def _whose(who: Identity) -> int | None:
    """Return whose usage is shown: None for everybody's."""
    everybody = who.may(Right.VIEW_USAGE) and request.args.get("whose") != MINE
    return None if everybody else who.user.id


def _this_month() -> tuple[date, date]:
    today = usage.today(zone=identity().organisation.time_zone, now=now())
    return today.replace(day=1), today


def _wanted() -> tuple[date, date]:
    """Return the first and the last day asked for; without any this month so far. Raises StudioError."""
    first, last = _this_month()
    found = (_day("since") or first, _day("until") or last)
    usage.span_of(*found, zone=identity().organisation.time_zone)
    return found


def _day(name: str) -> date | None:
    text = request.args.get(name, "")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise StudioError(N_("Write a day as 2026-11-30."), field=name) from None


def _context(wanted: tuple[date, date], *, error: str = "") -> dict[str, Any]:
    who = identity()
    user_id = _whose(who)
    when = usage.span_of(*wanted, zone=who.organisation.time_zone)
    found = usage.usage(when=when, zone=who.organisation.time_zone, user_id=user_id)
    whose = ALL if user_id is None else MINE
    span = {"since": wanted[0].isoformat(), "until": wanted[1].isoformat()}
    return {
        "form": span | {"whose": whose},
        "may_see_all": who.may(Right.VIEW_USAGE),
        "error": error,
        "total": _line("", found.total),
        "saved": {"cost": money(found.saved.cost), "pictures": str(found.saved.pictures)}
        if found.saved.pictures
        else None,
        "chart": _chart(found),
        "tables": _tables(found, everybody=user_id is None),
        "budgets": [
            budget_words.gauge(standing)
            for standing in budgets.standings(organisation_id=who.organisation.id, user_id=who.user.id)
        ],
        "csv_url": url_for("usage.export", since=span["since"], until=span["until"], whose=whose),
    }


def _line(name: str, line: Line) -> dict[str, str]:
    return {
        "name": name,
        "cost": money(line.cost),
        "pictures": str(line.pictures),
        "success": "" if line.success is None else format_percent(line.success),
        "time": "" if line.mean_seconds is None else contexts.seconds(line.mean_seconds),
    }


def _tables(found: Usage, *, everybody: bool) -> list[dict[str, Any]]:
    labels = {(offer.spec.provider, offer.spec.id): offer.spec.label for offer in runtime.providers.models()}
    providers = {provider.id: said(provider.label) for provider in runtime.providers.providers()}
    tables = [
        (gettext("Model"), [_line(labels.get(key, key[1]), line) for key, line in found.models.items()]),
        (gettext("Provider"), [_line(providers.get(key, key), line) for key, line in found.providers.items()]),
        (
            gettext("Operation"),
            [_line(said(OPERATIONS.get(key, key)), line) for key, line in found.operations.items()],
        ),
    ]
    if everybody:
        gone = gettext("somebody who has left")
        people = [_line(found.names.get(key, ("", gone))[1], line) for key, line in found.people.items()]
        tables.insert(0, (gettext("Person"), people))
    return [{"title": title, "rows": rows} for title, rows in tables]


def _chart(found: Usage) -> dict[str, Any]:
    """Return the bars of the days: all sizes are worked out here, for the page may hold no style."""
    width, height = CHART
    most = max(found.days.values(), default=0)
    place = width / max(1, len(found.days))
    bars = []
    for number, (day, cost) in enumerate(found.days.items()):
        tall = round(height * cost / most, 1) if most else 0
        bars.append(
            {
                "x": round(number * place + place * _GAP / 2, 2),
                "y": round(height - tall, 1),
                "width": round(place * (1 - _GAP), 2),
                "height": tall,
                "title": f"{format_date(day, 'medium')}: {money(cost)}",
                "day": format_date(day, "medium"),
                "cost": money(cost),
                "empty": not cost,
            }
        )
    return {"bars": bars, "width": width, "height": height, "most": money(most) if most else ""}
