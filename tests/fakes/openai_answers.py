"""What the stand-in for OpenAI answers when all goes well: pictures, the tokens they took, and what is owed."""

from __future__ import annotations

import time
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pybase64

from tests.fakes.openai_contract import LISTED_SIZE_MODELS, OLD_MODELS, SHUTDOWN, size_of
from tests.fakes.pictures import picture

# Dollars for a million tokens (text in, picture out), kept apart from the studio's own table on purpose.
_RATES = {"gpt-image-1.5": ("5", "32"), "gpt-image-1-mini": ("2", "8")}
_USUAL_RATES = ("5", "30")
# Tokens of a picture of 1024 by 1024.
_TOKENS = {"low": 180, "medium": 1490, "high": 6210, "xhigh": 9300, "max": 12400}
_OLDER_TOKENS = {"low": 272, "medium": 1056, "high": 4152}


def drawn_answer(body: dict[str, Any], *, photo: bool) -> dict[str, Any]:
    """Return the answer to a request that is in order; `photo` makes the pictures hard to pack."""
    width, height = size_of(body)
    output_format = body.get("output_format", "png")
    transparent = body.get("background") == "transparent"
    count = body.get("n", 1)
    pictures = [
        pybase64.b64encode(picture(width, height, output_format, transparent=transparent, photo=photo)).decode()
        for _ in range(count)
    ]
    answer = {"created": int(time.time()), "data": [{"b64_json": drawn} for drawn in pictures]}
    if body["model"] in OLD_MODELS:
        return answer
    quality = "medium" if body.get("quality", "auto") == "auto" else body["quality"]
    tokens = (_OLDER_TOKENS if body["model"] in LISTED_SIZE_MODELS else _TOKENS)[quality]
    return answer | {
        "background": "transparent" if transparent else "opaque",
        "output_format": output_format,
        "size": f"{width}x{height}",
        "quality": quality,
        "usage": _usage(body["prompt"], count * (tokens * width * height // (1024 * 1024))),
    }


def _usage(prompt: str, drawn: int) -> dict[str, Any]:
    words = len(prompt.encode()) // 4 + 1
    return {
        "input_tokens": words,
        "input_tokens_details": {"text_tokens": words, "image_tokens": 0},
        "output_tokens": drawn,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": drawn},
        "total_tokens": words + drawn,
    }


def price(model: str, usage: dict[str, Any] | None) -> int:
    """Return what is owed for `usage`, in micro-USD."""
    if usage is None:
        return 0
    words, drawn = (Decimal(rate) for rate in _RATES.get(model, _USUAL_RATES))
    # Dollars for a million tokens are micro-dollars for one.
    owed = usage["input_tokens"] * words + usage["output_tokens"] * drawn
    return int(owed.to_integral_value(ROUND_HALF_EVEN))


def model_entry(name: str) -> dict[str, Any]:
    """Return a model as the list of models shows it."""
    return {
        "id": name,
        "object": "model",
        "created": 1_762_000_000,
        "owned_by": "openai",
        "shutdown_date": SHUTDOWN.get(name),
    }
