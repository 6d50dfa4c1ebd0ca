"""A container's XMP is put in without touching a pixel, and a cut file is never taken for a whole one."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagegen.imaging.containers import jpeg, png, webp
from imagegen.imaging.containers.base import Malformed
from imagegen.imaging.formats import FORMATS, recognise
from imagegen.imaging.provenance import DigitalSourceType, Provenance, packet
from tests.imaging import specimens

PACKET = packet(Provenance(DigitalSourceType.TRAINED_ALGORITHMIC_MEDIA, system="OpenAI", version="gpt-image-2"))
SAMPLES: dict[str, bytes] = {
    "png": specimens.encoded("png"),
    "png-palette": specimens.encoded("png", specimens.scene(mode="P")),
    "png-16": specimens.encoded("png", Image.new("I;16", (20, 20), 40_000)),
    "png-animated": specimens.animation("png", 3),
    "jpeg": specimens.encoded("jpeg"),
    "jpeg-progressive": specimens.encoded("jpeg", progressive=True, quality=70),
    "jpeg-exif": specimens.encoded("jpeg", exif=Image.Exif().tobytes(), comment=b"hello", dpi=(72, 72)),
    "jpeg-restarts": specimens.encoded("jpeg", restart_marker_rows=1),
    "webp": specimens.encoded("webp"),
    "webp-lossless": specimens.encoded("webp", specimens.scene(mode="RGBA"), lossless=True),
    "webp-alpha": specimens.encoded("webp", specimens.scene(mode="RGBA")),
    "webp-odd": specimens.encoded("webp", specimens.scene(33, 17)),
    "webp-xmp": specimens.encoded("webp", xmp=b"<old/>"),
    "webp-animated": specimens.animation("webp", 4),
    "gif": specimens.encoded("gif"),
    "gif-animated": specimens.animation("gif", 4),
    "avif": specimens.encoded("avif"),
    "avif-alpha": specimens.encoded("avif", specimens.scene(mode="RGBA")),
    "avif-xmp": specimens.encoded("avif", xmp=b"<old/>"),
}


def pixels(data: bytes) -> list[bytes]:
    with Image.open(io.BytesIO(data)) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(image.convert("RGBA").tobytes())
        return frames


@pytest.mark.parametrize("name", SAMPLES)
def test_xmp_goes_in_and_no_pixel_changes(name: str) -> None:
    data = SAMPLES[name]
    container = FORMATS[name.split("-")[0]].container
    marked = container.with_xmp(data, PACKET)
    assert pixels(marked) == pixels(data)
    assert container.read_xmp(marked) == PACKET
    assert container.parse(marked).data == marked


@pytest.mark.parametrize("name", [name for name in SAMPLES if not name.startswith("gif")])
def test_an_independent_reader_finds_the_packet(name: str) -> None:
    marked = FORMATS[name.split("-")[0]].container.with_xmp(SAMPLES[name], PACKET)
    with Image.open(io.BytesIO(marked)) as image:
        image.load()
        found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode()
    assert found == PACKET


@pytest.mark.parametrize("name", SAMPLES)
def test_a_second_packet_takes_the_first_ones_place(name: str) -> None:
    container = FORMATS[name.split("-")[0]].container
    once = container.with_xmp(SAMPLES[name], PACKET)
    twice = container.with_xmp(once, b"<second/>")
    assert container.read_xmp(twice) == b"<second/>"
    assert pixels(twice) == pixels(SAMPLES[name])


@pytest.mark.parametrize("name", SAMPLES)
def test_without_a_packet_there_is_none(name: str) -> None:
    if not name.endswith("-xmp"):
        assert FORMATS[name.split("-")[0]].container.read_xmp(SAMPLES[name]) is None


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("tail", [b"<html>", b"PK\x03\x04../../evil", bytes(100), b"\xff\xd9"])
def test_what_follows_a_pictures_end_is_cut_off(name: str, tail: bytes) -> None:
    assert FORMATS[name.split("-")[0]].container.parse(SAMPLES[name] + tail).data == SAMPLES[name]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_not_whole(name: str, where: float) -> None:
    data = SAMPLES[name]
    with pytest.raises(Malformed):
        FORMATS[name.split("-")[0]].container.parse(data[: int(len(data) * where)])


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.integers(0), st.binary(min_size=1, max_size=8))
def test_changed_bytes_never_break_the_reader_itself(name: str, at: int, change: bytes) -> None:
    data = bytearray(SAMPLES[name])
    at %= len(data)
    data[at : at + len(change)] = change
    container = FORMATS[name.split("-")[0]].container
    with suppress(Malformed):
        container.read_xmp(container.with_xmp(container.parse(bytes(data)).data, PACKET))


@given(st.binary(max_size=200))
def test_noise_never_breaks_a_reader(noise: bytes) -> None:
    for one in FORMATS.values():
        for start in (b"", bytes(one.magic[0][0][0]) + one.magic[0][0][1]):
            with pytest.raises(Malformed):
                one.container.parse(start + noise)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from(["RGB", "RGBA", "L"]),
    st.sampled_from(sorted(FORMATS)),
)
def test_any_size_and_mode_keeps_its_pixels(width: int, height: int, mode: str, format: str) -> None:
    if format == "jpeg" and mode == "RGBA":
        mode = "CMYK"
    data = specimens.encoded(format, specimens.scene(width, height, mode))
    assert pixels(FORMATS[format].container.with_xmp(data, PACKET)) == pixels(data)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_first_bytes_tell_the_format(name: str) -> None:
    found = recognise(SAMPLES[name])
    assert found is not None
    assert found.name == name.split("-")[0]


def test_frames_are_counted() -> None:
    counts = {name: FORMATS[name.split("-")[0]].container.parse(data).frames for name, data in SAMPLES.items()}
    assert {name for name, count in counts.items() if count > 1} == {
        "png-animated",
        "webp-animated",
        "gif-animated",
    }
    assert counts["webp-animated"] == counts["gif-animated"] == 4


def test_an_avif_sequence_counts_as_animated() -> None:
    assert FORMATS["avif"].container.parse(specimens.animation("avif", 3)).frames > 1


def test_a_png_with_a_wrong_checksum_is_refused() -> None:
    data = bytearray(SAMPLES["png"])
    data[-20] ^= 1
    with pytest.raises(Malformed):
        png.parse(bytes(data))


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
@pytest.mark.parametrize("behind", [False, True])
def test_text_that_grows_without_bounds_is_refused_wherever_it_lies(kind: bytes, behind: bool) -> None:
    with pytest.raises(Malformed):
        png.parse(specimens.png_with(specimens.text_bomb(kind), behind_pixels=behind))


def test_many_small_bombs_are_refused_together() -> None:
    with pytest.raises(Malformed):
        png.parse(specimens.png_with(*[specimens.text_bomb(size=1 << 20)] * 9))


def test_a_packet_too_long_for_a_jpeg_segment_is_not_cut() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        jpeg.with_xmp(SAMPLES["jpeg"], b"x" * 70_000)


def test_jfif_and_exif_stay_in_front() -> None:
    marked = jpeg.with_xmp(specimens.encoded("jpeg", exif=Image.Exif().tobytes()), PACKET)
    assert marked.index(b"Exif\0\0") < marked.index(b"http://ns.adobe.com/xap/1.0/")


def test_lossless_webp_is_told_from_lossy() -> None:
    assert webp.is_lossless(SAMPLES["webp-lossless"])
    assert not webp.is_lossless(SAMPLES["webp"])
