"""A provider's picture becomes a marked file, renditions and facts, in one task."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image, ImageChops, ImageStat

from imagegen.imaging import errors, tasks
from imagegen.imaging.client import PoolClient
from imagegen.imaging.facts import (
    StoredPicture,
    converted_from_answer,
    rendition_from_answer,
    rendition_widths,
)
from imagegen.imaging.formats import FORMATS
from tests.imaging import specimens

Write = Callable[[bytes], Path]
AI = {"digital_source_type": "trainedAlgorithmicMedia", "system": "OpenAI", "version": "gpt-image-2"}
URI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SOURCE_TYPE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


@pytest.fixture
def store(pool: PoolClient, at: Write, tmp_path: Path) -> Callable[..., StoredPicture]:
    def run(data: bytes, **params: Any) -> StoredPicture:
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        answer = pool.run("store_generated", received_path=at(data), out_dir=out, **{"ai": AI, **params})
        return StoredPicture.from_answer(json.loads(json.dumps(answer)))

    return run


def source_type(data: bytes, format: str) -> str | None:
    packet = FORMATS[format].container.read_xmp(data)
    if packet is None:
        return None
    return ElementTree.fromstring(packet.decode().strip("\ufeff")).findtext(f".//{SOURCE_TYPE}")


def opened(path: Path) -> Image.Image:
    image = Image.open(io.BytesIO(path.read_bytes()))
    image.load()
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures' channels, of 255."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def test_all_that_is_kept_is_on_the_disk_when_the_answer_comes(
    at: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = set(), os.fsync

    def noting(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(Path(f"/proc/self/fd/{descriptor}").resolve())

    monkeypatch.setattr(os, "fsync", noting)
    received = at(specimens.encoded("png", specimens.scene(300, 200)))
    answer = tasks.store_generated(str(received), str(tmp_path), ai=AI)
    stored = StoredPicture.from_answer(answer)
    assert synced == {received, stored.file.path, *(each.path for each in stored.renditions)}


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_the_file_has_the_providers_pixels_and_our_mark(store: Callable[..., StoredPicture], format: str) -> None:
    data = specimens.encoded(format, specimens.scene(300, 200))
    stored = store(data)
    file = stored.file.path.read_bytes()
    assert opened(stored.file.path).tobytes() == Image.open(io.BytesIO(data)).tobytes()
    assert source_type(file, format) == URI
    assert (stored.file.bytes, stored.file.sha256) == (len(file), hashlib.sha256(file).hexdigest())
    assert (stored.received_bytes, stored.received_sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (stored.facts.format, stored.facts.width, stored.facts.height) == (format, 300, 200)
    assert stored.facts.sha256 == stored.file.sha256
    assert not stored.trimmed


def test_without_a_mark_the_file_is_as_it_came(store: Callable[..., StoredPicture]) -> None:
    data = specimens.encoded("png")
    stored = store(data, ai=None)
    assert stored.file.path.read_bytes() == data


def test_the_received_file_is_not_touched(pool: PoolClient, at: Write, tmp_path: Path) -> None:
    data = specimens.encoded("jpeg") + b"<html>"
    path = at(data)
    pool.run("store_generated", received_path=path, out_dir=tmp_path, ai=AI)
    assert path.read_bytes() == data


def test_what_hides_behind_the_picture_does_not_reach_the_file(store: Callable[..., StoredPicture]) -> None:
    stored = store(specimens.encoded("jpeg") + b"<html><script>alert(1)</script>")
    assert b"<script>" not in stored.file.path.read_bytes()


@pytest.mark.parametrize(
    ("width", "widths"),
    [(100, [100]), (256, [256]), (300, [256, 300]), (1024, [256, 512, 1024]), (1300, [256, 512, 1024])],
)
def test_renditions_come_in_three_widths_and_are_never_enlarged(
    store: Callable[..., StoredPicture], width: int, widths: list[int]
) -> None:
    image = specimens.scene(width, width // 2)
    stored = store(specimens.encoded("png", image))
    assert [one.width for one in stored.renditions] == widths == list(rendition_widths(width))
    for one in stored.renditions:
        made = opened(one.path)
        assert made.format == "WEBP"
        assert made.size == (one.width, one.height)
        assert abs(one.height - one.width / 2) <= 1
        assert source_type(one.path.read_bytes(), "webp") == URI
        assert one.sha256 == hashlib.sha256(one.path.read_bytes()).hexdigest()
        smooth = image.resize(made.size, Image.Resampling.LANCZOS)
        assert difference(made.resize((32, 16)), smooth.resize((32, 16))) < 8


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_renditions_are_upright(store: Callable[..., StoredPicture], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    upright = specimens.scene(96, 64)
    stored = store(specimens.encoded("jpeg", upright.transpose(turned[orientation]), exif=exif.tobytes(), quality=95))
    assert (stored.facts.width, stored.facts.height) == (96, 64)
    assert difference(opened(stored.renditions[-1].path).resize((24, 16)), upright.resize((24, 16))) < 8


def test_transparency_stays_in_file_and_renditions(store: Callable[..., StoredPicture]) -> None:
    stored = store(specimens.encoded("png", specimens.scene(300, 200, "RGBA")))
    assert stored.facts.has_alpha is True
    assert opened(stored.renditions[0].path).mode == "RGBA"


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
def test_trimming_cuts_the_middle_out_exactly(store: Callable[..., StoredPicture], format: str) -> None:
    image = specimens.scene(120, 180)
    options = {"lossless": True} if format == "webp" else {}
    data = specimens.encoded(format, image, **options)
    stored = store(data, trim=[120, 150])
    made = opened(stored.file.path)
    assert stored.trimmed
    assert made.size == (120, 150) == (stored.facts.width, stored.facts.height)
    assert made.format == specimens.PILLOW[format]
    assert source_type(stored.file.path.read_bytes(), format) == URI
    expected = Image.open(io.BytesIO(data)).crop((0, 15, 120, 165))
    assert difference(made, expected) < (3 if format == "jpeg" else 0.01)
    assert stored.renditions[-1].height == 150


def test_trimming_to_the_size_it_has_changes_nothing(store: Callable[..., StoredPicture]) -> None:
    data = specimens.encoded("jpeg")
    stored = store(data, trim=[96, 64], ai=None)
    assert not stored.trimmed
    assert stored.file.path.read_bytes() == data


def test_a_picture_smaller_than_the_trim_keeps_its_pixels_and_gets_the_proportions(
    store: Callable[..., StoredPicture],
) -> None:
    stored = store(specimens.encoded("png", specimens.scene(100, 100)), trim=[1080, 1350])
    assert (stored.facts.width, stored.facts.height) == (80, 100)


def test_the_placeholder_is_a_tiny_picture_of_the_picture(store: Callable[..., StoredPicture]) -> None:
    image = specimens.scene(400, 300).convert("RGBA")  # opaque, as most of those with an alpha channel
    uri = store(specimens.encoded("png", image)).looks.placeholder
    assert len(uri) < 400
    head, _, body = uri.partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as tiny:
        assert tiny.size == (16, 12)


def test_a_picture_that_one_can_see_through_has_nothing_behind_it(store: Callable[..., StoredPicture]) -> None:
    looks = store(specimens.encoded("png", specimens.scene(400, 300, "RGBA"))).looks
    assert looks.placeholder == ""
    assert looks.colours


def test_the_placeholder_of_noise_is_short_too(store: Callable[..., StoredPicture]) -> None:
    noise = Image.merge("RGB", [Image.effect_noise((32, 32), 120) for _ in range(3)])
    assert len(store(specimens.encoded("png", noise)).looks.placeholder) < 400


def test_colours_are_the_most_frequent_first(store: Callable[..., StoredPicture]) -> None:
    image = Image.new("RGB", (300, 300), (0, 128, 255))
    image.paste((255, 200, 0), (0, 0, 300, 90))
    colours = store(specimens.encoded("png", image)).looks.colours
    assert 2 <= len(colours) <= 5
    blue, yellow = (tuple(bytes.fromhex(one[1:])) for one in colours[:2])
    assert max(abs(a - b) for a, b in zip(blue, (0, 128, 255), strict=True)) < 12
    assert yellow[0] > 200 > 100 > yellow[2]


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def test_the_hash_of_near_duplicates_is_near_and_of_others_far(store: Callable[..., StoredPicture]) -> None:
    image = specimens.scene(400, 300)
    original = store(specimens.encoded("png", image)).looks.phash
    near = store(specimens.encoded("jpeg", image.resize((320, 240)), quality=60)).looks.phash
    far = store(specimens.encoded("png", image.transpose(Image.Transpose.ROTATE_90))).looks.phash
    assert len(original) == 16
    assert distance(original, near) <= 6
    assert distance(original, far) >= 16


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("colour", ["black", "magenta", "white"])
def test_a_picture_of_one_colour_has_no_hash_that_others_could_be_near(
    store: Callable[..., StoredPicture], format: str, colour: str
) -> None:
    assert store(specimens.encoded(format, Image.new("RGB", (300, 200), colour))).looks.phash is None


def test_colours_of_another_profile_arrive_in_srgb(store: Callable[..., StoredPicture]) -> None:
    image = Image.new("CMYK", (300, 300), (255, 0, 0, 0))
    red, green, blue = opened(store(specimens.encoded("jpeg", image)).renditions[0].path).getpixel((9, 9))
    assert red < 120 < min(green, blue)


@pytest.mark.parametrize("format", ["gif", "avif"])
def test_formats_that_were_not_asked_for_are_refused(store: Callable[..., StoredPicture], format: str) -> None:
    data = specimens.encoded(format)
    with pytest.raises(errors.UnsupportedFormat):
        store(data)
    assert source_type(store(data, formats=[format]).file.path.read_bytes(), format) == URI


@pytest.mark.parametrize("format", ["png", "webp"])
def test_an_animated_answer_is_refused(store: Callable[..., StoredPicture], format: str) -> None:
    with pytest.raises(errors.UnsupportedFormat, match="animated"):
        store(specimens.animation(format, 3))


def test_a_picture_of_one_pixel_is_no_answer(store: Callable[..., StoredPicture]) -> None:
    with pytest.raises(errors.TooSmall):
        store(specimens.encoded("png", Image.new("RGB", (1, 1))))


def test_a_pictures_text_cannot_break_the_packet(store: Callable[..., StoredPicture]) -> None:
    hostile = "</rdf:RDF>\x00\ufffe<script>&\"'" + "x" * 90_000
    stored = store(specimens.encoded("jpeg"), ai=AI | {"prompt": hostile})
    assert source_type(stored.file.path.read_bytes(), "jpeg") == URI


def test_the_prompt_is_not_written_unless_given(store: Callable[..., StoredPicture]) -> None:
    plain = store(specimens.encoded("png")).file.path.read_bytes()
    told = store(specimens.encoded("png"), ai=AI | {"prompt": "a quiet lake"}).file.path.read_bytes()
    assert b"AIPromptInformation" not in plain
    assert b"a quiet lake" in told


def test_the_studios_own_drawings_are_not_called_trained(store: Callable[..., StoredPicture]) -> None:
    stored = store(specimens.encoded("png"), ai={"digital_source_type": "algorithmicMedia"})
    assert (source_type(stored.file.path.read_bytes(), "png") or "").endswith("/algorithmicMedia")


def test_a_rendition_made_again_is_as_the_first_one(
    store: Callable[..., StoredPicture], pool: PoolClient, tmp_path: Path
) -> None:
    stored = store(specimens.encoded("png", specimens.scene(700, 500)))
    first = stored.renditions[-1]
    made = rendition_from_answer(pool.run("rendition", path=stored.file.path, out_dir=tmp_path, width=first.width))
    assert made.sha256 == first.sha256
    assert (made.width, made.height) == (first.width, first.height)


@pytest.mark.parametrize("source", ["png", "jpeg", "webp", "gif", "avif"])
@pytest.mark.parametrize("target", ["png", "jpeg", "webp"])
def test_a_download_in_another_format_keeps_the_mark(
    store: Callable[..., StoredPicture], pool: PoolClient, tmp_path: Path, source: str, target: str
) -> None:
    image = specimens.scene(200, 100)
    stored = store(specimens.encoded(source, image), formats=list(FORMATS))
    made = converted_from_answer(
        pool.run("convert", path=stored.file.path, out_dir=tmp_path, format=target, max_width=120)
    )
    assert (made.width, made.height, made.mime_type) == (120, 60, f"image/{target}")
    assert opened(made.path).size == (120, 60)
    assert source_type(made.path.read_bytes(), target) == URI


def test_a_download_as_it_is_is_the_file_byte_for_byte(
    store: Callable[..., StoredPicture], pool: PoolClient, tmp_path: Path
) -> None:
    stored = store(specimens.encoded("webp"))
    made = converted_from_answer(pool.run("convert", path=stored.file.path, out_dir=tmp_path, format="webp"))
    assert made.path.read_bytes() == stored.file.path.read_bytes()


def test_transparency_becomes_white_in_a_jpeg(pool: PoolClient, at: Write, tmp_path: Path) -> None:
    path = at(specimens.encoded("png", Image.new("RGBA", (50, 50), (0, 0, 0, 0))))
    made = converted_from_answer(pool.run("convert", path=path, out_dir=tmp_path, format="jpeg"))
    assert opened(made.path).getpixel((5, 5)) == (255, 255, 255)
