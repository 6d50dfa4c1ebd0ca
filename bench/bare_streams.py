"""The least that keeps streams open: for `bench.streams`, served by gunicorn with gevent as the studio is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

PING_SECONDS = 15.0


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer everything with a stream on which nothing happens."""
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return _read(threading.Event())


def _read(stirred: threading.Event) -> Iterator[bytes]:
    yield b"retry: 1000\n\n"
    while not stirred.wait(PING_SECONDS):
        yield b": ping\n\n"
