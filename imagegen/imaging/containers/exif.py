"""Exif, as far as a picture needs it to be seen: the tag that says how it is turned (TIFF 6.0; CIPA DC-008)."""

from __future__ import annotations

import struct

UPRIGHT = 1
_ORIENTATION, _SHORT = 0x0112, 3
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def orientation_of(tiff: bytes | None) -> int:
    """Return the orientation (1 to 8) in `tiff`; 1 if there is none, or no sense in it."""
    order = _ORDERS.get((tiff or b"")[:4])
    if tiff is None or order is None:
        return UPRIGHT
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if (tag, kind, values) == (_ORIENTATION, _SHORT, 1):
                return value if UPRIGHT <= value <= 8 else UPRIGHT
    except struct.error:
        pass  # it ends before it has said so
    return UPRIGHT


def only_orientation(orientation: int) -> bytes:
    """Return a TIFF file that says how a picture is turned and nothing else."""
    return struct.pack("<4sIHHHIHHI", b"II*\0", 8, 1, _ORIENTATION, _SHORT, 1, orientation, 0, 0)
