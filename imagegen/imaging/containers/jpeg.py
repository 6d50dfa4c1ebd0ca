"""JPEG: markers with segments, and entropy-coded scans between them (ITU T.81, annex B)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from imagegen.imaging.containers import exif
from imagegen.imaging.containers.base import MOST_PIECES, Malformed, Structure, TooManyPieces, counted

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_EXIF = b"Exif\0\0"
_SOS, _EOI, _APP0, _APP1 = 0xDA, 0xD9, 0xE0, 0xE1
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_INSIDE_SCAN = frozenset((0x00, 0xFF, *range(0xD0, 0xD8)))
"""What may follow 0xFF in a scan: a stuffed zero, a fill byte, a restart."""
_LONGEST_SEGMENT = 65_533
_JFIF, _PROFILE, _ADOBE = b"JFIF\0", b"ICC_PROFILE\0", b"Adobe"
_APP2, _APP14 = 0xE2, 0xEE
_ADOBE_LENGTH = 12
"""Of the segment that says how colours are to be understood (Adobe TN 5116)."""
_NEEDED = frozenset((*range(0xC0, 0xD0), *range(_EOI, 0xE0))) - {0xC8}
"""Tables, frames and scans (T.81, table B.1); what is not among them only talks about the picture."""


class Segment(NamedTuple):
    """A marker and its bytes; those of a scan include the entropy-coded data behind its header."""

    marker: int
    start: int
    body: int
    end: int


def _segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments behind SOI, EOI last; Malformed if the file ends before it."""
    return counted(_any_segments(data))


def _any_segments(data: bytes) -> Iterator[Segment]:
    if not data.startswith(b"\xff\xd8"):
        raise Malformed("no SOI")
    at = 2
    while at + 2 <= len(data):
        start = at
        if data[at] != 0xFF:
            raise Malformed("no marker")
        while at < len(data) and data[at] == 0xFF:
            at += 1
            if at - start > MOST_PIECES:  # readers take fill bytes one by one
                raise TooManyPieces
        if at == len(data):
            break
        marker = data[at]
        at += 1
        segment = Segment(marker, start, at, _end(data, marker, at))
        at = segment.end
        yield segment
        if marker == _EOI:
            return
    raise Malformed("cut")


def _end(data: bytes, marker: int, at: int) -> int:
    """Return where the segment ends whose marker ends at `at`."""
    if marker in _STANDALONE or marker == _EOI:
        return at
    if at + 2 > len(data):
        raise Malformed("cut")
    length = int.from_bytes(data[at : at + 2], "big")
    end = at + length
    if length < 2 or end > len(data):
        raise Malformed("cut")
    if marker != _SOS:
        return end
    return _end_of_scan(data, end)


def _end_of_scan(data: bytes, at: int) -> int:
    """Return where the next marker begins behind the entropy-coded data at `at`."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 == len(data):
            raise Malformed("cut")
        if data[at + 1] not in _INSIDE_SCAN:
            return at
        at += 1


def parse(data: bytes) -> Structure:
    """Check the segments up to EOI, and that there is a frame and a scan."""
    markers, end = set(), 0
    for segment in _segments(data):
        markers.add(segment.marker)
        end = segment.end
    if _SOS not in markers or not markers & _FRAMES:
        raise Malformed("no pixels")
    return Structure(data[:end])


def _holds(data: bytes, segment: Segment, *heads: bytes) -> bool:
    return segment.marker == _APP1 and data.startswith(heads, segment.body + 2)


def with_xmp(data: bytes, packet: bytes) -> bytes:
    """Return `data` with `packet` in an APP1 segment behind JFIF and Exif, which must come first."""
    body = _XMP + packet
    if len(body) > _LONGEST_SEGMENT:
        raise ValueError(f"an XMP packet of {len(packet)} bytes does not fit into a JPEG segment")
    new = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    parts = [b"\xff\xd8"]
    placed = False
    for segment in _segments(data):
        leading = segment.marker == _APP0 or _holds(data, segment, _EXIF)
        if not placed and not leading:
            parts.append(new)
            placed = True
        if not _holds(data, segment, _XMP, _XMP_EXTENSION):
            parts.append(data[segment.start : segment.end])
    return b"".join(parts)


def read_xmp(data: bytes) -> bytes | None:
    """Return the packet of the first XMP segment."""
    for segment in _segments(data):
        if _holds(data, segment, _XMP):
            return data[segment.body + 2 + len(_XMP) : segment.end]
    return None


def read_exif(data: bytes) -> bytes | None:
    """Return the first Exif segment's TIFF file."""
    for segment in _segments(data):
        if _holds(data, segment, _EXIF):
            return data[segment.body + 2 + len(_EXIF) : segment.end]
    return None


def bare(data: bytes, *, orientation: int, profile: bool) -> bytes:
    """Return `data` with JFIF's density, the orientation, the profile and the pixels."""
    parts = [b"\xff\xd8"]
    parts += (_app(_APP0, body) for body in _densities(data))
    if orientation != exif.UPRIGHT:
        parts.append(_app(_APP1, _EXIF + exif.only_orientation(orientation)))
    for segment in _segments(data):
        body = data[segment.body + 2 : segment.end]
        if segment.marker in _NEEDED:
            parts.append(bytes((0xFF, segment.marker)) + data[segment.body : segment.end])
        elif segment.marker == _APP2 and profile and body.startswith(_PROFILE):
            parts.append(_app(_APP2, body))
        elif segment.marker == _APP14 and body.startswith(_ADOBE) and len(body) >= _ADOBE_LENGTH:
            parts.append(_app(_APP14, body[:_ADOBE_LENGTH]))
    return b"".join(parts)


def _densities(data: bytes) -> Iterator[bytes]:
    """Yield the body of the JFIF segment, if there is one, without a thumbnail."""
    for segment in _segments(data):
        body = data[segment.body + 2 : segment.end]
        if segment.marker == _APP0 and body.startswith(_JFIF) and len(body) >= 14:
            yield body[:12] + b"\0\0"
            return


def _app(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
