"""A container's XMP is put in without touching a pixel, and a cut file is never taken for a whole one."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from imagegen.imaging.containers import boxes, exif, heif, jpeg, png, webp
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
    "heic": specimens.encoded("heic"),
    "heic-alpha": specimens.encoded("heic", specimens.scene(mode="RGBA")),
    "heic-xmp": specimens.encoded("heic", xmp=b"<old/>"),
    "heic-tiles": specimens.encoded("heic", specimens.scene(300, 200), tile_size=128),
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


@settings(max_examples=300)
@given(st.sampled_from(sorted(SAMPLES)), st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_not_whole(name: str, where: float) -> None:
    data = SAMPLES[name]
    with pytest.raises(Malformed):
        FORMATS[name.split("-")[0]].container.parse(data[: int(len(data) * where)])


@settings(max_examples=500)
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


@settings(max_examples=30)
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


SECRET = b"SECRETWORD"


def talkative(format: str, **more: object) -> bytes:
    """A picture that says in all ways of its format where it was made, and by whom."""
    words = Image.Exif()
    words[0x0112] = 6
    words[0x010E] = SECRET.decode()
    words.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 29: "2026:11:21"})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options = {"exif": words.tobytes(), "xmp": b"<x>%s</x>" % SECRET, "icc_profile": profile, "comment": SECRET}
    return specimens.encoded(format, **options, **more)


TALKATIVE = {format: talkative(format) for format in ("png", "jpeg", "webp", "avif", "heic")} | {
    "gif": specimens.encoded("gif", comment=SECRET)
}


def bared(name: str, data: bytes, *, profile: bool = True) -> bytes:
    container = FORMATS[name.split("-")[0]].container
    whole = container.parse(data).data
    return container.bare(whole, orientation=exif.orientation_of(container.read_exif(whole)), profile=profile)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_bare_file_has_the_first_frame_pixel_for_pixel(name: str) -> None:
    data = bared(name, SAMPLES[name])
    assert pixels(data) == pixels(SAMPLES[name])[:1]
    assert bared(name, data) == data
    whole = FORMATS[name.split("-")[0]].container.parse(data)
    assert (whole.data, whole.frames) == (data, 1)


@pytest.mark.parametrize("name", TALKATIVE)
def test_a_bare_file_says_nothing_but_how_the_picture_is_turned_and_what_its_colours_are(name: str) -> None:
    told, data = TALKATIVE[name], bared(name, TALKATIVE[name])
    assert SECRET in told
    assert SECRET not in data
    assert FORMATS[name].container.read_xmp(data) is None
    with Image.open(io.BytesIO(told)) as before, Image.open(io.BytesIO(data)) as after:
        assert after.info.get("icc_profile") == before.info.get("icc_profile")
        assert dict(after.getexif()) in ({0x0112: 6}, {0x0112: 1}, {})
        assert ImageOps.exif_transpose(after).tobytes() == ImageOps.exif_transpose(before).tobytes()


@pytest.mark.parametrize("name", [name for name in TALKATIVE if name != "gif"])
def test_a_profile_that_is_none_goes_too(name: str) -> None:
    with Image.open(io.BytesIO(bared(name, TALKATIVE[name], profile=False))) as image:
        assert image.info.get("icc_profile") is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("said", "understood"), [(1, 1), (6, 6), (8, 8), (0, 1), (9, 1), (65535, 1)])
def test_an_orientation_without_sense_is_upright(order: str, said: int, understood: int) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tiff = mark + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, said, 0, 0)
    assert exif.orientation_of(tiff) == understood
    assert all(exif.orientation_of(tiff[:length]) == 1 for length in range(20))


@given(st.binary(max_size=80))
def test_any_exif_has_an_orientation(tiff: bytes) -> None:
    assert 1 <= exif.orientation_of(b"II*\0" + tiff) <= 8


@settings(max_examples=400)
@given(st.sampled_from(sorted(SAMPLES)), st.integers(0), st.binary(min_size=1, max_size=8))
def test_baring_changed_bytes_never_breaks(name: str, at: int, change: bytes) -> None:
    data = bytearray(SAMPLES[name])
    at %= len(data)
    data[at : at + len(change)] = change
    with suppress(Malformed):
        assert len(bared(name, bytes(data))) < len(data) + 100


def hidden(name: str) -> dict[str, bytes]:
    """Return files of one format in which words lie where its readers look for none, by where."""
    if name in ("avif", "heic"):
        return _hidden_in_heif(name)
    return {"png": _hidden_in_png, "gif": _hidden_in_gif, "webp": _hidden_in_webp}[name]()


def _hidden_in_png() -> dict[str, bytes]:
    good = {"sBIT": 3, "gAMA": 4, "pHYs": 9, "cHRM": 32, "sRGB": 1, "tRNS": 6, "cICP": 4, "mDCV": 24, "cLLI": 8}
    long = {kind: [SECRET + bytes(length)] for kind, length in good.items()} | {"PLTE": [SECRET + bytes(32)]}
    twice = {f"{kind} twice": [bytes(length), (SECRET * 4)[:length]] for kind, length in good.items() if length > 9}
    found = {
        where: specimens.png_with(*(specimens.chunk(where[:4].encode(), body) for body in bodies))
        for where, bodies in {**long, **twice}.items()
    }
    packed = zlib.compress(bytes(132))
    profiles = [b"x\0\0" + zlib.compress(bytes(132)) + SECRET, b"x\0\0" + packed]
    found["iCCP twice"] = specimens.png_with(*(specimens.chunk(b"iCCP", body) for body in profiles))
    found["behind the profile"] = specimens.png_with(specimens.chunk(b"iCCP", profiles[0]))
    found["behind the pixels"] = specimens.png_with(specimens.chunk(b"cHRM", (SECRET * 4)[:32]), behind_pixels=True)
    end = specimens.chunk(b"IEND", b"")
    found["in the end"] = SAMPLES["png"].removesuffix(end) + specimens.chunk(b"IEND", SECRET)
    return found


def _hidden_in_gif() -> dict[str, bytes]:
    data = SAMPLES["gif-animated"]
    at = data.index(b"\x21\xf9\x04") + 7
    more = bytes((len(SECRET),)) + SECRET
    return {"sub-blocks": data[:at] + more + data[at:], "another length": data[: at - 5] + more + data[at - 5 :]}


def _hidden_in_webp() -> dict[str, bytes]:
    def alpha(data: bytes, before: bytes) -> bytes:
        at = data.index(before)
        data = data[:at] + b"ALPH" + struct.pack("<I", len(SECRET)) + SECRET + data[at:]
        return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]

    return {
        "second": alpha(SAMPLES["webp-alpha"], b"VP8 "),
        "lossless": alpha(webp.with_xmp(SAMPLES["webp-lossless"], b"<x/>"), b"VP8L"),
    }


def _with_property(data: bytes, kind: bytes, body: bytes, *, had: bool) -> bytes:
    """Return a HEIF file with one property more, at the end of those that the first item has, or of none."""
    meta, inner = boxes.meta_of(data)
    iprp = boxes.find(inner, b"iprp")
    ipco, ipma = boxes.boxes_in(data, iprp.body, iprp.end)
    assert data[ipma.body : ipma.body + 4] == bytes(4)
    told = bytearray(data[ipma.body : ipma.end])
    if had:
        told.insert(11 + told[10], 1 + sum(1 for _ in boxes.boxes_in(data, ipco.body, ipco.end)))
        told[10] += 1
    properties = boxes.box_of(b"ipco", data[ipco.body : ipco.end] + boxes.box_of(kind, body))
    rewritten = boxes.box_of(b"iprp", properties + boxes.box_of(b"ipma", bytes(told)))
    iloc = boxes.find(inner, b"iloc")
    found = boxes.locations_of(data, iloc)
    grown = len(rewritten + boxes.iloc(found)) - (iprp.end - iprp.start) - (iloc.end - iloc.start)
    moved = boxes.iloc([heif._moved(location, meta.end, grown) for location in found])
    parts = {box.kind: data[box.start : box.end] for box in inner} | {b"iprp": rewritten, b"iloc": moved}
    whole = boxes.box_of(b"meta", data[meta.body : meta.body + 4] + b"".join(parts.values()))
    return data[: meta.start] + whole + data[meta.end :]


def _hidden_in_heif(name: str) -> dict[str, bytes]:
    """Files with a property more, which the picture has or which nothing has."""
    bodies = {"profile": b"prof" + SECRET, "numbers": b"nclx" + SECRET + bytes(9), "depths": SECRET}
    kinds = {"profile": b"colr", "numbers": b"colr", "depths": b"pixi"}
    return {
        f"{what} {'more' if had else 'of nothing'}": _with_property(
            bared(name, TALKATIVE[name]), kinds[what], body, had=had
        )
        for what, body in bodies.items()
        for had in ([True, False] if what != "depths" else [False])
    }


HIDDEN = [(name, where) for name in ("png", "gif", "webp", "avif", "heic") for where in hidden(name)]


@pytest.mark.parametrize(("name", "where"), HIDDEN)
def test_a_bare_file_hides_nothing_in_pieces_that_are_too_long_or_too_many(name: str, where: str) -> None:
    told = hidden(name)[where]
    assert SECRET in told
    data = bared(name, told)
    assert SECRET not in data
    assert len(pixels(data)) == 1 and bared(name, data) == data
