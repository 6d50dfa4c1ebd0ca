"""What the stand-in for OpenAI accepts: a small schema in our own words, and the published one where it is."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT.parent / "shared" / "contracts" / "openai" / "images-2026-11.amended.openapi.yaml"
HOST, PATH = "https://api.openai.com", "/v1/images/generations"

FREE_SIZE_MODELS = (
    "gpt-image-2.6-flare",
    "gpt-image-2.6-sunburst",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-sunburst",
    "gpt-image-2",
)
LISTED_SIZE_MODELS = ("gpt-image-1.5", "gpt-image-1-mini")
MODELS = FREE_SIZE_MODELS + LISTED_SIZE_MODELS
OLD_MODELS = ("dall-e-2", "dall-e-3")
SHUTDOWN = dict.fromkeys(LISTED_SIZE_MODELS, "2026-12-01")

_SIZE = {"type": "string", "pattern": "^(auto|[1-9][0-9]{1,3}x[1-9][0-9]{1,3})$"}
_COMMON: dict[str, Any] = {
    "model": {"type": "string"},
    "prompt": {"type": "string", "minLength": 1, "maxLength": 32_000},
    "n": {"type": "integer", "minimum": 1, "maximum": 10},
    "size": _SIZE,
}
GPT_IMAGE_REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["model", "prompt"],
    "additionalProperties": False,
    "properties": {
        **_COMMON,
        "quality": {"enum": ["auto", "low", "medium", "high", "xhigh", "max"]},
        "background": {"enum": ["auto", "opaque", "transparent"]},
        "output_format": {"enum": ["png", "jpeg", "webp"]},
        "output_compression": {"type": "integer", "minimum": 0, "maximum": 100},
        "moderation": {"enum": ["auto", "low"]},
        "complexity": {"enum": ["low", "medium", "high"]},
        "safety_identifier": {"type": "string", "maxLength": 64},
    },
}
DALL_E_REQUEST: dict[str, Any] = {
    "type": "object",
    "required": ["model", "prompt"],
    "additionalProperties": False,
    "properties": {
        **_COMMON,
        "prompt": {"type": "string", "minLength": 1, "maxLength": 4000},
        "quality": {"enum": ["standard", "hd"]},
        "response_format": {"enum": ["b64_json"]},
    },
}


def complaint(body: Any, authorization: str) -> str | None:
    """Return what is wrong with a request body, or None; the published contract has its say where present.

    What is asked for again and again is looked at once: that takes as long as the studio takes for the whole call.
    """
    return _complaint(json.dumps(body), authorization)


@lru_cache(maxsize=1024)
def _complaint(text: str, authorization: str) -> str | None:
    body = json.loads(text)
    old = isinstance(body, dict) and body.get("model") in OLD_MODELS
    try:
        jsonschema.validate(body, DALL_E_REQUEST if old else GPT_IMAGE_REQUEST)
    except jsonschema.ValidationError as error:
        return error.message
    return _meaning(body) or (None if old else _published_complaint(body, authorization))


def size_of(body: dict[str, Any]) -> tuple[int, int]:
    """Return the size asked for, in pixels."""
    size = body.get("size", "auto")
    if size == "auto":
        return (1024, 1024)
    width, height = size.split("x")
    return int(width), int(height)


def _meaning(body: dict[str, Any]) -> str | None:
    width, height = size_of(body)
    legal = (
        width % 16 == height % 16 == 0
        and max(width, height) <= 3840
        and max(width, height) <= 3 * min(width, height)
        and 655_360 <= width * height <= 8_294_400
    )
    if body["model"] in FREE_SIZE_MODELS and not legal:
        return f"Invalid size '{width}x{height}'"
    listed = ((1024, 1024), (1536, 1024), (1024, 1536))
    if body["model"] in LISTED_SIZE_MODELS and (width, height) not in listed:
        return f"Invalid size '{width}x{height}'"
    if body["model"] in LISTED_SIZE_MODELS and body.get("quality") in ("xhigh", "max"):
        return f"Invalid quality '{body['quality']}'"
    if body.get("background") == "transparent" and body.get("output_format") == "jpeg":
        return "Transparent background is not supported for JPEG"
    return None


@lru_cache(maxsize=1)
def published() -> OpenAPI | None:
    """Return the published contract, or None on a machine that does not have it."""
    if not PUBLISHED.exists():
        return None
    return OpenAPI.from_dict(yaml.load(PUBLISHED.read_text(encoding="utf-8"), yaml.CSafeLoader))


def _bytes(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _request(body: bytes, authorization: str) -> MockRequest:
    return MockRequest(HOST, "post", PATH, headers={"Authorization": authorization}, data=body)


def _published_complaint(body: dict[str, Any], authorization: str) -> str | None:
    contract = published()
    if contract is None:
        return None
    errors = list(contract.iter_request_errors(_request(_bytes(body), authorization)))
    return f"Contract: {errors[0]!r} {errors[0].__cause__!r}" if errors else None


def answer_complaints(body: bytes, status: int) -> list[str]:
    """Return what the published contract has to say against an answer of the stand-in; empty if it is absent."""
    contract = published()
    if contract is None:
        return []
    request = _request(_bytes({"model": MODELS[0], "prompt": "x"}), "Bearer x")
    answer = MockResponse(body, status_code=status)
    return [f"{error!r} {error.__cause__!r}" for error in contract.iter_response_errors(request, answer)]
