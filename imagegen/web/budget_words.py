"""Budgets on pages: the meter in the bar, and what budgets say to something before it is asked for."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext

from imagegen.models.budgets import Per
from imagegen.services import budgets
from imagegen.services.budgets import Standing, Step
from imagegen.web.words import money

LEVELS: dict[Step, str] = {Step.FINE: "ok", Step.WARN: "warn", Step.CHEAPER: "bad", Step.FULL: "bad"}


def meter(*, organisation_id: int, user_id: int) -> dict[str, Any] | None:
    """Return how far the tightest of a person's budgets is used; None without any."""
    found = budgets.tightest(budgets.standings(organisation_id=organisation_id, user_id=user_id))
    return gauge(found) if found is not None else None


def gauge(standing: Standing) -> dict[str, Any]:
    """Return how far a budget is used, as shared/_meter.html draws it."""
    return {
        "percent": max(0, min(100, standing.percent())),
        "level": LEVELS[standing.step()],
        "text": in_words(standing),
        "short": money(standing.used),
    }


def in_words(standing: Standing) -> str:
    """Return how much of a budget is used: `$7.62 of $20.00 this month`."""
    amounts = {"used": money(standing.used), "cap": money(standing.cap)}
    own = standing.budget.user_id is not None
    if standing.budget.per == Per.MONTH:
        if own:
            return gettext("%(used)s of your %(cap)s this month", **amounts)
        return gettext("%(used)s of %(cap)s this month", **amounts)
    if own:
        return gettext("%(used)s of your %(cap)s today", **amounts)
    return gettext("%(used)s of %(cap)s today", **amounts)
