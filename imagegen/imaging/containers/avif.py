"""AVIF: a HEIF file (ISO/IEC 23008-12); metadata are items that the `meta` box describes and locates.

Adding an item makes `meta` longer, so everything that lies behind it moves and its locations are rewritten.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from imagegen.imaging.containers.base import Malformed, Structure

_MIME = b"application/rdf+xml"
_KNOWN = frozenset((b"ftyp", b"styp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"idat", b"mini"))
_IN_FILE = 0
_LARGEST_ID = 0xFFFF
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


def _boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    """Yield the boxes between `at` and `end`; Malformed if one is longer than its place."""
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


def _top(data: bytes) -> list[Box]:
    """Return the file's boxes up to the first thing behind them that is none of this format's."""
    boxes: list[Box] = []
    try:
        for box in _boxes(data, 0, len(data)):
            if box.kind not in _KNOWN:
                break
            boxes.append(box)
    except Malformed:
        if not {b"meta", b"mdat"} <= {box.kind for box in boxes}:
            raise
    if not boxes or boxes[0].kind != b"ftyp":
        raise Malformed("no ftyp")
    return boxes


def _find(boxes: list[Box], kind: bytes) -> Box:
    for box in boxes:
        if box.kind == kind and box.end - box.body >= _SHORTEST:
            return box
    raise Malformed(f"no {kind.decode('ascii', 'replace')}")


def _meta(data: bytes) -> tuple[Box, list[Box]]:
    """Return the `meta` box and the boxes in it, behind its version and flags."""
    meta = _find(_top(data), b"meta")
    return meta, list(_boxes(data, meta.body + 4, meta.end))


class _Reader:
    """Reads big-endian numbers of any width, one after the other."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self._at, self._end = data, at, end

    def number(self, width: int) -> int:
        if self._at + width > self._end:
            raise Malformed("cut")
        value = int.from_bytes(self._data[self._at : self._at + width], "big")
        self._at += width
        return value


def _locations(data: bytes, box: Box) -> list[Location]:
    """Return what the `iloc` box says, with base offsets added to the extents."""
    reader = _Reader(data, box.body, box.end)
    version = reader.number(4) >> 24
    widths = reader.number(2)
    offset_width, length_width, base_width = widths >> 12, widths >> 8 & 15, widths >> 4 & 15
    index_width = widths & 15 if version else 0
    large = 4 if version == 2 else 2
    found = []
    for _ in range(reader.number(large)):
        item = reader.number(large)
        method = reader.number(2) & 15 if version else 0
        if reader.number(2):
            raise Malformed("an item in another file")
        base = reader.number(base_width)
        extents = []
        for _ in range(reader.number(2)):
            reader.number(index_width)
            offset = base + reader.number(offset_width)
            extents.append((offset, reader.number(length_width)))
        found.append(Location(item, method, tuple(extents)))
    return found


def _iloc(locations: list[Location]) -> bytes:
    """Return an `iloc` box of version 1 with four-byte offsets and lengths."""
    body = struct.pack(">IHH", 1 << 24, 0x4400, len(locations))
    for location in locations:
        body += struct.pack(">HHHH", location.item, location.method, 0, len(location.extents))
        body += b"".join(struct.pack(">II", *extent) for extent in location.extents)
    return _box(b"iloc", body)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _xmp_items(data: bytes, iinf: Box) -> Iterator[tuple[Box, int, bool]]:
    """Yield each item's entry, its id, and whether it is an XMP packet."""
    wide = data[iinf.body] > 0
    for entry in _boxes(data, iinf.body + (8 if wide else 6), iinf.end):
        if entry.end - entry.body < _SHORTEST:
            raise Malformed("cut")
        version = data[entry.body]
        id_width = 4 if version == 3 else 2
        kind_at = entry.body + 4 + id_width + 2
        item = int.from_bytes(data[entry.body + 4 : entry.body + 4 + id_width], "big")
        name_end = data.find(b"\0", kind_at + 4, entry.end)
        is_xmp = data[kind_at : kind_at + 4] == b"mime" and data.startswith(_MIME + b"\0", name_end + 1)
        yield entry, item, version >= 2 and name_end >= 0 and is_xmp


def parse(data: bytes) -> Structure:
    """Check that every item's data lies in the file; a sequence counts as two frames at least."""
    _, inner = _meta(data)
    boxes = _top(data)
    end = boxes[-1].end
    for location in _locations(data, _find(inner, b"iloc")):
        if location.method == _IN_FILE and any(offset + length > end for offset, length in location.extents):
            raise Malformed("cut")
    sequence = any(box.kind == b"moov" for box in boxes)
    return Structure(data[:end], 2 if sequence else 1)


