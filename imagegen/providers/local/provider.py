"""The local provider: draws in this process, with no network, no key and no price."""

from __future__ import annotations

import os
import secrets
import threading
from typing import ClassVar

from imagegen.core.errors import ErrorKind
from imagegen.core.text import N_
from imagegen.providers.base import (
    MIME_TYPES,
    Availability,
    Feature,
    ImagePayload,
    ImageRequest,
    ImageResult,
    ModelSpec,
    Provider,
    SizeRule,
    Usage,
)
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.local import colour, kinds
from imagegen.providers.local.canvas import Calm
from imagegen.providers.local.colour import Lab
from imagegen.providers.local.drawing import Wish, picture
from imagegen.providers.local.encode import FORMATS, encode

_SEEDS = 2**31
_MAX_COLOURS = 6
_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_drawing_slots = threading.BoundedSemaphore(max(1, _cores // 2))
"""At how many pictures a process draws at once: more get in each other's way, and none is done before all are.

Of 24 that two workers of 16 slots drew on 4 cores the first was there after 0.9 s instead of 4.5, the last after 5.8
instead of 9.
"""

STUDIO = ModelSpec(
    id="local-studio",
    provider="local",
    label=N_("Studio"),
    summary=N_(
        "Draws abstract pictures and quiet landscapes by itself, free and within a second. "
        "The words choose what: dunes, ridges, marble, silk, spheres, paper cuts, and more."
    ),
    sizes=SizeRule(
        multiple=1,
        min_ratio=1 / 4,
        max_ratio=4.0,
        max_edge=4096,
        min_edge=256,
        min_pixels=256 * 256,
        max_pixels=2048 * 2048,
    ),
    default_size=(1024, 1280),
    max_prompt_chars=10_000,
    output_formats=FORMATS,
    supports=frozenset({Feature.SEED, Feature.NEGATIVE_PROMPT}),
    typical_seconds={"": 0.5},
)
"""One model for all kinds: people choose by words (or by the hint "kind"), as with any other model."""


class LocalProvider(Provider):
    """Draws what the words call, coloured by them or by given colours.

    Hints: `kind` (an id of `kinds.KINDS`), `colours` (hex codes between commas or spaces), `calm` (`top`,
    `bottom`, `left`, `right` or `centre`). Each outweighs what the prompt says.
    """

    id: ClassVar[str] = "local"
    label: ClassVar[str] = N_("Built in")
    built_in: ClassVar[bool] = True

    def available(self) -> Availability:
        """Always: there is nothing to configure."""
        return Availability(ok=True)

    def models(self) -> tuple[ModelSpec, ...]:
        """Return the one model."""
        return (STUDIO,)

    def _generate(self, spec: ModelSpec, request: ImageRequest) -> ImageResult:
        first = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
        images = tuple(self._draw(request, first + i) for i in range(request.n))
        return ImageResult(images=images, usage=Usage(), model_returned=spec.id)

    def _draw(self, request: ImageRequest, seed: int) -> ImagePayload:
        wish = Wish(
            prompt=request.prompt,
            seed=seed,
            negative_prompt=request.negative_prompt or "",
            kind=_kind(request.hints.get("kind")),
            colours=_colours(request.hints.get("colours")),
            calm=_calm(request.hints.get("calm")),
        )
        with _drawing_slots:
            pixels = picture(wish, request.width, request.height)
            data = encode(pixels, request.output_format)
        return ImagePayload(data=data, mime_type=MIME_TYPES[request.output_format], seed=seed)


def _kind(text: str | None) -> str | None:
    if text and text not in kinds.BY_ID:
        raise _refused(
            N_("The studio draws no “{kind}”. Choose one of: {choices}.").format(
                kind=text, choices=", ".join(kinds.BY_ID)
            ),
            "kind",
        )
    return text or None


def _colours(text: str | None) -> list[Lab]:
    try:
        return [colour.parse_hex(word) for word in (text or "").replace(",", " ").split()][:_MAX_COLOURS]
    except ValueError as error:
        raise _refused(N_("Write colours like #ff7a3d, with commas between them."), "colours") from error


def _calm(text: str | None) -> Calm | None:
    try:
        return Calm(text) if text else None
    except ValueError as error:
        raise _refused(N_("The calm area can be: {choices}.").format(choices=", ".join(Calm)), "calm") from error


def _refused(sentence: str, about: str) -> ProviderError:
    return ProviderError(sentence, kind=ErrorKind.BAD_REQUEST, outcome=Outcome.NOT_SENT, field=about)
