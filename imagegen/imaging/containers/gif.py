"""GIF: blocks of sub-blocks behind a header (GIF89a); XMP lies in an application extension."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imagegen.imaging.containers.base import Malformed, Structure, counted

_XMP_HEAD = b"\x21\xff\x0bXMP DataXMP"
_MAGIC_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
"""Leads a reader that takes the packet for sub-blocks to their end, wherever it lands (XMP part 3, 1.1.2)."""
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL, _CONTROL_LENGTH = b"\x21\xf9\x04", 7
"""Its head, and its bytes up to the end of its only sub-block (GIF89a, 23)."""


class Block(NamedTuple):
    """A block's first byte and where it lies."""

    kind: int
    start: int
    end: int


def _table(flags: int) -> int:
    """Return the size of the colour table that `flags` announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks(data: bytes) -> Iterator[Block]:
    """Yield the blocks behind the global colour table, the trailer last; Malformed if it never comes."""
    return counted(_any_blocks(data))


def _any_blocks(data: bytes) -> Iterator[Block]:
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 13:
        raise Malformed("no GIF header")
    at = 13 + _table(data[10])
    try:
        while True:
            start, kind = at, data[at]
            if kind == _TRAILER:
                at += 1
            elif kind == _EXTENSION:
                at = _skip(data, at + 2)
            elif kind == _IMAGE:
                at = _skip(data, at + 11 + _table(data[at + 9]))
            else:
                raise Malformed("unknown block")
            yield Block(kind, start, at)
            if kind == _TRAILER:
                return
    except IndexError:
        raise Malformed("cut") from None


def _skip(data: bytes, at: int) -> int:
    """Return where the chain of sub-blocks that begins at `at` ends."""
    while data[at]:
        at += data[at] + 1
    return at + 1


def parse(data: bytes) -> Structure:
    """Check the blocks up to the trailer and count the frames."""
    frames, end = 0, 0
    for block in _blocks(data):
        frames += block.kind == _IMAGE
        end = block.end
    if not frames:
        raise Malformed("no pixels")
    return Structure(data[:end], frames)


def with_xmp(data: bytes, packet: bytes) -> bytes:
    """Return `data` as GIF89a with `packet` in front of the trailer."""
    blocks = list(_blocks(data))
    parts = [b"GIF89a", data[6 : blocks[0].start]]
    parts += (data[b.start : b.end] for b in blocks[:-1] if not data.startswith(_XMP_HEAD, b.start))
    return b"".join((*parts, _XMP_HEAD, packet, _MAGIC_TRAILER, b"\x3b"))


def read_xmp(data: bytes) -> bytes | None:
    """Return the packet of the XMP extension."""
    for block in _blocks(data):
        if data.startswith(_XMP_HEAD, block.start):
            return data[block.start + len(_XMP_HEAD) : block.end - len(_MAGIC_TRAILER)]
    return None


def read_exif(data: bytes) -> bytes | None:
    """Return None: a GIF cannot say that it is turned."""
    return None


def bare(data: bytes, *, orientation: int, profile: bool) -> bytes:
    """Return the first frame with its transparency and its colours."""
    parts: list[bytes] = []
    control = b""
    for block in _blocks(data):
        if not parts:
            parts.append(data[: block.start])
        if data.startswith(_GRAPHIC_CONTROL, block.start) and block.end - block.start > _CONTROL_LENGTH:
            control = data[block.start : block.start + _CONTROL_LENGTH] + b"\0"
        if block.kind == _IMAGE:
            return b"".join((*parts, control, data[block.start : block.end], b"\x3b"))
    raise Malformed("no pixels")
