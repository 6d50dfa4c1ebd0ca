"""What the API reads and writes of cleaning up."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from imagegen.api.v1.requests import Reading
from imagegen.api.v1.schemas import Id, Moment, Written
from imagegen.core.errors import NotFound
from imagegen.services.cleaning.duties import DUTIES, chosen


def _a_duty(name: str) -> str:
    try:
        chosen(name)
    except NotFound as error:
        raise ValueError(error.message) from None
    return name


Duty = Annotated[str, Field(json_schema_extra={"enum": list(DUTIES)}), AfterValidator(_a_duty)]


class CleaningBody(Reading):
    """A round of cleaning up."""

    dry_run: bool = Field(True, description="true only looks what there is; false removes it.")
    only: Duty | None = Field(None, description="The one duty to do; null or absent: all of them.")


class CleaningResult(Written):
    """What a duty came to."""

    name: str = Field(description="The duty.", examples=["temporary-files"])
    title: str = Field(description="What people call it.")
    found: int = Field(description="How much may go.", examples=[3])
    removed: int = Field(description="How much has gone; 0 if it only looked.", examples=[3])
    kept: int = Field(description="How much was found and stays.", examples=[0])
    bytes: int = Field(description="Size of the files that may go.", examples=[4096])
    examples: list[str] = Field(description="The first few.")
    seconds: float = Field(description="How long it took.")
    failed: bool = Field(description="Whether it broke off; the log says why.")


class CleaningRound(Written):
    """A round of cleaning up, and what has come of it so far."""

    id: Id
    status: Literal["waiting", "running", "done", "died"] = Field(
        description="`waiting`: a scheduler begins it within a moment. `died`: its process is gone; ask again."
    )
    dry_run: bool = Field(description="Whether it only looks.")
    only: str | None = Field(description="The one duty that was asked for; null: all.", examples=["outbox"])
    daily: bool = Field(description="Whether it is the round of a day, for which nobody has asked.")
    results: list[CleaningResult] = Field(description="What the duties that have ended came to, in order.")
    created_at: Moment
    finished_at: datetime | None = Field(description="When it was done.")


class CleaningRoundList(Written):
    """The newest rounds of cleaning up."""

    items: list[CleaningRound] = Field(description="The rounds, newest first.")
    next_cursor: None = Field(description="Always null: the list has no pages.")
