"""OpenAI's image models as data: what each can do, when it ends, what follows it.

Sources: the API's specification with openai-python 3.52.0 (2026-11-16), OpenAI's deprecation page as of
2026-10-28. Times are what users report for 1024 by 1024; they are a first guess until calls were measured.
"""

from __future__ import annotations

from datetime import date

from imagegen.core.text import N_
from imagegen.providers.specs import JPEG, PNG, WEBP, Feature, ModelSpec, Size, SizeRule

PROVIDER_ID = "openai"
SUCCESSOR = "gpt-image-2.6-flare"

_LONGEST_PROMPT = 32_000
_MOST_PICTURES = 10
_SQUARE: Size = (1024, 1024)
_THREE_SIZES: tuple[Size, ...] = (_SQUARE, (1536, 1024), (1024, 1536))
_FREE_SIZES = SizeRule(
    multiple=16,
    min_ratio=1 / 3,
    max_ratio=3.0,
    max_edge=3840,
    min_pixels=655_360,
    max_pixels=8_294_400,
)
_QUALITIES = ("low", "medium", "high")
_FINER_QUALITIES = (*_QUALITIES, "xhigh", "max")
_QUICK = {"low": 8.0, "medium": 18.0, "high": 60.0, "xhigh": 90.0, "max": 120.0}
_THOROUGH = {"low": 15.0, "medium": 40.0, "high": 150.0, "xhigh": 190.0, "max": 250.0}


def _model(
    name: str,
    label: str,
    summary: str,
    *,
    sizes: tuple[Size, ...] | SizeRule,
    qualities: tuple[str, ...],
    seconds: dict[str, float],
    transparent: bool,
    shutdown_date: date | None = None,
) -> ModelSpec:
    return ModelSpec(
        id=name,
        provider=PROVIDER_ID,
        label=label,
        summary=summary,
        sizes=sizes,
        default_size=_SQUARE,
        qualities=qualities,
        default_quality="medium",
        output_formats=(PNG, JPEG, WEBP),
        max_prompt_chars=_LONGEST_PROMPT,
        max_images_per_call=_MOST_PICTURES,
        supports=frozenset({Feature.TRANSPARENT}) if transparent else frozenset(),
        typical_seconds={quality: seconds[quality] for quality in qualities},
        shutdown_date=shutdown_date,
        replaced_by=SUCCESSOR if shutdown_date else None,
    )


GPT_IMAGE_MODELS: tuple[ModelSpec, ...] = (
    _model(
        "gpt-image-2.6-flare",
        "GPT Image 2.6 Flare",
        N_("Fast, and good at text in pictures. The usual choice."),
        sizes=_FREE_SIZES,
        qualities=_FINER_QUALITIES,
        seconds=_QUICK,
        transparent=True,
    ),
    _model(
        "gpt-image-2.6-sunburst",
        "GPT Image 2.6 Sunburst",
        N_("Finer detail, for pictures that are looked at closely. Slower."),
        sizes=_FREE_SIZES,
        qualities=_FINER_QUALITIES,
        seconds=_THOROUGH,
        transparent=True,
    ),
    _model(
        "gpt-image-2.5-flare",
        "GPT Image 2.5 Flare",
        N_("The fast model before 2.6."),
        sizes=_FREE_SIZES,
        qualities=_FINER_QUALITIES,
        seconds=_QUICK,
        transparent=True,
    ),
    _model(
        "gpt-image-2.5-sunburst",
        "GPT Image 2.5 Sunburst",
        N_("The detailed model before 2.6."),
        sizes=_FREE_SIZES,
        qualities=_FINER_QUALITIES,
        seconds=_THOROUGH,
        transparent=True,
    ),
    # Transparent backgrounds are a preview here, for selected accounts only: not offered.
    _model(
        "gpt-image-2",
        "GPT Image 2",
        N_("The model of spring 2026, with well-known prices."),
        sizes=_FREE_SIZES,
        qualities=_QUALITIES,
        seconds=_THOROUGH,
        transparent=False,
    ),
    _model(
        "gpt-image-1.5",
        "GPT Image 1.5",
        N_("An older model that ends soon."),
        sizes=_THREE_SIZES,
        qualities=_QUALITIES,
        seconds=_THOROUGH,
        transparent=True,
        shutdown_date=date(2026, 12, 1),
    ),
    _model(
        "gpt-image-1-mini",
        "GPT Image 1 mini",
        N_("The cheapest older model; it ends soon."),
        sizes=_THREE_SIZES,
        qualities=_QUALITIES,
        seconds=_QUICK,
        transparent=True,
        shutdown_date=date(2026, 12, 1),
    ),
)

GONE: dict[str, tuple[str, date]] = {
    "dall-e-2": ("DALL·E 2", date(2026, 5, 12)),
    "dall-e-3": ("DALL·E 3", date(2026, 5, 12)),
    "gpt-image-1": ("GPT Image 1", date(2026, 10, 23)),
    "chatgpt-image-latest": ("ChatGPT Image", date(2026, 12, 1)),
}
"""Models that OpenAI has ended or is about to end and that are not offered: their name and their last day."""

COMPATIBLE_MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        id="dall-e-3",
        provider=PROVIDER_ID,
        label="DALL·E 3",
        summary=N_("A name that many OpenAI-compatible servers give to their model."),
        sizes=(_SQUARE, (1792, 1024), (1024, 1792)),
        default_size=_SQUARE,
        qualities=("standard", "hd"),
        default_quality="standard",
        max_prompt_chars=4000,
    ),
    ModelSpec(
        id="dall-e-2",
        provider=PROVIDER_ID,
        label="DALL·E 2",
        summary=N_("A name that many OpenAI-compatible servers give to their model."),
        sizes=((256, 256), (512, 512), _SQUARE),
        default_size=_SQUARE,
        max_prompt_chars=1000,
        max_images_per_call=10,
    ),
)
"""Offered only where the base URL is not OpenAI's own: compatible servers still go by these names."""

COMPATIBLE_IDS = frozenset(spec.id for spec in COMPATIBLE_MODELS)
