"""From a shape that a platform wants to a size that a model draws, and what to trim to get there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor

from imagegen.core.text import N_
from imagegen.providers.specs import ModelSpec, Size, SizeRule, cannot, size_text

MOST_TRIMMED = Fraction(2, 100)
"""The share of a picture's area that may be cut off without asking."""

LONGEST_EDGE = 65_535
_WRITTEN = re.compile(r"\s*([0-9]{1,5})\s*[x\N{MULTIPLICATION SIGN}X*]\s*([0-9]{1,5})\s*")


@dataclass(frozen=True, slots=True)
class Ratio:
    """A shape: its id as people write it, its exact value, its name, where it is used, and at what size."""

    id: str
    value: Fraction
    name: str
    hint: str
    wanted: Size


RATIOS: dict[str, Ratio] = {
    ratio.id: ratio
    for ratio in (
        Ratio(
            "1:1",
            Fraction(1),
            N_("Square"),
            N_("Instagram, Facebook and LinkedIn post, 1080 \N{MULTIPLICATION SIGN} 1080"),
            (1080, 1080),
        ),
        Ratio(
            "4:5",
            Fraction(4, 5),
            N_("Portrait"),
            N_("Instagram portrait, 1080 \N{MULTIPLICATION SIGN} 1350"),
            (1080, 1350),
        ),
        Ratio(
            "3:4",
            Fraction(3, 4),
            N_("Tall"),
            N_("Instagram profile grid, Threads, 1080 \N{MULTIPLICATION SIGN} 1440"),
            (1080, 1440),
        ),
        Ratio(
            "9:16",
            Fraction(9, 16),
            N_("Story"),
            N_("Stories, Reels and TikTok, 1080 \N{MULTIPLICATION SIGN} 1920"),
            (1080, 1920),
        ),
        Ratio(
            "16:9",
            Fraction(16, 9),
            N_("Wide"),
            N_("X, YouTube thumbnails and blog covers, 1600 \N{MULTIPLICATION SIGN} 900"),
            (1600, 900),
        ),
        Ratio(
            "1.91:1",
            Fraction(191, 100),
            N_("Link"),
            N_("Link previews on Facebook, LinkedIn and X, 1200 \N{MULTIPLICATION SIGN} 628"),
            (1200, 628),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class SizeChoice:
    """The size to ask a model for, and what to do with the picture that comes.

    `crop` (width, height; from the middle) is done without asking: it gives the exact ratio and costs at most
    2 % of the area. `offered` costs more, so a person decides. Neither is set when the size has the ratio.
    """

    width: int
    height: int
    crop: Size | None = None
    offered: Size | None = None

    @property
    def size(self) -> Size:
        """Return the size to ask for."""
        return (self.width, self.height)

    @property
    def delivered(self) -> Size:
        """Return the size of the picture that a person gets without being asked."""
        return self.crop or self.size


def ratio_named(ratio_id: str) -> Ratio:
    """Return the ratio written `ratio_id`; raise ProviderError with a sentence that names those there are."""
    try:
        return RATIOS[ratio_id]
    except KeyError:
        raise cannot(
            N_("There is no aspect ratio “{ratio}”. Choose one of: {choices}.").format(
                ratio=ratio_id, choices=", ".join(RATIOS)
            ),
            "aspect_ratio",
        ) from None


def parse_size(text: str) -> Size:
    """Return the size written as `1024x1792`; raise ProviderError with a sentence if it is none."""
    written = _WRITTEN.fullmatch(text)
    size = (int(written[1]), int(written[2])) if written else (0, 0)
    if not all(0 < edge <= LONGEST_EDGE for edge in size):
        raise cannot(
            N_("A size is a width and a height in pixels, like 1024x1280, not “{size}”.").format(size=text),
            "size",
        )
    return size


def size_for_ratio(spec: ModelSpec, ratio: str) -> SizeChoice:
    """Return the size nearest to `ratio` that `spec` draws, not smaller than its platform wants.

    A model that cannot draw that large gives what comes nearest in shape. Raises ProviderError for an
    unknown ratio.
    """
    return _choice(spec.sizes, ratio_named(ratio))


def exact_size(spec: ModelSpec, asked: Size | str) -> SizeChoice:
    """Return the size `asked` (or written `1024x1792`) if `spec` draws it.

    Raises ProviderError with a sentence that names the nearest size if it does not.
    """
    size = parse_size(asked) if isinstance(asked, str) else asked
    if spec.draws(size):
        return SizeChoice(*size)
    raise cannot(
        N_("{model} does not draw {size} pixels. The nearest size that it draws is {nearest}.").format(
            model=spec.label, size=size_text(size), nearest=size_text(nearest_size(spec, size))
        ),
        "size",
    )


def nearest_size(spec: ModelSpec, size: Size) -> Size:
    """Return the size that `spec` draws whose shape, then area, comes nearest to `size`."""
    wanted = Fraction(*size)
    area = size[0] * size[1]

    def distance(candidate: Size) -> tuple[Fraction, int]:
        return (_trimmed(candidate, wanted), abs(candidate[0] * candidate[1] - area))

    if isinstance(spec.sizes, tuple):
        return min(spec.sizes, key=distance)
    around = [found for found in _around(spec.sizes, size) if spec.draws(found)]
    return min(around or _candidates(spec.sizes, wanted), key=distance)


@lru_cache(maxsize=1024)
def _choice(sizes: tuple[Size, ...] | SizeRule, ratio: Ratio) -> SizeChoice:
    candidates = sizes if isinstance(sizes, tuple) else tuple(_candidates(sizes, ratio.value))
    best = min(candidates, key=lambda size: _rank(size, ratio))
    return _with_crop(best, ratio.value)


def _rank(size: Size, ratio: Ratio) -> tuple[Fraction, bool, int]:
    """Order sizes: by what must be cut off (small trims count alike), large enough, then the smallest.

    Where none is large enough the largest comes first.
    """
    crop = crop_to(size, ratio.value)
    trimmed = _trimmed(size, ratio.value)
    too_small = crop[0] < ratio.wanted[0] or crop[1] < ratio.wanted[1]
    area = size[0] * size[1]
    return (trimmed if trimmed > MOST_TRIMMED else Fraction(0), too_small, -area if too_small else area)


def _candidates(rule: SizeRule, value: Fraction) -> Iterator[Size]:
    """Yield, for each height, the two widths beside the ratio; at a rule's bounds, what lies inside them."""
    found = False
    shape = min(max(value, Fraction(rule.min_ratio)), Fraction(rule.max_ratio))
    for height in range(rule.multiple, rule.max_edge + 1, rule.multiple):
        steps = shape * height / rule.multiple
        for width in {floor(steps) * rule.multiple, ceil(steps) * rule.multiple}:
            if width and rule.allows((width, height)):
                found = True
                yield (width, height)
    if not found:
        raise ValueError(f"a size rule that allows nothing: {rule}")


def _around(rule: SizeRule, size: Size) -> Iterator[Size]:
    """Yield the sizes on the rule's grid that surround `size`."""
    step = rule.multiple
    for width in {size[0] // step * step, -(-size[0] // step) * step}:
        for height in {size[1] // step * step, -(-size[1] // step) * step}:
            if width and height:
                yield (width, height)


def _with_crop(size: Size, value: Fraction) -> SizeChoice:
    crop = crop_to(size, value)
    if crop == size:
        return SizeChoice(*size)
    if _lost(size, crop) <= MOST_TRIMMED:
        return SizeChoice(*size, crop=crop)
    return SizeChoice(*size, offered=crop)


def crop_to(size: Size, value: Fraction) -> Size:
    """Return the largest part of `size` with the ratio `value`.

    Exact to the fraction where that costs no more than the unasked trim, else exact to the pixel
    (1.91:1 is exact only in steps of 191 pixels).
    """
    width, height = size
    steps = min(width // value.numerator, height // value.denominator)
    exact = (steps * value.numerator, steps * value.denominator)
    rounded = (width, round(width / value)) if width < height * value else (round(height * value), height)
    rounded = (min(rounded[0], width), min(rounded[1], height))
    cheap = steps > 0 and _lost(size, exact) <= max(MOST_TRIMMED, _lost(size, rounded))
    return exact if cheap else rounded


def _trimmed(size: Size, value: Fraction) -> Fraction:
    """Return the share of the area that lies outside the ratio `value`."""
    shape = Fraction(*size)
    return 1 - min(shape / value, value / shape)


def _lost(size: Size, crop: Size) -> Fraction:
    return 1 - Fraction(crop[0] * crop[1], size[0] * size[1])
