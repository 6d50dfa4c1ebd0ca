"""Usage: what was used, and what it cost."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from imagegen.api.v1 import rows
from imagegen.api.v1.openapi import Answers, Tags, operation
from imagegen.api.v1.requests import UsageQuery
from imagegen.api.v1.schemas import (
    Usage,
    UsageLine,
    UsageOfDay,
    UsageOfModel,
    UsageOfOperation,
    UsageOfPerson,
    UsageSaved,
)
from imagegen.core.clock import now
from imagegen.core.money import to_usd
from imagegen.services import usage
from imagegen.services.rights import Right
from imagegen.services.usage import Line
from imagegen.web import access
from imagegen.web.auth import identity

blueprint = Blueprint("api-usage", __name__)


@blueprint.get("/usage")
@access.viewing
@operation(Tags.USAGE, "readUsage", Answers(Usage, "The usage.", problems=(422,)))
def read(query: UsageQuery) -> Usage:
    """Add up what was used.

    By day, person, model and kind of work. Whoever may not see everybody's usage gets their own.
    """
    who = identity()
    zone = who.organisation.time_zone
    today = usage.today(zone=zone, now=now())
    first, last = query.since or today.replace(day=1), query.until or today
    everybody = query.whose == "all" and who.may(Right.VIEW_USAGE)
    found = usage.usage(
        when=usage.span_of(first, last, zone=zone), zone=zone, user_id=None if everybody else who.user.id
    )
    return Usage(
        since=first.isoformat(),
        until=last.isoformat(),
        time_zone=zone,
        whose="all" if everybody else "mine",
        currency=rows.CURRENCY,
        total=UsageLine(**_line(found.total)),
        saved=UsageSaved(images=found.saved.pictures, cost=to_usd(found.saved.cost)),
        by_day=[UsageOfDay(day=day.isoformat(), cost=to_usd(cost)) for day, cost in found.days.items()],
        by_person=[_person(found.names.get(key), line) for key, line in found.people.items()],
        by_model=[UsageOfModel(provider=key[0], model=key[1], **_line(line)) for key, line in found.models.items()],
        by_operation=[UsageOfOperation(operation=key, **_line(line)) for key, line in found.operations.items()],
    )


def _person(who: tuple[str, str] | None, line: Line) -> UsageOfPerson:
    public_id, name = who or (None, None)
    return UsageOfPerson(user_id=public_id, name=name, **_line(line))


def _line(line: Line) -> dict[str, Any]:
    return {
        "cost": to_usd(line.cost),
        "images": line.pictures,
        "success_rate": line.success,
        "mean_seconds": line.mean_seconds,
    }