def read_xmp(data: bytes) -> bytes | None:
    """Return the packet of the XMP item, if it lies in the file itself."""
    _, inner = _meta(data)
    items = [item for _, item, is_xmp in _xmp_items(data, _find(inner, b"iinf")) if is_xmp]
    for location in _locations(data, _find(inner, b"iloc")):
        if location.item in items and location.method == _IN_FILE:
            return b"".join(data[offset : offset + length] for offset, length in location.extents)
    return None


def with_xmp(data: bytes, packet: bytes) -> bytes:
    """Return `data` with `packet` as its XMP item, in an `mdat` box of its own at the end.

    A packet that was there before is no longer referred to; its bytes stay where they are.
    """
    meta, inner = _meta(data)
    entries = list(_xmp_items(data, _find(inner, b"iinf")))
    existing = next((item for _, item, is_xmp in entries if is_xmp), None)
    item = existing or max((number for _, number, _ in entries), default=0) + 1
    kept = [location for location in _locations(data, _find(inner, b"iloc")) if location.item != item]
    if max(item, *(location.item for location in kept), 0) > _LARGEST_ID:
        raise Malformed("too many items")
    new = None if existing else item

    # The length of `meta` does not depend on the offsets in it, so it is built once to learn how it grows.
    draft = _rebuilt(data, meta, inner, [*kept, Location(item, _IN_FILE, ((0, len(packet)),))], new)
    grown = len(draft) - (meta.end - meta.start)
    packet_at = len(data) + grown + 8
    moved = [_moved(location, meta.end, grown) for location in kept]
    final = _rebuilt(data, meta, inner, [*moved, Location(item, _IN_FILE, ((packet_at, len(packet)),))], new)
    return data[: meta.start] + final + _closed(data, meta.end) + _box(b"mdat", packet)


def _rebuilt(data: bytes, meta: Box, inner: list[Box], locations: list[Location], new: int | None) -> bytes:
    """Return the `meta` box with `locations`, and with the XMP item `new` if there is one to add."""
    parts = {box.kind: data[box.start : box.end] for box in inner}
    parts[b"iloc"] = _iloc(locations)
    if new is not None:
        boxes = {box.kind: box for box in inner}
        primary = _primary(data, _find(inner, b"pitm"))
        parts[b"iinf"] = _with_entry(data, boxes[b"iinf"], new)
        parts[b"iref"] = _with_reference(data, boxes.get(b"iref"), new, primary)
    return _box(b"meta", data[meta.body : meta.body + 4] + b"".join(parts.values()))


def _moved(location: Location, boundary: int, by: int) -> Location:
    """Return `location` after everything behind `boundary` has moved."""
    if location.method != _IN_FILE:
        return location
    extents = ((offset + by if offset >= boundary else offset, length) for offset, length in location.extents)
    return replace(location, extents=tuple(extents))


def _closed(data: bytes, start: int) -> bytes:
    """Return the file from `start`; a last box that ran to the file's end gets its length."""
    last = _top(data)[-1]
    if data[last.start : last.start + 4] != b"\0\0\0\0":
        return data[start:]
    return data[start : last.start] + struct.pack(">I", last.end - last.start) + data[last.start + 4 :]


def _primary(data: bytes, pitm: Box) -> int:
    width = 4 if data[pitm.body] else 2
    return int.from_bytes(data[pitm.body + 4 : pitm.body + 4 + width], "big")


def _with_entry(data: bytes, iinf: Box, item: int) -> bytes:
    """Return the `iinf` box with one entry more: an item of XMP."""
    width = 4 if data[iinf.body] else 2
    count = int.from_bytes(data[iinf.body + 4 : iinf.body + 4 + width], "big") + 1
    entry = _box(b"infe", struct.pack(">IHH", 2 << 24, item, 0) + b"mime" + b"XMP\0" + _MIME + b"\0\0")
    entries = data[iinf.body + 4 + width : iinf.end]
    return _box(b"iinf", data[iinf.body : iinf.body + 4] + count.to_bytes(width, "big") + entries + entry)


def _with_reference(data: bytes, iref: Box | None, item: int, primary: int) -> bytes:
    """Return the `iref` box with one reference more: the packet describes the picture."""
    if iref is None:
        return _box(b"iref", struct.pack(">I", 0) + _reference(item, primary, 2))
    return _box(b"iref", data[iref.body : iref.end] + _reference(item, primary, 4 if data[iref.body] else 2))


def _reference(item: int, primary: int, width: int) -> bytes:
    if width == 2 and primary > _LARGEST_ID:
        raise Malformed("no such item")
    body = item.to_bytes(width, "big") + (1).to_bytes(2, "big") + primary.to_bytes(width, "big")
    return _box(b"cdsc", body)
