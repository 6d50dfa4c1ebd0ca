"""The pixels of a HEIF file without a word about them: a file made anew of the items that its picture needs."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator

from imagegen.imaging.containers.base import Malformed
from imagegen.imaging.containers.boxes import (
    IN_FILE,
    IN_META,
    LARGEST_ID,
    Box,
    Location,
    Reader,
    box_of,
    boxes_in,
    few,
    find,
    iloc,
    items_of,
    locations_of,
    meta_of,
    primary_of,
    top,
)

_BRANDS = {
    brand: still
    for still, brands in {
        b"avif": (b"avif", b"avis"),
        b"heic": (b"heic", b"heim", b"heis", b"hevc", b"mif1", b"msf1"),
        b"heix": (b"heix", b"hevx"),
    }.items()
    for brand in brands
}
"""What a file says that it is, and what that is called once it holds a still picture alone."""
_ABOUT = frozenset((b"Exif", b"mime", b"uri "))
"""Types of items that hold words and no pixels."""
_PROPERTIES = frozenset(
    b"ispe pixi colr hvcC av1C irot imir clap pasp auxC lsel a1op a1lx clli mdcv cclv amve".split()
)
"""What a decoder needs to know of an item; others (descriptions, times) are blanked, for they are told by number."""


def bare(data: bytes, *, orientation: int, profile: bool) -> bytes:
    """Return a file made anew of the items that the primary one needs: its tiles, and what is auxiliary to it.

    The data of all others is not in it, wherever it lay.
    """
    _, inner = meta_of(data)
    boxes = {box.kind: box for box in reversed(inner)}
    wanted = _needed(data, boxes)
    located = {one.item: one for one in reversed(locations_of(data, find(inner, b"iloc"))) if one.item in wanted}
    pixels = {item: _data_of(data, one, boxes.get(b"idat")) for item, one in sorted(located.items())}
    if sum(map(len, pixels.values())) > len(data):
        raise Malformed("items that share their bytes")
    head = _brand(data)
    length = len(head) + len(_bare_meta(data, boxes, wanted, pixels, 0, profile))
    return b"".join(
        (
            head,
            _bare_meta(data, boxes, wanted, pixels, length + 8, profile),
            box_of(b"mdat", b"".join(pixels.values())),
        )
    )


def _bare_meta(
    data: bytes, boxes: dict[bytes, Box], wanted: dict[int, bytes], pixels: dict[int, bytes], at: int, profile: bool
) -> bytes:
    """Return the `meta` box for `wanted`, whose `pixels` lie one after the other from `at` on."""
    locations = []
    for item, found in pixels.items():
        locations.append(Location(item, IN_FILE, ((at, len(found)),)))
        at += len(found)
    pitm = find(list(boxes.values()), b"pitm")
    parts = [
        box_of(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        data[pitm.start : pitm.end],
        iloc(locations),
        _bare_iinf(wanted, primary_of(data, pitm)),
        _bare_iprp(data, find(list(boxes.values()), b"iprp"), wanted, profile),
    ]
    references = [one for one in _references(data, boxes.get(b"iref")) if {one[1], *one[2]} <= wanted.keys()]
    if references:
        written = (struct.pack(f">HH{len(to)}H", item, len(to), *to) for _, item, to in references)
        bodies = zip(references, written, strict=True)
        parts.append(box_of(b"iref", bytes(4) + b"".join(box_of(kind, body) for (kind, _, _), body in bodies)))
    return box_of(b"meta", bytes(4) + b"".join(parts))


def _brand(data: bytes) -> bytes:
    """Return a `ftyp` box for a still picture of the same kind."""
    ftyp = top(data)[0]
    still = _BRANDS.get(data[ftyp.body : ftyp.body + 4])
    if still is None:
        raise Malformed("unknown brand")
    return box_of(b"ftyp", still + bytes(4) + b"mif1" + still + b"miaf")


def _needed(data: bytes, boxes: dict[bytes, Box]) -> dict[int, bytes]:
    """Return the items that the primary one is made of, and those auxiliary to it, with their types."""
    found = list(boxes.values())
    kinds = dict(_kinds(data, find(found, b"iinf")))
    beside: dict[int, set[int]] = defaultdict(set)
    for kind, item, to in _references(data, boxes.get(b"iref")):
        if kind == b"dimg":
            beside[item].update(to)
        elif kind == b"auxl":
            for whole in to:
                beside[whole].add(item)
    needed, fresh = set[int](), {primary_of(data, find(found, b"pitm"))}
    while fresh:
        needed |= fresh
        fresh = {other for item in fresh for other in beside[item]} - needed
    wanted = {item: kinds[item] for item in sorted(needed) if item in kinds and kinds[item] not in _ABOUT}
    if not wanted or max(wanted) > LARGEST_ID:
        raise Malformed("no pixels")
    return wanted


def _kinds(data: bytes, iinf: Box) -> Iterator[tuple[int, bytes]]:
    """Yield each item's id and type."""
    for entry, item, _ in items_of(data, iinf):
        kind_at = entry.body + (10 if data[entry.body] == 3 else 8)
        yield item, data[kind_at : kind_at + 4]


