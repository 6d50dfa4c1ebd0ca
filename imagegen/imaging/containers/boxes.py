"""ISO base media files (ISO/IEC 14496-12), as far as HEIF has them: boxes in boxes, and items that `meta` locates."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from imagegen.imaging.containers.base import MOST_PIECES, Malformed, TooManyPieces, counted

MIME = b"application/rdf+xml"
_KNOWN = frozenset((b"ftyp", b"styp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"idat", b"mini"))
IN_FILE, IN_META = 0, 1
LARGEST_ID = 0xFFFF
MOST_ITEMS = 4_096
"""A picture of 40 million pixels in tiles has some hundreds; readers look for each item among all."""
_SHORTEST = 6
"""Bytes in the shortest box that is read here: version, flags and a number."""


class Box(NamedTuple):
    """A box's type and where it lies; `body` is behind its length and type."""

    kind: bytes
    start: int
    body: int
    end: int


@dataclass(frozen=True)
class Location:
    """An item and its extents as (offset, length), absolute where `method` is 0 (in the file)."""

    item: int
    method: int
    extents: tuple[tuple[int, int], ...]


def boxes_in(data: bytes, at: int, end: int) -> Iterator[Box]:
    """Yield the boxes between `at` and `end`; Malformed if one is longer than its place."""
    return counted(_any_boxes(data, at, end))


def _any_boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if length == 1:
            if at + 16 > end:
                raise Malformed("cut")
            (length,) = struct.unpack_from(">Q", data, body)
            body += 8
        elif length == 0:
            length = end - at
        if length < body - at or at + length > end:
            raise Malformed("cut")
        yield Box(kind, at, body, at + length)
        at += length


def top(data: bytes) -> list[Box]:
    """Return the file's boxes up to the first thing behind them that is none of this format's."""
    boxes: list[Box] = []
    try:
        for box in boxes_in(data, 0, len(data)):
            if box.kind not in _KNOWN:
                break
            boxes.append(box)
    except TooManyPieces:
        raise
    except Malformed:
        if not {b"meta", b"mdat"} <= {box.kind for box in boxes}:
            raise
    if not boxes or boxes[0].kind != b"ftyp":
        raise Malformed("no ftyp")
    return boxes


def find(boxes: list[Box], kind: bytes) -> Box:
    """Return the first of `boxes` that is of `kind` and not too short; raises Malformed if there is none."""
    for box in boxes:
        if box.kind == kind and box.end - box.body >= _SHORTEST:
            return box
    raise Malformed(f"no {kind.decode('ascii', 'replace')}")


def meta_of(data: bytes) -> tuple[Box, list[Box]]:
    """Return the `meta` box and the boxes in it, behind its version and flags."""
    meta = find(top(data), b"meta")
    return meta, list(boxes_in(data, meta.body + 4, meta.end))


def few(count: int, most: int = MOST_PIECES) -> int:
    """Return `count`; raises TooManyPieces if it is more than any picture needs."""
    if count > most:
        raise TooManyPieces
    return count


class Reader:
    """Reads big-endian numbers of any width, one after the other."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self._at, self._end = data, at, end

    def number(self, width: int) -> int:
        if self._at + width > self._end:
            raise Malformed("cut")
        value = int.from_bytes(self._data[self._at : self._at + width], "big")
        self._at += width
        return value


def locations_of(data: bytes, box: Box) -> list[Location]:
    """Return what the `iloc` box says, with base offsets added to the extents."""
    reader = Reader(data, box.body, box.end)
    version = reader.number(4) >> 24
    widths = reader.number(2)
    offset_width, length_width, base_width = widths >> 12, widths >> 8 & 15, widths >> 4 & 15
    index_width = widths & 15 if version else 0
    large = 4 if version == 2 else 2
    found, told = [], 0
    for _ in range(few(reader.number(large))):
        item = reader.number(large)
        method = reader.number(2) & 15 if version else 0
        if reader.number(2):
            raise Malformed("an item in another file")
        base = reader.number(base_width)
        extents = []
        count = reader.number(2)
        told = few(told + count)
        for _ in range(count):  # they may take no bytes at all
            reader.number(index_width)
            offset = base + reader.number(offset_width)
            extents.append((offset, reader.number(length_width)))
        found.append(Location(item, method, tuple(extents)))
    return found


def iloc(locations: list[Location]) -> bytes:
    """Return an `iloc` box of version 1 with four-byte offsets and lengths."""
    body = struct.pack(">IHH", 1 << 24, 0x4400, len(locations))
    for location in locations:
        body += struct.pack(">HHHH", location.item, location.method, 0, len(location.extents))
        body += b"".join(struct.pack(">II", *extent) for extent in location.extents)
    return box_of(b"iloc", body)


def box_of(kind: bytes, body: bytes) -> bytes:
    """Return a box of `kind` around `body`."""
    return struct.pack(">I4s", len(body) + 8, kind) + body


def items_of(data: bytes, iinf: Box) -> Iterator[tuple[Box, int, bool]]:
    """Yield each item's entry, its id, and whether it is an XMP packet."""
    wide = data[iinf.body] > 0
    for entry in boxes_in(data, iinf.body + (8 if wide else 6), iinf.end):
        if entry.end - entry.body < _SHORTEST:
            raise Malformed("cut")
        version = data[entry.body]
        id_width = 4 if version == 3 else 2
        kind_at = entry.body + 4 + id_width + 2
        item = int.from_bytes(data[entry.body + 4 : entry.body + 4 + id_width], "big")
        name_end = data.find(b"\0", kind_at + 4, entry.end)
        is_xmp = data[kind_at : kind_at + 4] == b"mime" and data.startswith(MIME + b"\0", name_end + 1)
        yield entry, item, version >= 2 and name_end >= 0 and is_xmp


def primary_of(data: bytes, pitm: Box) -> int:
    """Return the id of the item that is the picture, as the `pitm` box names it."""
    width = 4 if data[pitm.body] else 2
    return int.from_bytes(data[pitm.body + 4 : pitm.body + 4 + width], "big")
