"""What a success of OpenAI says: the pictures, or the addresses where they lie, and the tokens that they took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import pybase64
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from imagegen.core.text import N_
from imagegen.providers.calls import ImagePayload, Usage
from imagegen.providers.payloads import recognised

MOST_TOKENS = 1_000_000_000
"""No call takes so many; their price is still a number that a database holds."""

Count = Annotated[int, Field(ge=0, le=MOST_TOKENS, strict=True)]


class NoPicture(Exception):
    """A success without a usable picture; the text is a sentence."""


class Picture(BaseModel):
    """One picture of an answer, in either of the two ways that there are."""

    b64_json: str | None = None
    url: str | None = Field(default=None, repr=False)


class _Answer(BaseModel):
    """What must be right for there to be pictures; usage is read apart, for a wrong one spoils none."""

    data: list[Picture] = Field(min_length=1)


class _InputDetails(BaseModel):
    text_tokens: Count
    image_tokens: Count


class _OutputDetails(BaseModel):
    text_tokens: Count = 0


class _TokenCount(BaseModel):
    input_tokens: Count
    output_tokens: Count
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


def parsed(body: bytes) -> dict[str, Any]:
    """Return the answer in `body`; raise NoPicture if it is none."""
    try:
        answer = from_json(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NoPicture(N_("OpenAI sent something that is not the answer it promises."))
    return answer


def pictures(answer: dict[str, Any]) -> list[Picture]:
    """Return the pictures of an answer, one at least; raise NoPicture."""
    try:
        return _Answer.model_validate(answer).data
    except ValidationError:
        raise NoPicture(N_("OpenAI sent an answer without a picture.")) from None


def addresses(found: Sequence[Picture]) -> tuple[str, ...]:
    """Return where the pictures lie, if that is what was answered for each of them; else nothing."""
    urls = tuple(picture.url for picture in found if picture.url and not picture.b64_json)
    return urls if len(urls) == len(found) else ()


def payloads(found: Sequence[Picture]) -> tuple[ImagePayload, ...]:
    """Return the pictures that are in the answer itself; raise NoPicture if one is not, or is none."""
    return tuple(_payload(picture) for picture in found)


def _payload(picture: Picture) -> ImagePayload:
    if not picture.b64_json:
        raise NoPicture(N_("OpenAI sent an answer without the picture in it."))
    try:
        data = pybase64.b64decode(picture.b64_json, validate=True)
    except ValueError:
        raise NoPicture(N_("OpenAI sent a picture that cannot be decoded.")) from None
    payload = recognised(data)
    if payload is None:
        raise NoPicture(N_("OpenAI sent something that is not a PNG, JPEG or WebP picture."))
    return payload


def usage_of(answer: dict[str, Any]) -> Usage | None:
    """Return the token counts of an answer; None if it tells none that make sense."""
    try:
        count = _TokenCount.model_validate(answer.get("usage"))
    except ValidationError:
        return None
    given, made = count.input_tokens_details, count.output_tokens_details
    return Usage(
        input_text_tokens=given.text_tokens if given else count.input_tokens,
        input_image_tokens=given.image_tokens if given else 0,
        output_tokens=count.output_tokens,
        output_text_tokens=min(made.text_tokens, count.output_tokens) if made else 0,
    )


def is_list_of_models(body: bytes) -> bool:
    """Tell whether `body` is what GET /models answers."""
    try:
        answer = from_json(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and isinstance(answer.get("data"), list)
