"""The picture formats that the studio knows, as one table."""

from __future__ import annotations

from dataclasses import dataclass

from imagegen.imaging.containers import avif, gif, jpeg, png, webp
from imagegen.imaging.containers.base import Container


@dataclass(frozen=True)
class Format:
    """A format: its names in other people's tables, and how its first bytes look.

    `magic` holds (offset, bytes) pairs, one alternative per tuple; all pairs of an alternative must match.
    """

    name: str
    label: str
    mime_type: str
    extension: str
    pillow: str
    loader: str
    container: Container
    magic: tuple[tuple[tuple[int, bytes], ...], ...]


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("png", "PNG", "image/png", "png", "PNG", "pngload_buffer", png, (((0, png.SIGNATURE),),)),
        Format("jpeg", "JPEG", "image/jpeg", "jpg", "JPEG", "jpegload_buffer", jpeg, (((0, b"\xff\xd8\xff"),),)),
        Format(
            "webp",
            "WebP",
            "image/webp",
            "webp",
            "WEBP",
            "webpload_buffer",
            webp,
            (((0, b"RIFF"), (8, b"WEBP")),),
        ),
        Format("gif", "GIF", "image/gif", "gif", "GIF", "gifload_buffer", gif, (((0, b"GIF8"),),)),
        Format(
            "avif",
            "AVIF",
            "image/avif",
            "avif",
            "AVIF",
            "heifload_buffer",
            avif,
            (((4, b"ftypavif"),), ((4, b"ftypavis"),)),
        ),
    )
}


def recognise(data: bytes) -> Format | None:
    """Return the format that the first bytes of `data` announce; names and media types are not asked."""
    for one in FORMATS.values():
        if any(all(data.startswith(mark, at) for at, mark in alternative) for alternative in one.magic):
            return one
    return None
