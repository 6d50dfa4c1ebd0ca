"""What the API is asked. These types check requests and make the OpenAPI document: there is no other list."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from imagegen.api.v1.schemas import MOST_COUNTED
from imagegen.core.text import N_
from imagegen.models.states import JobStatus
from imagegen.providers.sizes import RATIOS
from imagegen.providers.specs import BACKGROUNDS, MIME_TYPES
from imagegen.services.generation import GenerationRequest, Text


class Reading(BaseModel):
    """What is read from a request: a field that is not known is refused, for it may be a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PageQuery(Reading):
    """Which part of a list is wanted."""

    limit: int = Field(20, ge=1, le=100, description="How many at most.")
    cursor: str | None = Field(None, max_length=64, description="`next_cursor` of the page before.")


class ListQuery(PageQuery):
    """Which part of a list is wanted, and whether it is counted."""

    count: Literal["0", "1"] = Field("0", description=f"1 adds `total`, counted up to {MOST_COUNTED:,}.")


class JobsQuery(ListQuery):
    """Which jobs are wanted."""

    status: JobStatus | None = Field(None, description="Only jobs in this state.")


class FileQuery(Reading):
    """How a file is wanted."""

    download: Literal["0", "1"] = Field("0", description="1 has browsers save the file instead of showing it.")


class ThumbnailQuery(Reading):
    """How large a preview is wanted."""

    width: int = Field(
        512, ge=1, le=16_384, description="Pixels; the answer is the smallest preview that is at least this wide."
    )


class SizesQuery(Reading):
    """Whose sizes are wanted."""

    provider: str | None = Field(None, max_length=32, description="Provider's id; the default one if absent.")
    model: str | None = Field(None, max_length=120, description="Model's id; the provider's first if absent.")


class UsageQuery(Reading):
    """Whose usage of which days is wanted."""

    since: date | None = Field(None, description="First day, as 2026-11-01. Default: the first of this month.")
    until: date | None = Field(None, description="Last day, counted too; a year at most. Default: today.")
    whose: Literal["all", "mine"] = Field(
        "all", description="`all`: everybody's, if you may see that; else your own."
    )


_LARGEST_SEQ = 2**31 - 1
"""What the database can compare with an event's number."""


class EventsQuery(Reading):
    """Where a stream begins."""

    after: int = Field(0, ge=0, le=_LARGEST_SEQ, description="`seq` of the last event already seen.")


class EventsHeaders(Reading):
    """Where a stream goes on after it was cut."""

    last_event_id: int | None = Field(
        None,
        alias="Last-Event-ID",
        ge=0,
        le=_LARGEST_SEQ,
        description="As browsers send it when they reconnect; goes before `after`.",
    )


_VISIBLE = r"^[!-~]{1,255}$"


def _visible(key: str) -> str:
    if not re.fullmatch(_VISIBLE, key):
        raise ValueError(N_("A key has 1 to 255 visible ASCII characters."))
    return key


class GenerateHeaders(Reading):
    """What makes a repeated request safe."""

    idempotency_key: Annotated[str, AfterValidator(_visible)] | None = Field(
        None,
        alias="Idempotency-Key",
        description="1 to 255 visible ASCII characters of your choice. The same request under the same key makes one "
        "job, however often it is sent; another request under the same key is refused with 409.",
        examples=["order-4711-picture-1"],
        json_schema_extra={"pattern": _VISIBLE},
    )


_OF_REQUEST: dict[str, dict[str, Any]] = {
    "prompt": {
        "description": "What the picture should show. Each model reads a number of characters at most: "
        "see `limits.prompt_characters` of GET /models.",
        "examples": ["marbled silver ink on paper, calm, studio light"],
    },
    "provider": {"description": "Provider's id. Default: the first that is set up.", "examples": ["local"]},
    "model": {"description": "Model's id. Default: the provider's first.", "examples": ["local-studio"]},
    "aspect_ratio": {
        "description": "Shape, as width:height. Not together with `aspect_ratios` or `size`.",
        "examples": list(RATIOS),
    },
    "aspect_ratios": {
        "description": "Several shapes, each made `n` times. Not together with `aspect_ratio` or `size`.",
        "examples": [["1:1", "9:16"]],
    },
    "size": {
        "description": "Exact width x height in pixels. Not together with an aspect ratio.",
        "examples": ["1024x1792"],
    },
    "quality": {
        "description": "How much care the model takes: one of its `limits.qualities`, or low, medium, high, standard "
        "or hd, which every model understands. Default: its `limits.default_quality`.",
        "examples": ["high"],
    },
    "style": {"description": "Id of a style, which is added to the prompt.", "examples": ["minimalist"]},
    "n": {"description": "Variants of each shape.", "examples": [2]},
    "seed": {
        "description": "The first variant's seed; the others count on from it. For models that take one.",
        "examples": [7],
    },
    "negative_prompt": {
        "description": "What the picture should not show. For models that take one.",
        "examples": ["text, people"],
    },
    "background": {"description": "One of " + ", ".join(BACKGROUNDS) + ".", "examples": list(BACKGROUNDS)},
    "trim": {
        "description": "Whether to cut to the exact shape also where that costs more than 2 % of the picture: "
        "see `trimmed` of GET /images/generate/sizes.",
        "examples": [True],
    },
    "output_format": {
        "description": "File format; one of " + ", ".join(MIME_TYPES) + ", as the model can.",
        "examples": list(MIME_TYPES),
    },
    "reuse": {
        "description": "`exact`: earlier pictures of the same request answer it at once and at no cost, the newest "
        "first; where there are fewer than asked for, the rest is made. `never`: all are made anew.",
        "examples": ["exact"],
    },
}


def _explain(schema: dict[str, Any]) -> None:
    """Add to a request's schema what only readers of the documentation need."""
    for name, words in _OF_REQUEST.items():
        schema["properties"][name] |= words


class GenerateBody(GenerationRequest):
    """A request for pictures."""

    model_config = ConfigDict(json_schema_extra=_explain)


class EstimateBody(GenerateBody):
    """A request as it would be made; the prompt may still be missing."""

    prompt: Text = Field("", max_length=100_000)
