"""Encoding pixels into a file of a chosen format, with the packet that says how they were made."""

from __future__ import annotations

from typing import Any

import pyvips

from imagegen.imaging.containers import webp
from imagegen.imaging.containers.base import Malformed
from imagegen.imaging.errors import Unreadable
from imagegen.imaging.formats import FORMATS, Format
from imagegen.imaging.intake import Picture

_SAVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("pngsave_buffer", {"compression": 6}),
    "jpeg": ("jpegsave_buffer", {"Q": 92, "optimize_coding": True, "subsample_mode": "off"}),
    "webp": ("webpsave_buffer", {"Q": 90, "effort": 2, "smart_subsample": True}),
    "avif": ("heifsave_buffer", {"compression": "av1", "Q": 75, "effort": 2}),
    "gif": ("gifsave_buffer", {}),
}


def encode(image: pyvips.Image, target: Format, packet: bytes | None, **options: Any) -> bytes:
    """Return `image` as a file of `target`, with its colour profile and `packet` and nothing else."""
    saver, defaults = _SAVERS[target.name]
    if target.name == "jpeg" and image.hasalpha():
        image = image.flatten(background=255 if image.format == "uchar" else 65535)
    data: bytes = getattr(image, saver)(keep="icc", **(defaults | options))
    return with_packet(data, target, packet)


def encode_like(picture: Picture, image: pyvips.Image, packet: bytes | None) -> bytes:
    """Return `image` in the format of `picture`, lossless if that was."""
    lossless = picture.format.name == "webp" and webp.is_lossless(picture.data)
    options: dict[str, Any] = {"lossless": True} if lossless else {"Q": 95} if picture.format.name == "jpeg" else {}
    return encode(image, picture.format, packet, **options)


def with_packet(data: bytes, target: Format, packet: bytes | None) -> bytes:
    """Return `data` with `packet` put into its container; no pixel changes. Unreadable if that is broken."""
    try:
        return target.container.with_xmp(data, packet) if packet else data
    except Malformed as error:
        raise Unreadable() from error


def webp_with(data: bytes, packet: bytes | None) -> bytes:
    """Return a rendition's `data` with `packet`."""
    return with_packet(data, FORMATS["webp"], packet)
