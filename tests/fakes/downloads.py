"""Ways in which the download of a picture can go, by name. A way is `"403"` or `{"kind": "redirect", "to": "..."}`.

All may have a `latency` in seconds. `to` is where a redirect leads, `seconds` the time between two bytes of a drip.
"""

from __future__ import annotations

import gzip
import io
import itertools
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

from PIL import Image

from tests.fakes.answering import AnsweringHandler

Way = dict[str, Any]

PRIVATE_ADDRESS = "http://169.254.169.254/latest/meta-data/iam"
OTHER_HOST = "https://pictures.invalid/1.png"
_MEGABYTE = 1 << 20


def as_way(way: str | Way) -> Way:
    """Return `way` in its long form; raise ValueError for one that there is not."""
    long = {"kind": way} if isinstance(way, str) else dict(way)
    if long.get("kind") not in DOWNLOADS:
        raise ValueError(f"no download goes {long.get('kind')!r}; there are: {', '.join(sorted(DOWNLOADS))}")
    return long


def send(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    """Answer a GET for `data` as `way` says."""
    handler.server.stopping.wait(float(way.get("latency", 0)))
    DOWNLOADS[way["kind"]](handler, way, data, mime_type)


_Send = Callable[[AnsweringHandler, Way, bytes, str], None]


def _status(status: int, body: bytes = b"<Error><Code>AuthenticationFailed</Code></Error>") -> _Send:
    return lambda handler, way, data, mime_type: handler.send_bytes(status, body, "application/xml")


def _other(body: bytes, content_type: str) -> _Send:
    return lambda handler, way, data, mime_type: handler.send_bytes(200, body, content_type)


def _redirect(to: str) -> _Send:
    return lambda handler, way, data, mime_type: handler.send_bytes(
        302, b"", "text/plain", {"Location": way.get("to", to)}
    )


def _redirect_to_itself(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.send_bytes(302, b"", "text/plain", {"Location": handler.path})


def _good(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.send_bytes(200, data, mime_type)


def _cut(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.begin(200, len(data), mime_type)
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True


def _cut_before(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.close_connection = True


def _huge_length(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.begin(200, 10**12, mime_type)
    handler.drip([data], 0.0)


def _endless(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.begin(200, None, mime_type)
    handler.drip(itertools.chain([data], itertools.repeat(b"A" * _MEGABYTE)), 0.0)


def _endless_head(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    line = b"x-more: " + b"A" * 1000 + b"\r\n"
    handler.drip(itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(line)), 0.0)


def _drip(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.begin(200, len(data), mime_type)
    handler.drip((data[at : at + 1] for at in range(len(data))), float(way.get("seconds", 0.05)))


def _drip_head(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + b"x-slow: very\r\n" * 1000
    handler.drip((head[at : at + 1] for at in range(len(head))), float(way.get("seconds", 0.05)))


def _hang(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.wait_until_left()


def _packed(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.send_bytes(200, gzip.compress(data, 1), mime_type, {"Content-Encoding": "gzip"})


def _packed_strangely(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.send_bytes(200, data, mime_type, {"Content-Encoding": "br"})


def _packed_and_broken(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.send_bytes(200, data, mime_type, {"Content-Encoding": "gzip"})


def _packed_and_cut(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    whole = gzip.compress(data, 1)
    handler.send_bytes(200, whole[: len(whole) // 2], mime_type, {"Content-Encoding": "gzip"})


def _packed_and_more(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.begin(200, None, mime_type, {"Content-Encoding": "gzip"})
    handler.drip(itertools.chain([gzip.compress(data, 1)], itertools.repeat(b"A" * _MEGABYTE)), 0.0)


def _packed_with_a_tail(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.send_bytes(200, gzip.compress(data, 1) + b"A" * 1000, mime_type, {"Content-Encoding": "gzip"})


def _bomb(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    body = gzip_of_zeros(4 * 1024)
    handler.begin(200, len(body), mime_type, {"Content-Encoding": "gzip"})
    handler.drip([body], 0.0)


@cache
def gzip_of_zeros(megabytes: int) -> bytes:
    """Return a thousandth of `megabytes`, which unpack to as many megabytes of zeros."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    # What follows a full flush is the same each time, so one megabyte stands for all of them.
    beginning = packer.compress(bytes(_MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    more = packer.compress(bytes(_MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    return beginning + more * (megabytes - 1)


@cache
def animation() -> bytes:
    """Return a WebP of three frames."""
    frames = [Image.new("RGB", (1024, 1024), colour) for colour in ("red", "green", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    return file.getvalue()


def _animated(handler: AnsweringHandler, way: Way, data: bytes, mime_type: str) -> None:
    handler.send_bytes(200, animation(), "image/webp")


DOWNLOADS: dict[str, _Send] = {
    "none": _good,
    "403": _status(403),
    "404": _status(404),
    "410": _status(410),
    "500": _status(500),
    "503": _status(503),
    "204": lambda handler, way, data, mime_type: handler.begin(204, 0, mime_type),
    "redirect": _redirect(OTHER_HOST),
    "redirect_private": _redirect(PRIVATE_ADDRESS),
    "redirect_file": _redirect("file:///etc/passwd"),
    "redirects": _redirect_to_itself,
    "hang": _hang,
    "drip": _drip,
    "drip_head": _drip_head,
    "cut": _cut,
    "cut_before": _cut_before,
    "huge_length": _huge_length,
    "endless": _endless,
    "endless_head": _endless_head,
    "packed": _packed,
    "packed_strangely": _packed_strangely,
    "packed_and_broken": _packed_and_broken,
    "packed_and_cut": _packed_and_cut,
    "packed_and_more": _packed_and_more,
    "packed_with_a_tail": _packed_with_a_tail,
    "bomb": _bomb,
    "empty": _other(b"", "image/png"),
    "html": _other(b"<!doctype html><title>Expired</title>", "text/html"),
    "html_as_picture": _other(b"<!doctype html><title>Expired</title>", "image/png"),
    "svg": _other(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml"),
    "animated": _animated,
    "wrong_type": lambda handler, way, data, mime_type: handler.send_bytes(200, data, "text/html"),
}
