"""The least that keeps streams open and tells them something: for `bench.streams`, served by gunicorn with gevent.

`/tell` tells all open streams one event of `SIZE` bytes, and answers when it began, by the machine's monotonic clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

PING_SECONDS = 15.0
SIZE = 2000
"""About what a line of the list of jobs takes."""
EVENT = b"\nid: 1\ndata: ".ljust(SIZE - 2, b".") + b"\n\n"

_open: set[Reader] = set()


class Reader:
    """One stream, and what it has not been told yet."""

    def __init__(self) -> None:
        self.inbox: list[bytes] = []
        self.stirred = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"retry: 1000\n\n"
        _open.add(self)
        try:
            while True:
                if not self.stirred.wait(PING_SECONDS):
                    yield b": ping\n\n"
                self.stirred.clear()
                while self.inbox:
                    yield self.inbox.pop(0)
        finally:
            _open.discard(self)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Tell all streams; answer everything else with a stream."""
    if environ["PATH_INFO"] == "/tell":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(_tell()).encode()]
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return iter(Reader())


def _tell() -> float:
    began = time.monotonic()
    for reader in _open:
        reader.inbox.append(EVENT)
        reader.stirred.set()
    return began
