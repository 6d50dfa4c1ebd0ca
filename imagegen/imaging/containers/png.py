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
_HEADER_LENGTH, _COLOUR_AT, _INDEXED = 13, 9, 3
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"pHYs": 9}
"""What the numbers of pixels mean, and in how many bytes it is said; each once, and before them (5.6, 11.3)."""
_SIGNIFICANT = {0: 1, 2: 3, _INDEXED: 3, 4: 2, 6: 4}
_TRANSPARENT = {0: 2, 2: 6}
"""Bytes of sBIT and tRNS, by the type of colour; where it has a palette, tRNS may be as long as that is."""


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
    """Return `data` with the chunks that pixels need; a turned picture gets an eXIf chunk right behind IHDR.

    Frames of an animation are not among them, so that the first one stays.
    """
    header, *chunks = _chunks(data, checked=True)
    if header.kind != b"IHDR" or _length(header) != _HEADER_LENGTH:
        raise Malformed("no header")
    colour = data[header.start + 8 + _COLOUR_AT]
    parts = [SIGNATURE, data[header.start : header.end]]
    if orientation != exif.UPRIGHT:
        parts.append(_chunk(b"eXIf", exif.only_orientation(orientation)))
    kinds = [chunk.kind for chunk in chunks]
    before = chunks[: kinds.index(b"IDAT")]
    # Of several profiles the last is the one that was looked at.
    last_profile = max((chunk.start for chunk in before if chunk.kind == b"iCCP"), default=None)
    told: set[bytes] = set()
    for chunk in before:
        if chunk.start == last_profile and profile:
            parts.append(_chunk(b"iCCP", _unnamed(data[chunk.start + 8 : chunk.end - 4])))
        elif chunk.kind not in told and _is_told_well(chunk, colour):
            parts.append(data[chunk.start : chunk.end])
            told.add(chunk.kind)
    parts += (data[chunk.start : chunk.end] for chunk in chunks if chunk.kind == b"IDAT")
    return b"".join((*parts, _chunk(b"IEND", b"")))


def _length(chunk: Chunk) -> int:
    return chunk.end - chunk.start - 12


def _is_told_well(chunk: Chunk, colour: int) -> bool:
    """Tell whether a chunk says what pixels of a type of colour mean, and is as long as that takes."""
    length = _length(chunk)
    if chunk.kind == b"PLTE":
        return colour == _INDEXED and length <= 768 and length % 3 == 0
    if chunk.kind == b"tRNS":
        return length <= 256 if colour == _INDEXED else length == _TRANSPARENT.get(colour)
    if chunk.kind == b"sBIT":
        return length == _SIGNIFICANT.get(colour)
    return length == _LENGTHS.get(chunk.kind)


def _unnamed(profile: bytes) -> bytes:
    """Return the body of an iCCP chunk without what somebody called the profile, or wrote behind it."""
    _name, end, rest = profile.partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(rest[1:], MAX_INFLATED_TEXT)
    except zlib.error:
        raise Malformed("no profile") from None
    return b"ICC" + end + rest[: len(rest) - len(inflater.unused_data)]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
