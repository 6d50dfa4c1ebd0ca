"""Files cut into so many pieces that every reader would be busy for as long as it is let, however small they are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from imagegen.imaging.client import PoolClient
from imagegen.imaging.containers import boxes, gif, heif, heif_pixels, jpeg, png, webp
from imagegen.imaging.containers.base import MOST_PIECES, TooManyPieces
from imagegen.imaging.errors import Unreadable
from tests.imaging import specimens

PNG, JPEG, GIF, WEBP, AVIF = (specimens.encoded(name) for name in ("png", "jpeg", "gif", "webp", "avif"))
MANY = MOST_PIECES + 1


def _gif_with(block: bytes) -> bytes:
    start = next(gif._blocks(GIF)).start
    return GIF[:start] + block * MANY + GIF[start:]


def _webp() -> bytes:
    pixels = webp._chunks(WEBP)[0]
    return webp._file([webp._extended_header(pixels[0]), *[webp.Chunk(b"none", b"")] * MANY, *pixels])


PIECES = {
    "chunks of a PNG": (png, specimens.png_with(specimens.chunk(b"noNe", b"") * MANY)),
    "segments of a JPEG": (jpeg, JPEG[:2] + b"\xff\xfe\0\2" * MANY + JPEG[2:]),
    "fill bytes of a JPEG": (jpeg, JPEG[:2] + b"\xff" * MANY + JPEG[2:]),
    "blocks of a GIF": (gif, _gif_with(b"\x21\xfe\0")),
    "chunks of a WebP": (webp, _webp()),
    "boxes of an AVIF": (heif, AVIF + boxes.box_of(b"free", b"") * MANY),
}


@pytest.mark.parametrize("name", PIECES)
def test_nobody_is_bothered_with_pieces_without_end(
    pool: PoolClient, at: Callable[[bytes], Path], tmp_path: Path, name: str
) -> None:
    container, data = PIECES[name]
    with pytest.raises(TooManyPieces):
        container.parse(data)
    with pytest.raises(Unreadable, match="damaged"):
        pool.run("store_upload", received_path=at(data), out_dir=tmp_path, smallest_side=16)


def _with_box(kind: bytes, body: bytes) -> bytes:
    """AVIF with another box of `kind`; what lies behind `meta` is not where it should be then."""
    meta, inner = boxes.meta_of(AVIF)
    parts = [boxes.box_of(kind, body) if box.kind == kind else AVIF[box.start : box.end] for box in inner]
    body = AVIF[meta.body : meta.body + 4] + b"".join(parts)
    return AVIF[: meta.start] + boxes.box_of(b"meta", body) + AVIF[meta.end :]


def test_an_avif_of_more_items_than_any_picture_has_is_refused() -> None:
    count = boxes.MOST_ITEMS + 1
    entries = b"".join(
        boxes.box_of(b"infe", struct.pack(">IHH4sx", 2 << 24, number + 1, 0, b"av01")) for number in range(count)
    )
    with pytest.raises(TooManyPieces):
        heif.parse(_with_box(b"iinf", struct.pack(">IH", 0, count) + entries))


def test_extents_that_take_no_bytes_are_counted() -> None:
    body = struct.pack(">IHH", 1 << 24, 0, 5) + struct.pack(">HHHH", 1, 0, 0, 0xFFFF) * 5
    with pytest.raises(TooManyPieces):
        heif.parse(_with_box(b"iloc", body))


def test_so_are_references() -> None:
    reference = boxes.box_of(b"dimg", struct.pack(">HH", 1, 0xFFFF) + bytes(2 * 0xFFFF))
    body = bytes(4) + reference * 5
    with pytest.raises(TooManyPieces):
        heif_pixels._references(body, boxes.Box(b"iref", 0, 0, len(body)))


def test_a_long_chain_of_items_is_walked_once() -> None:
    """Each of them the part of the one before: looked for among all, again for each, they took minutes."""
    links = range(1, boxes.MOST_ITEMS)
    entries = b"".join(boxes.box_of(b"infe", struct.pack(">IHH4sx", 2 << 24, item, 0, b"av01")) for item in links)
    parts = {
        b"pitm": struct.pack(">IH", 0, 1),
        b"iinf": struct.pack(">IH", 0, len(links)) + entries,
        b"iref": bytes(4) + b"".join(boxes.box_of(b"dimg", struct.pack(">HHH", item, 1, item + 1)) for item in links),
    }
    data = b"".join(boxes.box_of(kind, body) for kind, body in parts.items())
    found = {box.kind: box for box in boxes.boxes_in(data, 0, len(data))}
    assert list(heif_pixels._needed(data, found)) == list(links)