def _references(data: bytes, iref: Box | None) -> list[tuple[bytes, int, tuple[int, ...]]]:
    """Return the references as (type, from, to)."""
    if iref is None:
        return []
    width = 4 if data[iref.body] else 2
    found, told = [], 0
    for box in boxes_in(data, iref.body + 4, iref.end):
        reader = Reader(data, box.body, box.end)
        item = reader.number(width)
        count = reader.number(2)
        told = few(told + count)
        found.append((box.kind, item, tuple(reader.number(width) for _ in range(count))))
    return found


def _data_of(data: bytes, location: Location, idat: Box | None) -> bytes:
    """Return an item's bytes; Malformed if they are not where they should be."""
    start, end = (0, len(data)) if location.method == IN_FILE else (idat.body, idat.end) if idat else (0, 0)
    if location.method not in (IN_FILE, IN_META):
        raise Malformed("an item within another")
    if sum(length for _, length in location.extents) > len(data):
        raise Malformed("extents that share their bytes")
    if any(start + offset + length > end for offset, length in location.extents):
        raise Malformed("cut")
    return b"".join(data[start + offset : start + offset + length] for offset, length in location.extents)


def _bare_iinf(wanted: dict[int, bytes], primary: int) -> bytes:
    """Return the `iinf` box; no item has a name, and none but the primary one is to be shown by itself."""
    entries = (
        box_of(b"infe", struct.pack(">IHH4sx", 2 << 24 | (item != primary), item, 0, kind))
        for item, kind in wanted.items()
    )
    return box_of(b"iinf", struct.pack(">IH", 0, len(wanted)) + b"".join(entries))


def _bare_iprp(data: bytes, iprp: Box, wanted: dict[int, bytes], profile: bool) -> bytes:
    """Return the properties, each under its old number, and which of `wanted` has which."""
    parts = []
    for box in boxes_in(data, iprp.body, iprp.end):
        if box.kind == b"ipco":
            kept = (_property(data, one, profile) for one in boxes_in(data, box.body, box.end))
            parts.append(box_of(b"ipco", b"".join(kept)))
        elif box.kind == b"ipma":
            parts.append(_bare_ipma(data, box, wanted))
    return box_of(b"iprp", b"".join(parts))


def _property(data: bytes, box: Box, profile: bool) -> bytes:
    about_colours = box.kind == b"colr" and data[box.body : box.body + 4] != b"nclx"
    if box.kind in _PROPERTIES and (profile or not about_colours):
        return data[box.start : box.end]
    return box_of(b"free", b"")


def _bare_ipma(data: bytes, ipma: Box, wanted: dict[int, bytes]) -> bytes:
    """Return the `ipma` box without the items that are gone."""
    reader = Reader(data, ipma.body, ipma.end)
    flags = reader.number(4)
    item_width, width = (4 if flags >> 24 else 2), (2 if flags & 1 else 1)
    entries = []
    for _ in range(few(reader.number(4))):
        item, count = reader.number(item_width), reader.number(1)
        numbers = [reader.number(width) for _ in range(count)]
        if item in wanted:
            told = b"".join(number.to_bytes(width, "big") for number in numbers)
            entries.append(item.to_bytes(item_width, "big") + bytes((count,)) + told)
    return box_of(b"ipma", struct.pack(">II", flags, len(entries)) + b"".join(entries))
