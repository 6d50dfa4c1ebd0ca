"""What a model is and can do, as data; pages, checks and prices read it from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from imagegen.core.errors import ErrorKind
from imagegen.core.text import N_
from imagegen.providers.errors import Outcome, ProviderError

Size = tuple[int, int]
"""Width and height in pixels."""

PNG, JPEG, WEBP = "png", "jpeg", "webp"
MIME_TYPES: dict[str, str] = {PNG: "image/png", JPEG: "image/jpeg", WEBP: "image/webp"}
FORMATS_WITH_ALPHA = frozenset({PNG, WEBP})

AUTO, OPAQUE, TRANSPARENT = "auto", "opaque", "transparent"
BACKGROUNDS = (AUTO, OPAQUE, TRANSPARENT)

QUALITY_SYNONYMS: dict[str, str] = {
    "standard": "medium",
    "hd": "high",
    "low": "standard",
    "medium": "standard",
    "high": "hd",
}
"""What a quality is called by models that do not know the name: old DALL·E words, and the way back."""


def size_text(size: Size) -> str:
    """Return `size` as people read it, with a real multiplication sign."""
    return "{} \N{MULTIPLICATION SIGN} {}".format(*size)


class Operation(StrEnum):
    """What a model can be asked to do."""

    GENERATE = "generate"
    EDIT = "edit"


class Feature(StrEnum):
    """What a model may understand beside a prompt and a size."""

    SEED = "seed"
    NEGATIVE_PROMPT = "negative_prompt"
    TRANSPARENT = "transparent"
    REFERENCES = "references"
    MASK = "mask"
    PARTIALS = "partials"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule:
    """The sizes of a model that draws freely: any whole `multiple` within these bounds.

    Ratios are width / height; pixels are their product.
    """

    multiple: int
    min_ratio: float
    max_ratio: float
    max_edge: int
    min_pixels: int
    max_pixels: int
    min_edge: int = 1

    def allows(self, size: Size) -> bool:
        """Tell whether the model draws exactly `size`."""
        width, height = size
        return (
            min(size) >= max(self.min_edge, 1)
            and max(size) <= self.max_edge
            and width % self.multiple == 0
            and height % self.multiple == 0
            and self.min_ratio <= width / height <= self.max_ratio
            and self.min_pixels <= width * height <= self.max_pixels
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What one model is and can do.

    `qualities` may be empty (there is just one); `typical_seconds` is keyed by quality, by "" if there are none.
    """

    id: str
    provider: str
    label: str
    summary: str
    sizes: tuple[Size, ...] | SizeRule
    default_size: Size
    max_prompt_chars: int
    operations: frozenset[Operation] = frozenset({Operation.GENERATE})
    qualities: tuple[str, ...] = ()
    default_quality: str | None = None
    output_formats: tuple[str, ...] = (PNG,)
    max_images_per_call: int = 1
    supports: frozenset[Feature] = frozenset()
    typical_seconds: Mapping[str, float] = field(default_factory=dict)
    shutdown_date: date | None = None
    replaced_by: str | None = None

    def draws(self, size: Size) -> bool:
        """Tell whether the model draws exactly `size` (width, height in pixels)."""
        if isinstance(self.sizes, SizeRule):
            return self.sizes.allows(size)
        return size in self.sizes

    def quality_named(self, name: str | None) -> str | None:
        """Return the model's own word for the quality `name`; None for a model that has just one.

        None and "auto" mean the model's default. Raises ProviderError for a word that it does not know.
        """
        if not self.qualities:
            return None
        if name is None or name == AUTO:
            return self.default_quality
        if (word := self._quality(name)) is not None:
            return word
        raise cannot(
            N_("{model} has no quality “{quality}”. Choose one of: {choices}.").format(
                model=self.label, quality=name, choices=", ".join(self.qualities)
            ),
            "quality",
        )

    def has_quality(self, name: str | None) -> bool:
        """Tell whether the model knows the quality `name`, by its own word or a synonym."""
        return name is not None and self._quality(name) is not None

    def _quality(self, name: str) -> str | None:
        return next((word for word in (name, QUALITY_SYNONYMS.get(name)) if word in self.qualities), None)

    def seconds(self, quality: str | None = None) -> float | None:
        """Return how long one call at `quality` usually takes, in seconds; None if that is not known."""
        return self.typical_seconds.get(self.quality_named(quality) or "")

    def retires(self, today: date) -> str | None:
        """Return a sentence if the provider has announced the end of this model, else None."""
        if self.shutdown_date is None:
            return None
        gone, coming = N_("{model} was shut down on {date}."), N_("{model} will be shut down on {date}.")
        sentence = gone if today >= self.shutdown_date else coming
        sentence = sentence.format(model=self.label, date=self.shutdown_date.isoformat())
        if self.replaced_by is None:
            return sentence
        return sentence + " " + N_("Use {successor} instead.").format(successor=self.replaced_by)


def cannot(sentence: str, about: str) -> ProviderError:
    """Return the error of a request that is not sent: `sentence` says why, `about` names the field."""
    return ProviderError(sentence, kind=ErrorKind.BAD_REQUEST, outcome=Outcome.NOT_SENT, field=about)
