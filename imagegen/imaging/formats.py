"""The picture formats that the studio knows, as one table."""

from __future__ import annotations

from dataclasses import dataclass

from imagegen.imaging.containers import gif, heif, jpeg, png, webp
from imagegen.imaging.containers.base import Container


@dataclass(frozen=True)
class Format:
    """A format: its names in other people's tables, and how its first bytes look.

    `loader` is libvips' function for it; None where Pillow decodes it. `magic` holds (offset, bytes) pairs, one
    alternative per tuple; all pairs of an alternative must match.
    """

    name: str
    label: str
    mime_type: str
    extension: str
    pillow: str
    loader: str | None
    container: Container
    magic: tuple[tuple[tuple[int, bytes], ...], ...]


_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands of files from telephones (ISO/IEC 23008-12, annex B); the last two leave open what compresses the pixels."""

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
            heif,
            (((4, b"ftypavif"),), ((4, b"ftypavis"),)),
        ),
        Format("heic", "HEIC", "image/heic", "heic", "HEIF", None, heif, tuple(((4, b"ftyp" + b),) for b in _HEIC)),
    )
}


def recognise(data: bytes) -> Format | None:
    """Return the format that the first bytes of `data` announce; names and media types are not asked."""
    for one in FORMATS.values():
        if any(all(data.startswith(mark, at) for at, mark in alternative) for alternative in one.magic):
            return one
    return None
