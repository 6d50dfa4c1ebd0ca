"""AVIF and HEIC: HEIF files (ISO/IEC 23008-12); metadata are items that the `meta` box describes and locates.

Adding an item makes `meta` longer, so everything that lies behind it moves and its locations are rewritten.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from imagegen.imaging.containers.base import Malformed, Structure
from imagegen.imaging.containers.boxes import (
    IN_FILE,
    LARGEST_ID,
    MIME,
    MOST_ITEMS,
    Box,
    Location,
    box_of,
    few,
    find,
    iloc,
    items_of,
    locations_of,
    meta_of,
    primary_of,
    top,
)
from imagegen.imaging.containers.heif_pixels import bare

__all__ = ["bare", "parse", "read_exif", "read_xmp", "with_xmp"]


def parse(data: bytes) -> Structure:
    """Check that every item's data lies in the file; a sequence counts as two frames at least."""
    _, inner = meta_of(data)
    boxes = top(data)
    end = boxes[-1].end
    few(sum(1 for _ in items_of(data, find(inner, b"iinf"))), MOST_ITEMS)
    for location in locations_of(data, find(inner, b"iloc")):
        if location.method == IN_FILE and any(offset + length > end for offset, length in location.extents):
            raise Malformed("cut")
    sequence = any(box.kind == b"moov" for box in boxes)
    return Structure(data[:end], 2 if sequence else 1)


def read_xmp(data: bytes) -> bytes | None:
    """Return the packet of the XMP item, if it lies in the file itself."""
    _, inner = meta_of(data)
    items = [item for _, item, is_xmp in items_of(data, find(inner, b"iinf")) if is_xmp]
    for location in locations_of(data, find(inner, b"iloc")):
        if location.item in items and location.method == IN_FILE:
            return b"".join(data[offset : offset + length] for offset, length in location.extents)
    return None


def with_xmp(data: bytes, packet: bytes) -> bytes:
    """Return `data` with `packet` as its XMP item, in an `mdat` box of its own at the end.

    A packet that was there before is no longer referred to; its bytes stay where they are.
    """
    meta, inner = meta_of(data)
    entries = list(items_of(data, find(inner, b"iinf")))
    existing = next((item for _, item, is_xmp in entries if is_xmp), None)
    item = existing or max((number for _, number, _ in entries), default=0) + 1
    kept = [location for location in locations_of(data, find(inner, b"iloc")) if location.item != item]
    if max(item, *(location.item for location in kept), 0) > LARGEST_ID:
        raise Malformed("too many items")
    new = None if existing else item

    # The length of `meta` does not depend on the offsets in it, so it is built once to learn how it grows.
    draft = _rebuilt(data, meta, inner, [*kept, Location(item, IN_FILE, ((0, len(packet)),))], new)
    grown = len(draft) - (meta.end - meta.start)
    packet_at = len(data) + grown + 8
    moved = [_moved(location, meta.end, grown) for location in kept]
    final = _rebuilt(data, meta, inner, [*moved, Location(item, IN_FILE, ((packet_at, len(packet)),))], new)
    return data[: meta.start] + final + _closed(data, meta.end) + box_of(b"mdat", packet)


def _rebuilt(data: bytes, meta: Box, inner: list[Box], locations: list[Location], new: int | None) -> bytes:
    """Return the `meta` box with `locations`, and with the XMP item `new` if there is one to add."""
    parts = {box.kind: data[box.start : box.end] for box in inner}
    parts[b"iloc"] = iloc(locations)
    if new is not None:
        boxes = {box.kind: box for box in inner}
        primary = primary_of(data, find(inner, b"pitm"))
        parts[b"iinf"] = _with_entry(data, boxes[b"iinf"], new)
        parts[b"iref"] = _with_reference(data, boxes.get(b"iref"), new, primary)
    return box_of(b"meta", data[meta.body : meta.body + 4] + b"".join(parts.values()))


def _moved(location: Location, boundary: int, by: int) -> Location:
    """Return `location` after everything behind `boundary` has moved."""
    if location.method != IN_FILE:
        return location
    extents = ((offset + by if offset >= boundary else offset, length) for offset, length in location.extents)
    return replace(location, extents=tuple(extents))


def _closed(data: bytes, start: int) -> bytes:
    """Return the file from `start`; a last box that ran to the file's end gets its length."""
    last = top(data)[-1]
    if data[last.start : last.start + 4] != b"\0\0\0\0":
        return data[start:]
    return data[start : last.start] + struct.pack(">I", last.end - last.start) + data[last.start + 4 :]


def _with_entry(data: bytes, iinf: Box, item: int) -> bytes:
    """Return the `iinf` box with one entry more: an item of XMP."""
    width = 4 if data[iinf.body] else 2
    count = int.from_bytes(data[iinf.body + 4 : iinf.body + 4 + width], "big") + 1
    entry = box_of(b"infe", struct.pack(">IHH", 2 << 24, item, 0) + b"mime" + b"XMP\0" + MIME + b"\0\0")
    entries = data[iinf.body + 4 + width : iinf.end]
    return box_of(b"iinf", data[iinf.body : iinf.body + 4] + count.to_bytes(width, "big") + entries + entry)


def _with_reference(data: bytes, iref: Box | None, item: int, primary: int) -> bytes:
    """Return the `iref` box with one reference more: the packet describes the picture."""
    if iref is None:
        return box_of(b"iref", struct.pack(">I", 0) + _reference(item, primary, 2))
    return box_of(b"iref", data[iref.body : iref.end] + _reference(item, primary, 4 if data[iref.body] else 2))


def _reference(item: int, primary: int, width: int) -> bytes:
    if width == 2 and primary > LARGEST_ID:
        raise Malformed("no such item")
    body = item.to_bytes(width, "big") + (1).to_bytes(2, "big") + primary.to_bytes(width, "big")
    return box_of(b"cdsc", body)


def read_exif(data: bytes) -> bytes | None:
    """Return None: how a picture is turned is one of its properties, and its Exif is not asked."""
    return None
