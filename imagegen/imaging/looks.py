"""What a picture looks like, in a few bytes: a blurred placeholder, its colours, a hash of its shapes."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from operator import mul
from statistics import median

import pyvips
from PIL import Image

from imagegen.imaging.facts import Looks

PLACEHOLDER_LIMIT = 400
_PLACEHOLDERS = ((16, 40), (12, 25), (8, 10))
"""Long side and WebP quality, tried until the data URI is short enough."""
_OPAQUE = 255
_COLOURS = 5
_SIDE = 32
_LOW = 8
_LEAST_CONTRAST = 8
"""Shades between the darkest and the lightest below which a picture shows nothing but what its encoder left."""
_COSINES = [[math.cos(math.pi * k * (2 * n + 1) / (2 * _SIDE)) for n in range(_SIDE)] for k in range(_LOW)]


def look(image: pyvips.Image) -> Looks:
    """Return the looks of `image` (sRGB, 8 bits; a small rendition is enough)."""
    opaque = image.flatten(background=255) if image.hasalpha() else image
    # So few pixels are Pillow's work: libvips takes longer to set its threads up than to scale them.
    small = Image.frombuffer("RGB", (opaque.width, opaque.height), opaque.write_to_memory())
    tiny = small.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    # Through what is transparent a placeholder would be seen for good.
    placeholder = "" if opaque is not image and _shows_through(image) else _placeholder(small)
    return Looks(placeholder=placeholder, colours=_colours(tiny), phash=_phash(tiny))


def _shows_through(image: pyvips.Image) -> bool:
    """Tell whether any pixel is not opaque: many a picture has an alpha channel for nothing."""
    return bool(image.extract_band(image.bands - 1).min() < _OPAQUE)


def _placeholder(image: Image.Image) -> str:
    """Return a tiny WebP as a data URI; a page may show it under `img-src data:` without any style."""
    uri = ""
    for side, quality in _PLACEHOLDERS:
        tiny, buffer = image.copy(), BytesIO()
        tiny.thumbnail((side, side), Image.Resampling.LANCZOS)
        tiny.save(buffer, "WEBP", quality=quality)
        uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
        if len(uri) < PLACEHOLDER_LIMIT:
            break
    return uri


def _colours(image: Image.Image) -> tuple[str, ...]:
    counted = image.quantize(_COLOURS, kmeans=1).convert("RGB").getcolors(_SIDE * _SIDE) or []
    ordered = sorted(counted, key=lambda one: -one[0])
    return tuple(f"#{bytes(colour).hex()}" for _, colour in ordered if isinstance(colour, tuple))


def _phash(image: Image.Image) -> str | None:
    """Return the perceptual hash of Zauner (2010): signs of the 64 lowest frequencies around their median.

    A picture of one shade has none: all of them would look alike.
    """
    grey = image.convert("L").tobytes()
    if max(grey) - min(grey) < _LEAST_CONTRAST:
        return None
    rows = [grey[at : at + _SIDE] for at in range(0, _SIDE * _SIDE, _SIDE)]
    across = [[sum(map(mul, row, wave)) for row in rows] for wave in _COSINES]
    waves = [sum(map(mul, column, wave)) for wave in _COSINES for column in across]
    middle = median(waves[1:])  # the first is the brightness of the whole, which says nothing about shapes
    bits = "".join("1" if one > middle else "0" for one in waves)
    return f"{int(bits, 2):016x}"
