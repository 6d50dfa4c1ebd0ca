"""WebP: RIFF chunks; metadata needs the extended form with a VP8X chunk (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from imagegen.imaging.containers import exif
from imagegen.imaging.containers.base import Malformed, Structure, counted

_PROFILE, _ALPHA, _EXIF, _XMP_FLAG, _ANIMATION = 0x20, 0x10, 0x08, 0x04, 0x02
_PICTURES = (b"VP8 ", b"VP8L", b"ANMF")
_PIXELS = (b"VP8 ", b"VP8L")
_FRAME_HEADER = 16


class Chunk(NamedTuple):
    """A chunk's type and data, without padding."""

    kind: bytes
    body: bytes


def _chunks(data: bytes) -> tuple[list[Chunk], int]:
    """Return the chunks and where the file's own length says that it ends."""
    if len(data) < 20 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise Malformed("no WebP header")
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise Malformed("cut")
    return _chunks_between(data, 12, end), end


def _chunks_between(data: bytes, at: int, end: int) -> list[Chunk]:
    return list(counted(_any_chunks(data, at, end)))


def _any_chunks(data: bytes, at: int, end: int) -> Iterator[Chunk]:
    while at + 8 <= end:
        (length,) = struct.unpack_from("<I", data, at + 4)
        if at + 8 + length > end:
            raise Malformed("cut")
        yield Chunk(data[at : at + 4], data[at + 8 : at + 8 + length])
        at += 8 + length + (length & 1)


def parse(data: bytes) -> Structure:
    """Check that the chunks fill the file's stated length and hold a picture."""
    chunks, end = _chunks(data)
    kinds = [chunk.kind for chunk in chunks]
    if not any(kind in _PICTURES for kind in kinds):
        raise Malformed("no pixels")
    return Structure(data[:end], max(1, kinds.count(b"ANMF")))


def is_lossless(data: bytes) -> bool:
    """Tell whether the (first) picture is of the lossless kind."""
    return any(chunk.kind == b"VP8L" for chunk in _chunks(data)[0])


def with_xmp(data: bytes, packet: bytes) -> bytes:
    """Return `data` in the extended form with `packet` in a chunk at its end."""
    chunks = [chunk for chunk in _chunks(data)[0] if chunk.kind != b"XMP "]
    if chunks[0].kind != b"VP8X":
        chunks.insert(0, _extended_header(chunks[0]))
    header = bytearray(chunks[0].body)
    header[0] |= _XMP_FLAG
    chunks[0] = Chunk(b"VP8X", bytes(header))
    chunks.append(Chunk(b"XMP ", packet))
    return _file(chunks)


def _file(chunks: list[Chunk]) -> bytes:
    body = b"WEBP" + _written(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _written(chunks: list[Chunk]) -> bytes:
    return b"".join(
        chunk.kind + struct.pack("<I", len(chunk.body)) + chunk.body + b"\0" * (len(chunk.body) & 1)
        for chunk in chunks
    )


def _extended_header(picture: Chunk) -> Chunk:
    """Return the VP8X chunk for a simple file with the one chunk `picture`."""
    width, height, alpha = _lossless_size(picture.body) if picture.kind == b"VP8L" else _lossy_size(picture)
    if not width or not height:
        raise Malformed("no size")
    flags = _ALPHA if alpha else 0
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return Chunk(b"VP8X", bytes((flags, 0, 0, 0)) + size)


def _lossless_size(body: bytes) -> tuple[int, int, bool]:
    if len(body) < 5 or body[0] != 0x2F:
        raise Malformed("no lossless header")
    (bits,) = struct.unpack_from("<I", body, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)


def _lossy_size(picture: Chunk) -> tuple[int, int, bool]:
    if picture.kind != b"VP8 " or len(picture.body) < 10 or picture.body[3:6] != b"\x9d\x01\x2a":
        raise Malformed("no lossy header")
    width, height = struct.unpack_from("<HH", picture.body, 6)
    return width & 0x3FFF, height & 0x3FFF, False


def read_xmp(data: bytes) -> bytes | None:
    """Return the packet of the XMP chunk."""
    return next((chunk.body for chunk in _chunks(data)[0] if chunk.kind == b"XMP "), None)


def read_exif(data: bytes) -> bytes | None:
    """Return the EXIF chunk's TIFF file; some writers put JPEG's head before it."""
    found = next((chunk.body for chunk in _chunks(data)[0] if chunk.kind == b"EXIF"), None)
    return found.removeprefix(b"Exif\0\0") if found else None


def bare(data: bytes, *, orientation: int, profile: bool) -> bytes:
    """Return `data` with the picture's chunks; of an animation the first frame, as an animation of one."""
    found, _end = _chunks(data)
    kinds = [chunk.kind for chunk in found]
    if b"ANMF" in kinds:
        frame = found[kinds.index(b"ANMF")].body
        pixels = [Chunk(b"ANIM", chunk.body[:6]) for chunk in found if chunk.kind == b"ANIM"][:1]
        pixels.append(Chunk(b"ANMF", frame[:_FRAME_HEADER] + _written(_pixels(_in_frame(frame)))))
    else:
        pixels = _pixels(found)
    profiles = [chunk for chunk in found if chunk.kind == b"ICCP"][:1] if profile else []
    words = [] if orientation == exif.UPRIGHT else [Chunk(b"EXIF", exif.only_orientation(orientation))]
    if found[0].kind != b"VP8X" and not words:
        return _file(pixels)
    header = found[0] if found[0].kind == b"VP8X" else _extended_header(pixels[0])
    flags = header.body[0] & (_ALPHA | _ANIMATION) | (_PROFILE if profiles else 0) | (_EXIF if words else 0)
    return _file([Chunk(b"VP8X", bytes((flags, 0, 0, 0)) + header.body[4:10]), *profiles, *pixels, *words])


def _in_frame(frame: bytes) -> list[Chunk]:
    return _chunks_between(frame, _FRAME_HEADER, len(frame))


def _pixels(chunks: list[Chunk]) -> list[Chunk]:
    """Return the (first) picture's chunk, and its one transparency if it is lossy; Malformed if there is none."""
    alpha: list[Chunk] = []
    for chunk in chunks:
        if chunk.kind == b"ALPH":
            alpha = alpha or [chunk]
        elif chunk.kind in _PIXELS:
            return [*(alpha if chunk.kind == b"VP8 " else ()), chunk]
    raise Malformed("no pixels")
