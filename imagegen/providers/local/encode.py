"""From pixels to a file's bytes."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from imagegen.providers.local.colour import Bytes

_OPTIONS: dict[str, dict[str, Any]] = {
    # Level 1: the grain leaves little to compress, and higher levels take seconds to find that out.
    "png": {"compress_level": 1},
    "jpeg": {"quality": 93, "subsampling": 0},
    "webp": {"quality": 92, "method": 2},
}

FORMATS: tuple[str, ...] = tuple(_OPTIONS)


def encode(pixels: Bytes, image_format: str) -> bytes:
    """Return `pixels`, 8-bit sRGB of shape (rows, columns, 3), as a PNG, JPEG or WebP file.

    Raises KeyError for another format.
    """
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, image_format.upper(), **_OPTIONS[image_format])
    return out.getvalue()
