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
_NCLX_LENGTH = 11
"""Bytes of a `colr` box that has its colours in numbers (ISO/IEC 14496-12, 12.1.5)."""


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
        _bare_iprp(data, find(list(boxes.values()), b"iprp"), wanted, primary_of(data, pitm), profile),
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


def _bare_iprp(data: bytes, iprp: Box, wanted: dict[int, bytes], primary: int, profile: bool) -> bytes:
    """Return the properties, each under its old number, and which of `wanted` has which."""
    inner = list(boxes_in(data, iprp.body, iprp.end))
    ipco = find(inner, b"ipco")
    properties = list(boxes_in(data, ipco.body, ipco.end))
    lists = [_Associations(data, box) for box in inner if box.kind == b"ipma"]
    entries = [(item, numbers) for each in lists for item, numbers in each.entries if item in wanted]
    used = _used(data, properties, sorted(entries, key=lambda entry: entry[0] != primary), profile)
    kept = (
        data[one.start : one.end] if number in used else box_of(b"free", b"")
        for number, one in enumerate(properties, 1)
    )
    return box_of(b"iprp", b"".join((box_of(b"ipco", b"".join(kept)), *(each.box(wanted) for each in lists))))


def _used(data: bytes, properties: list[Box], entries: list[tuple[int, list[int]]], profile: bool) -> set[int]:
    """Return the numbers of the properties that these items have, and that a decoder needs.

    Of numbers about colours each item keeps the first, and all of them together one profile.
    """
    used = set[int]()
    one_profile = None
    for _, numbers in entries:
        told = False
        for number in numbers:
            box = properties[number - 1] if 0 < number <= len(properties) else None
            if box is None or box.kind not in _PROPERTIES:
                continue
            if box.kind == b"colr" and data[box.body : box.body + 4] == b"nclx":
                if told or box.end - box.body != _NCLX_LENGTH:
                    continue
                told = True
            elif box.kind == b"colr":
                one_profile = one_profile or number
                if not profile or number != one_profile:
                    continue
            used.add(number)
    return used


class _Associations:
    """An `ipma` box: which item has which properties, by their numbers."""

    def __init__(self, data: bytes, ipma: Box) -> None:
        reader = Reader(data, ipma.body, ipma.end)
        self._flags = reader.number(4)
        self._item_width, self._width = (4 if self._flags >> 24 else 2), (2 if self._flags & 1 else 1)
        self._told = []
        for _ in range(few(reader.number(4))):
            item, count = reader.number(self._item_width), reader.number(1)
            self._told.append((item, [reader.number(self._width) for _ in range(count)]))

    @property
    def entries(self) -> list[tuple[int, list[int]]]:
        """Each item with its numbers, the first bit of which says whether a reader must know that property."""
        mask = 0x7FFF if self._width == 2 else 0x7F
        return [(item, [number & mask for number in numbers]) for item, numbers in self._told]

    def box(self, wanted: dict[int, bytes]) -> bytes:
        """Return the box without the items that are gone."""
        entries = [
            item.to_bytes(self._item_width, "big")
            + bytes((len(numbers),))
            + b"".join(number.to_bytes(self._width, "big") for number in numbers)
            for item, numbers in self._told
            if item in wanted
        ]
        return box_of(b"ipma", struct.pack(">II", self._flags, len(entries)) + b"".join(entries))
