"""WebP: RIFF chunks; metadata needs the extended form with a VP8X chunk (RFC 9649)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from imagegen.imaging.containers.base import Malformed, Structure

_ALPHA, _XMP_FLAG = 0x10, 0x04
_PICTURES = (b"VP8 ", b"VP8L", b"ANMF")


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
    chunks, at = [], 12
    while at + 8 <= end:
        (length,) = struct.unpack_from("<I", data, at + 4)
        if at + 8 + length > end:
            raise Malformed("cut")
        chunks.append(Chunk(data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + (length & 1)
    return chunks, end


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
    body = b"WEBP" + b"".join(
        chunk.kind + struct.pack("<I", len(chunk.body)) + chunk.body + b"\0" * (len(chunk.body) & 1)
        for chunk in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


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
