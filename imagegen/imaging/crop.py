"""Cutting a picture to a size."""

from __future__ import annotations

import pyvips


def centred(image: pyvips.Image, width: int, height: int) -> pyvips.Image:
    """Return the middle of `image` in exactly `width` by `height`.

    If the picture is smaller than that in either direction, nothing is enlarged: the result is then the
    largest middle part of the same proportions.
    """
    scale = min(1.0, image.width / width, image.height / height)
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    width, height = min(width, image.width), min(height, image.height)
    return image.crop((image.width - width) // 2, (image.height - height) // 2, width, height)
