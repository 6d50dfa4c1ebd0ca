"""What a picture looks like, in a few bytes: a blurred placeholder, its colours, a hash of its shapes."""

from __future__ import annotations

import base64
import math
from operator import mul
from statistics import median

import pyvips
from PIL import Image

from imagegen.imaging.facts import Looks

PLACEHOLDER_LIMIT = 400
_PLACEHOLDERS = ((16, 40), (12, 25), (8, 10))
"""Long side and WebP quality, tried until the data URI is short enough."""
_COLOURS = 5
_SIDE = 32
_LOW = 8
_COSINES = [[math.cos(math.pi * k * (2 * n + 1) / (2 * _SIDE)) for n in range(_SIDE)] for k in range(_LOW)]


def look(image: pyvips.Image) -> Looks:
    """Return the looks of `image` (sRGB, 8 bits; a small rendition is enough)."""
    opaque = image.flatten(background=255) if image.hasalpha() else image
    opaque = opaque.copy_memory()
    return Looks(placeholder=_placeholder(opaque), colours=_colours(opaque), phash=_phash(opaque))


def _forced(image: pyvips.Image, side: int) -> pyvips.Image:
    return image.thumbnail_image(side, height=side, size="force", no_rotate=True)


def _placeholder(image: pyvips.Image) -> str:
    """Return a tiny WebP as a data URI; a page may show it under `img-src data:` without any style."""
    uri = ""
    for side, quality in _PLACEHOLDERS:
        tiny = image.thumbnail_image(side, height=side, size="down", no_rotate=True)
        data = tiny.webpsave_buffer(Q=quality, effort=4, keep="none")
        uri = "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
        if len(uri) < PLACEHOLDER_LIMIT:
            break
    return uri


def _colours(image: pyvips.Image) -> tuple[str, ...]:
    small = _forced(image, _SIDE)
    pixels = Image.frombytes("RGB", (_SIDE, _SIDE), small.write_to_memory())
    counted = pixels.quantize(_COLOURS, kmeans=1).convert("RGB").getcolors(_SIDE * _SIDE) or []
    ordered = sorted(counted, key=lambda one: -one[0])
    return tuple(f"#{bytes(colour).hex()}" for _, colour in ordered if isinstance(colour, tuple))


def _phash(image: pyvips.Image) -> str:
    """Return the perceptual hash of Zauner (2010): signs of the 64 lowest frequencies around their median."""
    grey = _forced(image.colourspace("b-w"), _SIDE).write_to_memory()
    rows = [grey[at : at + _SIDE] for at in range(0, _SIDE * _SIDE, _SIDE)]
    across = [[sum(map(mul, row, wave)) for row in rows] for wave in _COSINES]
    waves = [sum(map(mul, column, wave)) for wave in _COSINES for column in across]
    middle = median(waves[1:])  # the first is the brightness of the whole, which says nothing about shapes
    bits = "".join("1" if one > middle else "0" for one in waves)
    return f"{int(bits, 2):016x}"
