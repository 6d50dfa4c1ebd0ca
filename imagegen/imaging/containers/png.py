"""PNG: a signature and chunks of length, type, data and CRC (W3C PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from imagegen.imaging.containers import exif
from imagegen.imaging.containers.base import Malformed, Structure, counted

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_INFLATED_TEXT = 8 << 20
"""All compressed text and profiles of one file together may grow to this many bytes."""
_XMP_HEAD = b"XML:com.adobe.xmp\0\0\0\0\0"
_KEYWORD_LIMIT = 80
_NEEDED = frozenset(b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB sBIT cICP mDCV cLLI pHYs".split())
"""Pixels and what their numbers mean; frames of an animation are not among it, so that the first one stays."""


class Chunk(NamedTuple):
    """A chunk's type and where it lies: `start` of its length field, `end` after its CRC."""

    kind: bytes
    start: int
    end: int


def _chunks(data: bytes, *, checked: bool = False) -> Iterator[Chunk]:
    """Yield the chunks up to IEND; Malformed if one is cut, or its CRC wrong where they were not `checked` before."""
    return counted(_any_chunks(data, checked=checked))


def _any_chunks(data: bytes, *, checked: bool) -> Iterator[Chunk]:
    if not data.startswith(SIGNATURE):
        raise Malformed("no PNG signature")
    view = memoryview(data)
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        (crc,) = struct.unpack_from(">I", data, end - 4)
        if not checked and zlib.crc32(view[at + 4 : end - 4]) != crc:
            raise Malformed("wrong CRC")
        chunk = Chunk(data[at + 4 : at + 8], at, end)
        yield chunk
        if chunk.kind == b"IEND":
            return
        at = end
    raise Malformed("cut")


def parse(data: bytes) -> Structure:
    """Check every chunk, and that no compressed text or profile grows without bounds."""
    frames, end, budget = 1, 0, MAX_INFLATED_TEXT
    kinds = set()
    for chunk in _chunks(data):
        kinds.add(chunk.kind)
        end = chunk.end
        if chunk.kind == b"acTL" and chunk.end - chunk.start >= 20:
            (frames,) = struct.unpack_from(">I", data, chunk.start + 8)
        budget -= _inflated_size(chunk.kind, data[chunk.start + 8 : chunk.end - 4], budget)
    if not {b"IHDR", b"IDAT"} <= kinds:
        raise Malformed("no pixels")
    return Structure(data[:end], max(1, frames))


def _inflated_size(kind: bytes, body: bytes, budget: int) -> int:
    """Return how many bytes the compressed part of a zTXt, iTXt or iCCP chunk becomes, at most `budget`."""
    if kind not in (b"zTXt", b"iTXt", b"iCCP"):
        return 0
    rest = body[body.find(b"\0", 0, _KEYWORD_LIMIT) + 1 :]
    if kind == b"iTXt":
        if rest[:1] != b"\1":
            return 0
        rest = rest[2:].split(b"\0", 2)[-1]  # behind the language and the translated keyword
    else:
        rest = rest[1:]
    inflater = zlib.decompressobj()
    try:
        size = len(inflater.decompress(rest, budget + 1))
    except zlib.error:
        return 0  # nobody can inflate it, so it does no harm
    if size > budget:
        raise Malformed("text that grows without bounds")
    return size


def _is_xmp(data: bytes, chunk: Chunk) -> bool:
    return chunk.kind == b"iTXt" and data.startswith(b"XML:com.adobe.xmp\0", chunk.start + 8)


def with_xmp(data: bytes, packet: bytes) -> bytes:
    """Return `data` with `packet` in an iTXt chunk right behind IHDR."""
    new = _chunk(b"iTXt", _XMP_HEAD + packet)
    parts = [SIGNATURE]
    for chunk in _chunks(data, checked=True):
        if not _is_xmp(data, chunk):
            parts.append(data[chunk.start : chunk.end])
        if chunk.kind == b"IHDR":
            parts.append(new)
    return b"".join(parts)


def read_xmp(data: bytes) -> bytes | None:
    """Return the packet of the first uncompressed XMP chunk."""
    for chunk in _chunks(data, checked=True):
        if _is_xmp(data, chunk) and data.startswith(_XMP_HEAD, chunk.start + 8):
            return data[chunk.start + 8 + len(_XMP_HEAD) : chunk.end - 4]
    return None


def read_exif(data: bytes) -> bytes | None:
    """Return the eXIf chunk's TIFF file."""
    for chunk in _chunks(data, checked=True):
        if chunk.kind == b"eXIf":
            return data[chunk.start + 8 : chunk.end - 4]
    return None


def bare(data: bytes, *, orientation: int, profile: bool) -> bytes:
    """Return `data` with the chunks that pixels need; a turned picture gets an eXIf chunk right behind IHDR."""
    parts = [SIGNATURE]
    for chunk in _chunks(data, checked=True):
        if chunk.kind == b"iCCP" and profile:
            parts.append(_chunk(b"iCCP", _unnamed(data[chunk.start + 8 : chunk.end - 4])))
        elif chunk.kind in _NEEDED:
            parts.append(data[chunk.start : chunk.end])
        if chunk.kind == b"IHDR" and orientation != exif.UPRIGHT:
            parts.append(_chunk(b"eXIf", exif.only_orientation(orientation)))
    return b"".join(parts)


def _unnamed(profile: bytes) -> bytes:
    """Return the body of an iCCP chunk without what somebody called the profile."""
    _name, end, rest = profile.partition(b"\0")
    return b"ICC" + end + rest


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
