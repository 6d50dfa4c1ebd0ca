"""What the API reads and writes of schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from imagegen.api.v1.requests import GenerateBody, Reading
from imagegen.api.v1.schemas import Id, Moment, Written
from imagegen.models.schedules import Missed, RunStatus
from imagegen.services.schedules import LONGEST_NAME, MOST_RUNS
from imagegen.services.slots import CLOSEST_MINUTES, LONGEST_CRON

_A_TIME = "A time without a zone is in the organisation's; one within a clock's leap is the first moment after it."

Name = Annotated[
    str, Field(max_length=LONGEST_NAME, description="What to call it; the prompt's first words if absent or empty.")
]
At = Annotated[
    datetime | None,
    Field(description=f"When it runs once, within five years. {_A_TIME}", examples=["2027-03-01T09:00:00"]),
]
Cron = Annotated[
    str | None,
    Field(
        max_length=LONGEST_CRON,
        description="When it runs again and again, in the organisation's time zone: minute, hour, day of the month, "
        f"month, day of the week; every {CLOSEST_MINUTES} minutes at the most. A local time that the clock skips "
        "runs at the first moment after the skip, one that it shows twice runs once.",
        examples=["0 9 * * mon-fri"],
    ),
]
EndsAt = Annotated[
    datetime | None, Field(description=f"After this it no longer runs. {_A_TIME}", examples=["2027-12-31T00:00:00Z"])
]
MaxRuns = Annotated[
    int | None, Field(ge=1, le=MOST_RUNS, description="After so many jobs it no longer runs.", examples=[12])
]
MissedRule = Annotated[
    Missed,
    Field(
        strict=False,  # a member of an enumeration is its text in JSON
        description="What becomes of times at which the studio was down: `run_once` makes one job for all of them as "
        "soon as it is up, `skip` leaves them out.",
    ),
]


class ScheduleBody(Reading):
    """Pictures to be made later. Give `at` or `cron`, and not both."""

    request: GenerateBody = Field(description="What to make; checked now, and again each time.")
    name: Name = ""
    at: At = None
    cron: Cron = None
    ends_at: EndsAt = None
    max_runs: MaxRuns = None
    missed: MissedRule = Missed.RUN_ONCE


class SchedulePatch(Reading):
    """What is to be changed: what is absent stays. `at`, `cron`, `ends_at` and `max_runs` are set together."""

    request: Annotated[GenerateBody | None, Field(description="What to make; from now on in your name.")] = None
    name: Annotated[str | None, Field(max_length=LONGEST_NAME, description="What to call it.")] = None
    at: At = None
    cron: Cron = None
    ends_at: EndsAt = None
    max_runs: MaxRuns = None
    missed: Annotated[Missed | None, Field(strict=False, description="What becomes of missed times.")] = None
    paused: Annotated[
        bool | None, Field(description="true: it rests. false: it goes on with its next time to come.")
    ] = None


class ScheduleRun(Written):
    """One time of a schedule, and what became of it."""

    slot_at: Moment
    status: RunStatus = Field(description="`due`: its job is being asked for. `begun`: there is a job.")
    missed: int = Field(description="Later times that it stands for, too.", examples=[0])
    job_id: str | None = Field(description="The job, if there is one and it was not deleted.")
    error: str | None = Field(description="Why there is no job, as a sentence for people.")


class Schedule(Written):
    """Pictures to be made later, once or again and again."""

    id: Id
    name: str = Field(description="What it is called.", examples=["Monday's header"])
    person: str = Field(description="In whose name it makes pictures.")
    request: dict[str, Any] = Field(description="What it makes, as it was asked for.")
    cron: str | None = Field(description="When it runs again and again; null if once.", examples=["0 9 * * mon-fri"])
    time_zone: str = Field(description="The time zone in which `cron` is read.", examples=["Europe/Berlin"])
    missed: Missed = Field(description="What becomes of missed times.")
    next_at: datetime | None = Field(description="When it runs next; null if never again.")
    last_at: datetime | None = Field(description="The last of its times that was settled.")
    ends_at: datetime | None = Field(description="After this it no longer runs.")
    max_runs: int | None = Field(description="After so many jobs it no longer runs.")
    runs: int = Field(description="How many jobs it has asked for.", examples=[3])
    paused: bool = Field(description="Whether it rests.")
    paused_because: str | None = Field(description="Why it paused itself; null if a person did it, or it does not.")
    recent_runs: list[ScheduleRun] = Field(description="Its newest runs, newest first.")
    created_at: Moment


class ScheduleList(Written):
    """A page of schedules."""

    items: list[Schedule] = Field(description="The schedules, newest first.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null at the end.")
