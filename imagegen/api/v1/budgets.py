"""Budgets and allowances: set, removed, and how far they are used."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from imagegen.api.v1.budget_schemas import Allowance, AllowanceBody, Budget, BudgetBody, BudgetList
from imagegen.api.v1.openapi import BODY, Answers, NoContent, Tags, operation
from imagegen.core.errors import StudioError
from imagegen.core.money import from_usd, to_usd
from imagegen.core.text import N_
from imagegen.models.budgets import Per
from imagegen.services import allowances, budgets, people
from imagegen.services.budgets import Standing
from imagegen.web import access
from imagegen.web.auth import actor, identity

blueprint = Blueprint("api-budgets", __name__)


@blueprint.get("/budgets")
@access.managing_budgets
@operation(Tags.USAGE, "listBudgets", Answers(BudgetList, "All budgets."))
def index() -> BudgetList:
    """List the organisation's budgets, and how far each is used."""
    return BudgetList(items=_all(), next_cursor=None)


@blueprint.put("/budgets")
@access.managing_budgets
@operation(Tags.USAGE, "setBudget", Answers(Budget, "The budget as it is now.", problems=BODY))
def change(json: BudgetBody) -> Budget:
    """Set what the organisation, or one person in it, may spend in a month or a day.

    It holds at once, and knows what was spent since the month or day began.
    """
    organisation_id = identity().organisation.id
    made = budgets.set_budget(
        by=actor(),
        organisation_id=organisation_id,
        per=json.per,
        cap=from_usd(json.cap),
        hard=json.hard,
        user_id=_person(json.user_id, organisation_id),
    )
    public_id = made.public_id
    return next(budget for budget in _all() if budget.id == public_id)


def _person(public_id: str | None, organisation_id: int) -> int | None:
    if public_id is None:
        return None
    found = people.user_id_of(organisation_id=organisation_id, public_id=public_id)
    if found is None:
        raise StudioError(N_("There is nobody of that name in the organisation."), field="user_id")
    return found


@blueprint.delete("/budgets/<budget_id>")
@access.managing_budgets
@operation(Tags.USAGE, "removeBudget", NoContent("Taken away.", problems=(404,)))
def remove(budget_id: str) -> ResponseReturnValue:
    """Take a budget away; what it held back may be spent from now on."""
    budgets.remove(by=actor(), public_id=budget_id)
    return "", 204


@blueprint.get("/budgets/allowance")
@access.managing_budgets
@operation(Tags.USAGE, "readAllowance", Answers(Allowance, "The allowance."))
def allowance() -> Allowance:
    """Say how many pictures each person may ask for in a month."""
    return Allowance(pictures=allowances.of(identity().organisation))


@blueprint.put("/budgets/allowance")
@access.managing_budgets
@operation(Tags.USAGE, "setAllowance", Answers(Allowance, "The allowance as it is now.", problems=BODY))
def set_allowance(json: AllowanceBody) -> Allowance:
    """Set how many pictures each person may ask for in a month."""
    allowances.set_allowance(by=actor(), pictures=json.pictures)
    return Allowance(pictures=json.pictures)


def _all() -> list[Budget]:
    return [_budget(standing) for standing in budgets.standings(organisation_id=identity().organisation.id)]


def _budget(standing: Standing) -> Budget:
    row, period = standing.budget, standing.period
    return Budget(
        id=row.public_id,
        user_id=row.user.public_id if row.user else None,
        name=row.user.name if row.user else None,
        per=Per(row.per),
        hard=row.hard,
        cap=to_usd(row.cap_micro),
        granted=to_usd(period.granted_micro if period else 0),
        spent=to_usd(period.spent_micro if period else 0),
        reserved=to_usd(period.reserved_micro if period else 0),
        left=to_usd(standing.left),
        percent=standing.percent(),
        ends_at=standing.ends_at,
    )
