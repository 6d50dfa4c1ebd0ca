"""What the composer sends, read into one typed request."""

from __future__ import annotations

from typing import Any

from werkzeug.datastructures import MultiDict

from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.services.generation import GenerationRequest

DEFAULT_VARIANTS = 4


def read(form: MultiDict[str, str]) -> GenerationRequest:
    """Return the request that `form` describes; raises StudioError or pydantic's ValidationError."""
    provider, model = read_model(form)
    wanted: dict[str, Any] = {
        "prompt": form.get("prompt", ""),
        "provider": provider,
        "model": model,
        "n": _variants(form),
        "seed": _number(form, "seed"),
        "trim": bool(form.get("trim")),
    }
    if "reuse" in form:
        wanted["reuse"] = form["reuse"]
    for name in ("quality", "style", "negative_prompt", "background", "output_format"):
        wanted[name] = form.get(name, "")
    width, height = _number(form, "width"), _number(form, "height")
    if width is not None and height is not None:
        wanted["size"] = f"{width}x{height}"
    elif width is not None or height is not None:
        missing = "width" if width is None else "height"
        raise StudioError(N_("An exact size needs a width and a height."), field=missing)
    elif ratios := form.getlist("aspect_ratios"):
        wanted["aspect_ratios"] = tuple(ratios)
    return GenerationRequest(**wanted)


def most_new(form: MultiDict[str, str]) -> int | None:
    """Return how many new pictures were named where earlier ones were offered; None where none were."""
    return _number(form, "reuse_new") if form.get("reuse") else None


def read_model(form: MultiDict[str, str]) -> tuple[str | None, str | None]:
    """Return provider and model from the form's `model` (`provider:model`); None for what is not said."""
    provider, _, model = form.get("model", "").partition(":")
    return provider or None, model or None


def _variants(form: MultiDict[str, str]) -> int:
    exact = _number(form, "variants_exact")
    chosen = _number(form, "variants") if exact is None else exact
    return DEFAULT_VARIANTS if chosen is None else chosen


def _number(form: MultiDict[str, str], name: str) -> int | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise StudioError(N_("This must be a whole number."), field=name)
    return int(text)
