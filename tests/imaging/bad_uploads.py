"""U1 to U34 of the catalogue of uploads: what people and programs send that is no good picture, and what it gets."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

from PIL import Image

from tests.imaging import specimens

SIDE = 480


@dataclass(frozen=True)
class Bad:
    """A file, the status that it gets, and a word of the sentence that says why."""

    data: bytes
    status: int
    word: str
    name: str = "holiday.jpg"


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _scene(mode: str = "RGB") -> Image.Image:
    return specimens.scene(SIDE, SIDE, mode)


def _frames(width: int, height: int, count: int) -> bytes:
    """A PNG that says that it has `count` frames."""
    data = specimens.png_of(width, height, depth=1, colour=0)
    at = data.index(b"IDAT") - 4
    return data[:at] + specimens.chunk(b"acTL", struct.pack(">II", count, 0)) + data[at:]


def _gif(width: int, height: int, *, screen: tuple[int, int] | None = None, frames: int = 1) -> bytes:
    """A GIF whose frames say that they are so large and hold next to nothing."""
    head = b"GIF89a" + struct.pack("<HHBBB", *(screen or (width, height)), 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    return head + frame * frames + b"\x3b"


def _deep_jpeg() -> bytes:
    """A JPEG of 39 million pixels in a hundred scans of nothing: cheap to send, dear to decode."""
    whole = specimens.encoded("jpeg", Image.new("L", (6_200, 6_200)), progressive=True)
    start = whole.rindex(b"\xff\xda")
    return whole[:start] + whole[start:-2] * 100 + b"\xff\xd9"


def _refused_by_size(data: bytes) -> Bad:
    return Bad(data, 422, "too large")


def _damaged(data: bytes) -> Bad:
    return Bad(data, 422, "damaged")


JPEG, PNG = specimens.encoded("jpeg", _scene()), specimens.encoded("png", _scene())
_NOISE = Image.effect_noise((3_200, 3_200), 90).tobytes()

REFUSED: dict[str, Bad] = {
    "U1 a header of 60000 x 60000": _refused_by_size(specimens.png_of(60_000, 60_000, rows=False)),
    "U2 one bit, 13000 x 13000": _refused_by_size(specimens.png_of(13_000, 13_000, depth=1, colour=0)),
    "U3 9500 x 9500": _refused_by_size(specimens.png_of(9_500, 9_500)),
    "U4 9400 x 9400, which Pillow allows": _refused_by_size(specimens.png_of(9_400, 9_400)),
    "U5 text that grows": _damaged(specimens.png_with(specimens.text_bomb(), image=_scene())),
    "U5 text that grows, behind the pixels": _damaged(
        specimens.png_with(specimens.text_bomb(), behind_pixels=True, image=_scene())
    ),
    "U7 half a JPEG": _damaged(_half(JPEG)),
    "U8 half a PNG": _damaged(_half(PNG)),
    "U9 a wrong checksum": _damaged(PNG[:-20] + bytes((PNG[-20] ^ 1,)) + PNG[-19:]),
    "U10 nothing": Bad(b"", 422, "empty"),
    "U11 the first bytes of a PNG": _damaged(b"\x89PNG\r\n\x1a\n"),
    "U11 the first bytes of a JPEG": _damaged(b"\xff\xd8\xff"),
    "U11 the first bytes of a HEIC": _damaged(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
    "U12 10 MB of noise that begin as a JPEG": _damaged(b"\xff\xd8\xff" + _NOISE),
    **{
        f"{number} {name}": Bad(specimens.NO_PICTURES[name], 415, "format", f"holiday.{ending}")
        for number, name, ending in (
            ("U17", "svg", "png"),
            ("U18", "html", "jpg"),
            ("U19", "eps", "png"),
            ("U20", "tiff", "jpg"),
            ("U21", "bmp", "png"),
            ("U22", "pdf", "jpg"),
            ("U23", "ico", "png"),
        )
    },
    "U16 GIF and JavaScript at once": Bad(specimens.NO_PICTURES["gif-js"], 415, "format", "holiday.png"),
    "U24 3000 frames": Bad(_gif(400, 400, frames=3_000), 422, "too many frames"),
    "U24 frames that are too much together": Bad(_gif(5_000, 5_000, frames=20), 422, "too many frames"),
    "U26 an animated PNG that is too much": Bad(_frames(4_000, 4_000, 26), 422, "too many frames"),
    "U33 1 x 65000": _refused_by_size(specimens.encoded("jpeg", Image.new("L", (1, 65_000)))),
    "U33 65500 x 1": _refused_by_size(specimens.encoded("jpeg", Image.new("L", (65_500, 1)))),
    "U33 1 x 1": Bad(specimens.encoded("png", Image.new("RGB", (1, 1))), 422, "too small"),
    "U33 no width": Bad(specimens.png_of(0, 500), 422, ""),
    "U33 399 x 4000": Bad(specimens.encoded("png", Image.new("RGB", (399, 4_000))), 422, "400"),
    "U34 decompression_bomb.gif": _refused_by_size(_gif(60_000, 60_000)),
    "U34 decompression_bomb_extents.gif": Bad(_gif(60_000, 60_000, screen=(500, 500)), 422, ""),
    "U34 zero_width.gif": Bad(_gif(0, 500), 422, ""),
    "U34 truncated_image.jpg": _damaged(JPEG[:-200]),
    "U34 broken_data_stream.png": _damaged(
        specimens.png_of(SIDE, SIDE, rows=False)[:33]
        + specimens.chunk(b"IDAT", b"\x78\x9c" + b"\xff" * 400)
        + specimens.chunk(b"IEND", b"")
    ),
    "U34 a stream that ends early": _damaged(
        specimens.png_of(SIDE, SIDE, rows=False)[:33]
        + specimens.chunk(b"IDAT", zlib.compress(bytes(SIDE * 10)))
        + specimens.chunk(b"IEND", b"")
    ),
    "U34 timeout: a hundred scans": Bad(_deep_jpeg(), 422, ""),
}
"""What is refused, with its number in the catalogue."""


def exif_with_place(orientation: int = 6) -> bytes:
    """Exif that says how the picture is turned, where it was taken, and something that hurts."""
    words = Image.Exif()
    words[0x0112] = orientation
    words[0x010E] = "<script>alert('SECRETWORD')</script>"
    words.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return words.tobytes()


def _two_exifs() -> bytes:
    once = specimens.encoded("jpeg", _scene(), exif=exif_with_place())
    at = once.index(b"\xff\xe1")
    length = 2 + int.from_bytes(once[at + 2 : at + 4], "big")
    return once[: at + length] + once[at : at + length] + once[at + length :]


def _sixteen_bits() -> bytes:
    buffer = io.BytesIO()
    _scene("L").convert("I;16").point(lambda value: value * 257).save(buffer, "PNG")
    return buffer.getvalue()


SECRETS = (b"SECRETWORD", b"<script", b"<?php", b"../../evil", b"Exif\0\0MM")

ACCEPTED: dict[str, bytes] = {
    "U6 200,000 comments": specimens.png_with(
        *[specimens.chunk(b"tEXt", b"Comment\0SECRETWORD")] * 200_000, image=_scene()
    ),
    "U13 HTML behind a JPEG": JPEG + b"<html><script>alert(1)</script>",
    "U14 a ZIP behind a JPEG": JPEG + specimens.zip_tail(),
    "U15 PHP in a comment": specimens.encoded("jpeg", _scene(), comment=b"<?php system($_GET[0]);"),
    "U24 a GIF of 300 frames": specimens.animation("gif", 300, (400, 400)),
    "U25 a WebP of 60 frames": specimens.animation("webp", 60, (2_000, 2_000)),
    "U26 an animated PNG": specimens.animation("png", 5, (400, 400)),
    "U27 place, words and a turn": specimens.encoded(
        "jpeg", _scene(), exif=exif_with_place(), xmp=b"<x>SECRETWORD</x>"
    ),
    "U28 orientation 9": specimens.encoded("jpeg", _scene(), exif=exif_with_place(orientation=9)),
    "U29 garbage for Exif": specimens.encoded("jpeg", _scene(), exif=b"Exif\0\0" + b"SECRETWORD" * 30),
    "U30 garbage for a profile": specimens.encoded("jpeg", _scene(), icc_profile=b"SECRETWORD" * 30),
    "U30 garbage for a profile, PNG": specimens.encoded("png", _scene(), icc_profile=b"SECRETWORD" * 30),
    "U31 CMYK": specimens.encoded("jpeg", _scene("CMYK")),
    "U32 16 bits": _sixteen_bits(),
    "U34 multiple_exif.jpg": _two_exifs(),
    "U34 hopper_bad_exif.jpg": specimens.encoded("jpeg", _scene(), exif=exif_with_place()[:60]),
}
"""What is accepted: odd, but a picture. None of `SECRETS` is left in what is kept of them."""
