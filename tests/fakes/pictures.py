"""Pictures for stand-in providers: really drawn, of the asked size, each one's bytes unlike any other's."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

_serial = itertools.count(1)
_PLACE = b"serial-0000000000"


def picture(width: int, height: int, output_format: str, *, transparent: bool = False, photo: bool = False) -> bytes:
    """Return a picture of that size, as hard to pack as a photo if `photo`.

    The drawing is kept, so the next one costs only its serial number.
    """
    drawn = _drawn(width, height, output_format, transparent, photo)
    return _STAMPS[output_format](drawn, b"serial-%010d" % next(_serial))


@lru_cache(maxsize=64)
def _drawn(width: int, height: int, output_format: str, transparent: bool, photo: bool) -> bytes:
    ramp = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", (ramp, ramp.rotate(180), Image.new("L", (width, height), 160)))
    if photo:
        grain = Image.merge("RGB", [Image.effect_noise((width, height), 12)] * 3)
        image = ImageChops.overlay(image, grain)
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 4, height // 4, width * 3 // 4, height * 3 // 4), fill=(250, 200, 60))
    if transparent:
        mask = Image.new("L", (width, height), 0)
        ImageDraw.Draw(mask).ellipse((width // 8, height // 8, width * 7 // 8, height * 7 // 8), fill=255)
        image.putalpha(mask)
    file = io.BytesIO()
    options: dict[str, object] = {"png": {"compress_level": 1}, "webp": {"quality": 80, "xmp": _PLACE}}.get(
        output_format, {"quality": 85}
    )
    image.save(file, output_format.upper(), **options)
    return file.getvalue()


def _stamp_png(data: bytes, serial: bytes) -> bytes:
    body = b"tEXt" + b"Comment\0" + serial
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    end = data.rindex(b"IEND") - 4
    return data[:end] + chunk + data[end:]


def _stamp_jpeg(data: bytes, serial: bytes) -> bytes:
    return data[:2] + b"\xff\xfe" + struct.pack(">H", len(serial) + 2) + serial + data[2:]


def _stamp_webp(data: bytes, serial: bytes) -> bytes:
    return data.replace(_PLACE, serial, 1)


_STAMPS = {"png": _stamp_png, "jpeg": _stamp_jpeg, "webp": _stamp_webp}
