"""Budgets: set, raised for once, removed; what people have asked for; and how many pictures each may make."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_datetime, gettext

from imagegen.core.errors import StudioError
from imagegen.core.money import MICRO_PER_USD, Micro, read_usd
from imagegen.core.text import N_
from imagegen.models.budgets import Per
from imagegen.services import allowances, budgets, people
from imagegen.services.budgets import Standing
from imagegen.web import access, auth, budget_words, contexts
from imagegen.web.auth import identity
from imagegen.web.htmx import page as render
from imagegen.web.language import said
from imagegen.web.words import money

blueprint = Blueprint("budgets", __name__)

EVERYBODY = ""


@blueprint.get("/admin/budgets")
@access.managing_budgets
def page() -> ResponseReturnValue:
    """Show all budgets of the organisation."""
    return _page()


@blueprint.post("/admin/budgets")
@access.managing_budgets
def change() -> ResponseReturnValue:
    """Set a budget; one that is there already is changed."""
    form = {name: request.form.get(name, "") for name in ("who", "per", "usd", "kind")}
    try:
        budgets.set_budget(
            by=auth.actor(),
            organisation_id=identity().organisation.id,
            per=_per(form["per"]),
            cap=_amount(form["usd"]),
            hard=form["kind"] != "soft",
            user_id=_person(form["who"]),
        )
    except StudioError as error:
        return _page(form=form, error=error)
    return redirect(url_for("budgets.page"), 303)


@blueprint.post("/admin/budgets/allowance")
@access.managing_budgets
def set_allowance() -> ResponseReturnValue:
    """Set how many pictures a month each person may ask for; nothing lifts it."""
    text = request.form.get("pictures", "").strip()
    try:
        if text and not (text.isascii() and text.isdigit() and len(text) <= 7):
            raise StudioError(N_("Write a number of pictures, or nothing for no limit."), field="pictures")
        allowances.set_allowance(by=auth.actor(), pictures=int(text) if text else None)
    except StudioError as error:
        return _page(error=error, pictures=text)
    return redirect(url_for("budgets.page"), 303)


@blueprint.post("/admin/budgets/<budget_id>/grant")
@access.managing_budgets
def grant(budget_id: str) -> ResponseReturnValue:
    """Consent to more in the present month or day."""
    try:
        budgets.grant(by=auth.actor(), public_id=budget_id, amount=_amount(request.form.get("usd", "")))
    except StudioError as error:
        return _page(error=error, error_at=budget_id)
    return redirect(url_for("budgets.page"), 303)


@blueprint.post("/admin/budgets/<budget_id>/decline")
@access.managing_budgets
def decline(budget_id: str) -> ResponseReturnValue:
    """Leave the budget as it is."""
    budgets.decline(by=auth.actor(), public_id=budget_id)
    return redirect(url_for("budgets.page"), 303)


@blueprint.post("/admin/budgets/<budget_id>/remove")
@access.managing_budgets
def remove(budget_id: str) -> ResponseReturnValue:
    """Take the budget away."""
    budgets.remove(by=auth.actor(), public_id=budget_id)
    return redirect(url_for("budgets.page"), 303)


@blueprint.post("/budgets/<budget_id>/ask")
@access.creating
def ask(budget_id: str) -> ResponseReturnValue:
    """Ask the admins for more; answer with a line in place of the button."""
    text = request.form.get("micro", "")
    amount = int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0
    budgets.ask(user_id=identity().user.id, public_id=budget_id, amount=amount)
    return render_template("money/_asked.html")


def _per(text: str) -> Per:
    try:
        return Per(text)
    except ValueError:
        raise StudioError(N_("Choose a month or a day."), field="per") from None


def _amount(text: str) -> Micro:
    amount = read_usd(text)
    if amount is None:
        raise StudioError(N_("Write an amount of dollars, such as 20 or 0.50."), field="usd")
    return amount


def _person(public_id: str) -> int | None:
    if public_id == EVERYBODY:
        return None
    for member in people.members(organisation_id=identity().organisation.id):
        if member.user.public_id == public_id:
            return int(member.user.id)
    raise StudioError(N_("There is nobody of that name in the organisation."), field="who")


_FRESH = {"who": EVERYBODY, "per": Per.MONTH.value, "usd": "", "kind": "hard"}


def _page(
    *,
    form: dict[str, str] | None = None,
    error: StudioError | None = None,
    error_at: str = "",
    pictures: str | None = None,
) -> ResponseReturnValue:
    place = identity().organisation
    allowed = allowances.of(place)
    sentence = said(error.message) if error else ""
    return render(
        "money/budgets.html",
        status=error.status if error else 200,
        form=form or _FRESH,
        errors={error.field or "": sentence} if error and not error_at else {},
        error_at={error_at: sentence} if error_at else {},
        rows=[_row(standing) for standing in budgets.standings(organisation_id=place.id)],
        whose=[(EVERYBODY, gettext("Everybody together"))]
        + [(member.user.public_id, member.user.name) for member in people.members(organisation_id=place.id)],
        pictures=pictures if pictures is not None else ("" if allowed is None else str(allowed)),
    )


def _row(standing: Standing) -> dict[str, Any]:
    budget, period = standing.budget, standing.period
    asked = period.asked_micro if period is not None else None
    return {
        "id": budget.public_id,
        "whose": budget.user.name if budget.user else gettext("Everybody together"),
        "gauge": budget_words.gauge(standing),
        "percent": standing.percent(),
        "used": money(standing.used),
        "cap": money(standing.cap),
        "per": gettext("this month") if budget.per == Per.MONTH else gettext("today"),
        "granted": money(period.granted_micro) if period is not None and period.granted_micro else "",
        "over": money(period.over_micro) if period is not None and period.over_micro else "",
        "kind": gettext("hard") if budget.hard else gettext("soft"),
        "until": format_datetime(standing.ends_at, "short"),
        "asked": _asked(standing) if asked is not None else None,
    }


def _asked(standing: Standing) -> dict[str, str]:
    period = standing.period
    assert period is not None and period.asked_micro is not None  # noqa: S101 - for the type checker
    dollars, cents = divmod(-(-period.asked_micro * 100 // MICRO_PER_USD), 100)
    return {
        "who": period.asked_by.name if period.asked_by else gettext("Somebody"),
        "amount": money(period.asked_micro),
        "usd": f"{dollars}.{cents:02}",
        "when": contexts.ago(period.asked_at) if period.asked_at else "",
    }
