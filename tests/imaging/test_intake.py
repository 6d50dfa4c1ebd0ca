"""Files of unknown origin: what is refused, and with which sentence."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagegen.imaging import errors
from imagegen.imaging.client import PoolClient
from imagegen.imaging.facts import facts_from_answer
from imagegen.imaging.pool import PoolOwner
from tests.imaging import specimens

Write = Callable[[bytes], Path]


def refusal(pool: PoolClient, path: Path) -> errors.ImagingError:
    with pytest.raises(errors.ImagingError) as caught:
        pool.run("inspect", timeout=5, path=path)
    assert caught.value.message.endswith(".")
    return caught.value


BOMBS = {
    "U1 header of 60000 x 60000": specimens.png_of(60_000, 60_000, rows=False),
    "U2 one bit, 13000 x 13000": specimens.png_of(13_000, 13_000, depth=1, colour=0),
    "U3 9500 x 9500": specimens.png_of(9_500, 9_500),
    "U4 9400 x 9400, under Pillow's own limit": specimens.png_of(9_400, 9_400),
    "U33 one pixel wide": specimens.png_of(17_000, 20),
    "a JPEG of 65500 x 1000": specimens.encoded("jpeg", Image.new("L", (65_500, 1_000))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_too_many_pixels_are_refused_before_they_are_decoded(pool: PoolClient, at: Write, name: str) -> None:
    assert isinstance(refusal(pool, at(BOMBS[name])), errors.TooManyPixels)


DAMAGED = {
    "U5 text bomb": specimens.png_with(specimens.text_bomb()),
    "U5 text bomb behind the pixels": specimens.png_with(specimens.text_bomb(), behind_pixels=True),
    "U7 half a JPEG": specimens.encoded("jpeg")[: len(specimens.encoded("jpeg")) // 2],
    "U8 half a PNG": specimens.encoded("png")[: len(specimens.encoded("png")) // 2],
    "U9 wrong CRC": specimens.encoded("png").replace(b"IDAT", b"IDAU"),
    "U10 nothing": b"",
    "U11 only the first bytes, PNG": b"\x89PNG\r\n\x1a\n",
    "U11 only the first bytes, JPEG": b"\xff\xd8\xff",
    "U11 only the first bytes, WebP": b"RIFF\x10\0\0\0WEBP",
    "U11 only the first bytes, GIF": b"GIF89a",
    "U11 only the first bytes, AVIF": b"\0\0\0\x1cftypavif",
    "U12 noise behind JPEG's first bytes": b"\xff\xd8\xff" + Image.effect_noise((3200, 3200), 90).tobytes(),
    "U33 no width": specimens.png_of(0, 20),
    "too few rows": specimens.png_of(100, 100, rows=False),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(pool: PoolClient, at: Write, name: str) -> None:
    error = refusal(pool, at(DAMAGED[name]))
    assert isinstance(error, errors.Unreadable)
    assert error.status == 422


@pytest.mark.parametrize("name", specimens.NO_PICTURES)
def test_what_is_no_picture_is_refused_whatever_its_name(pool: PoolClient, tmp_path: Path, name: str) -> None:
    path = tmp_path / "innocent.png"
    path.write_bytes(specimens.NO_PICTURES[name])
    error = refusal(pool, path)
    assert error.status in (415, 422) if name == "gif-js" else error.status == 415


def test_a_format_that_was_not_asked_for_is_refused(pool: PoolClient, at: Write) -> None:
    with pytest.raises(errors.UnsupportedFormat):
        pool.run("inspect", path=at(specimens.encoded("gif")), formats=["png", "jpeg"])


def test_200_000_text_chunks_do_no_harm(pool: PoolClient, at: Write) -> None:
    text = specimens.chunk(b"tEXt", b"Comment\0x")
    path = at(specimens.png_with(*[text] * 200_000))
    assert facts_from_answer(pool.run("inspect", path=path)).width == 96


@pytest.mark.parametrize("format", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_taken_and_it_is_told(pool: PoolClient, at: Write, format: str) -> None:
    facts = facts_from_answer(pool.run("inspect", path=at(specimens.animation(format, 5))))
    assert (facts.width, facts.height, facts.is_animated) == (40, 30, True)


def test_frames_times_pixels_has_a_limit(pool: PoolClient, at: Write) -> None:
    data = specimens.png_of(4_000, 4_000, depth=1, colour=0)
    frames = specimens.chunk(b"acTL", struct.pack(">II", 26, 0))
    at_pixels = data.index(b"IDAT") - 4
    assert isinstance(refusal(pool, at(data[:at_pixels] + frames + data[at_pixels:])), errors.TooManyPixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 15)])
def test_too_small_pictures_are_refused_where_a_size_is_asked(
    pool: PoolClient, at: Write, size: tuple[int, int]
) -> None:
    path = at(specimens.encoded("png", Image.new("RGB", size)))
    with pytest.raises(errors.TooSmall):
        pool.run("inspect", path=path, smallest_side=16)
    assert facts_from_answer(pool.run("inspect", path=path)).width == size[0]


@pytest.mark.parametrize("orientation", range(1, 10))
def test_a_picture_is_measured_as_it_is_seen(pool: PoolClient, at: Write, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "<script>alert(1)</script>"
    facts = facts_from_answer(pool.run("inspect", path=at(specimens.encoded("jpeg", exif=exif.tobytes()))))
    assert (facts.width, facts.height) == ((64, 96) if 5 <= orientation <= 8 else (96, 64))


ODD_BUT_FINE = {
    "U29 garbage Exif": specimens.encoded("jpeg", exif=b"Exif\0\0" + b"garbage" * 30),
    "U30 garbage ICC": specimens.encoded("jpeg", icc_profile=b"garbage" * 30),
    "U30 garbage ICC in PNG": specimens.encoded("png", icc_profile=b"garbage" * 30),
    "U31 CMYK": specimens.encoded("jpeg", specimens.scene(mode="CMYK")),
    "U32 16 bits": specimens.encoded("png", Image.new("I;16", (40, 40), 30_000)),
    "palette": specimens.encoded("png", specimens.scene(mode="P")),
    "one bit": specimens.encoded("png", specimens.scene(mode="1")),
    "grey with alpha": specimens.encoded("png", specimens.scene(mode="LA")),
    "U13 HTML behind": specimens.encoded("jpeg") + b"<html><script>alert(1)</script>",
    "U14 ZIP behind": specimens.encoded("jpeg") + specimens.zip_tail(),
    "U15 PHP in a comment": specimens.encoded("jpeg", comment=b"<?php system($_GET[0]);"),
}


@pytest.mark.parametrize("name", ODD_BUT_FINE)
def test_odd_files_that_decode_are_accepted(pool: PoolClient, at: Write, tmp_path: Path, name: str) -> None:
    path = at(ODD_BUT_FINE[name])
    assert pool.run("inspect", path=path)["facts"]["frames"] == 1
    made = pool.run("rendition", path=path, out_dir=tmp_path, width=32)["rendition"]
    with Image.open(made["path"]) as image:
        image.load()
        assert image.mode in ("RGB", "RGBA")


def test_a_missing_file_is_said(pool: PoolClient, tmp_path: Path) -> None:
    assert "missing" in refusal(pool, tmp_path / "nothing").message


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif", "avif"])
@settings(max_examples=25)
@given(where=st.floats(0.01, 0.999))
def test_a_picture_cut_anywhere_is_refused(pool: PoolClient, tmp_path: Path, format: str, where: float) -> None:
    data = specimens.encoded(format)
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * where)])
    assert refusal(pool, path).about_the_picture


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "gif", "avif"])
@settings(max_examples=40)
@given(at_byte=st.integers(0), change=st.binary(min_size=1, max_size=6))
def test_changed_bytes_end_in_a_picture_or_a_refusal_and_never_in_a_crash(
    pool: PoolClient, tmp_path: Path, format: str, at_byte: int, change: bytes
) -> None:
    data = bytearray(specimens.encoded(format))
    at_byte %= len(data)
    data[at_byte : at_byte + len(change)] = change
    path = tmp_path / "changed"
    path.write_bytes(data)
    with suppress(errors.Unreadable, errors.UnsupportedFormat, errors.TooManyPixels, errors.TooSmall):
        pool.run("inspect", timeout=5, path=path)


def test_the_largest_picture_takes_less_than_300_megabytes(owner: PoolOwner, pool: PoolClient, at: Write) -> None:
    path = at(specimens.png_of(6_300, 6_300, colour=6))
    facts = facts_from_answer(pool.run("inspect", timeout=10, path=path))
    assert facts.width * facts.height > 39_000_000
    children = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text().split()
    peaks = [int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) for pid in children]
    assert max(peaks) < 350 * 1024  # kB, of which 50 MB are libraries


def test_compressed_pixels_that_end_early_are_refused(pool: PoolClient, at: Write) -> None:
    data = specimens.png_of(64, 64)
    body = zlib.compress(bytes(64 * 10))
    whole = data[: data.index(b"IDAT") - 4] + specimens.chunk(b"IDAT", body) + specimens.chunk(b"IEND", b"")
    assert isinstance(refusal(pool, at(whole)), errors.Unreadable)
