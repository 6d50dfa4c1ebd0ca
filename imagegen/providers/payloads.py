"""Tell by the first bytes what a provider delivered; no name and no media type is believed."""

from __future__ import annotations

from imagegen.providers.calls import ImagePayload
from imagegen.providers.specs import MIME_TYPES

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (8, b"WEBP", "webp"),
)


def recognised(data: bytes) -> ImagePayload | None:
    """Return `data` as the picture that it looks like, not decoded; None if it is no PNG, JPEG or WebP."""
    for offset, signature, name in _SIGNATURES:
        if data.startswith(signature, offset):
            return ImagePayload(data=data, mime_type=MIME_TYPES[name])
    return None
