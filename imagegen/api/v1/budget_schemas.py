"""What the API reads and writes of budgets and allowances."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from imagegen.api.v1.requests import Reading
from imagegen.api.v1.schemas import Id, Moment, Money, Written
from imagegen.core.money import from_usd
from imagegen.core.text import N_
from imagegen.models.budgets import Per
from imagegen.services.allowances import MOST as MOST_PICTURES
from imagegen.services.budgets import LARGEST

_AMOUNT = r"^[0-9]{1,7}(\.[0-9]{1,6})?$"


def _affordable(amount: str) -> str:
    if from_usd(amount) > LARGEST:
        raise ValueError(N_("An amount is between $0 and $1,000,000."))
    return amount


Amount = Annotated[
    str,
    Field(
        pattern=_AMOUNT,
        description="US dollars, as a text of digits with at most six places; up to 1000000.",
        examples=["20.000000"],
    ),
    AfterValidator(_affordable),
]
_PER: dict[str, Any] = {"description": "How long it lasts before it begins anew, in the organisation's time zone."}


class BudgetBody(Reading):
    """A budget of the organisation, or of one person in it; one of the same kind is changed."""

    user_id: str | None = Field(
        None, max_length=36, description="Id of the person; null or absent: everybody together."
    )
    per: Per = Field(strict=False, **_PER)  # a member of an enumeration is its text in JSON
    cap: Amount
    hard: bool = Field(True, description="true refuses what does not fit; false only warns.")


class Budget(Written):
    """A budget, and how far its present month or day is used."""

    id: Id
    user_id: str | None = Field(description="Id of the person; null: everybody together.")
    name: str | None = Field(description="What the person is called; null: everybody together.")
    per: Per = Field(**_PER)
    hard: bool = Field(description="Whether it refuses what does not fit, or only warns.")
    cap: Money
    granted: Money = Field(description="What was granted on top, for this month or day alone.", examples=["5.000000"])
    spent: Money = Field(description="What is spent.", examples=["7.250000"])
    reserved: Money = Field(description="What is set aside for work that was asked for.", examples=["0.041000"])
    left: Money = Field(description="What is still free; below zero if it is over its cap.", examples=["12.709000"])
    percent: int = Field(description="How much is spent or set aside, rounded down.", examples=[36])
    ends_at: Moment


class BudgetList(Written):
    """All budgets of the organisation."""

    items: list[Budget] = Field(description="The budgets, in the order in which they are looked at.")
    next_cursor: None = Field(description="Always null: the list has no pages.")


class AllowanceBody(Reading):
    """How many pictures each person may ask for in a month."""

    pictures: int | None = Field(ge=0, le=MOST_PICTURES, description="How many; null: any number.", examples=[200])


class Allowance(Written):
    """How many pictures each person may ask for in a month."""

    pictures: int | None = Field(description="How many; null: any number.", examples=[200])
