"""What servers that go wrong on purpose are made of: heads, bodies, drips and silences."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StoppableServer(ThreadingHTTPServer):
    """One thread a connection; `stopping` wakes those that hang."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: callers that hang up are part of the play."""


class AnsweringHandler(BaseHTTPRequestHandler):
    """One connection, with ways to answer it badly."""

    server: StoppableServer
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one piece; two small writes would wait for each other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def note_answer(self, status: int) -> None:
        """Hear that an answer begins."""

    def send_bytes(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> None:
        """Answer with `body`."""
        self.begin(status, len(body), content_type, headers)
        self.wfile.write(body)

    def begin(
        self, status: int, length: int | None, content_type: str, headers: dict[str, str] | None = None
    ) -> None:
        """Send the head of an answer; without a length the end of the connection ends it."""
        self.note_answer(status)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("x-request-id", f"req_{id(self):x}")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length is None:
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def drip(self, pieces: Iterable[bytes], seconds: float) -> None:
        """Send `pieces` one by one until they are through, the caller has left or the server stops."""
        self.close_connection = True
        try:
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                if self.server.stopping.wait(seconds):
                    return
        except OSError:
            return

    def wait_until_left(self) -> None:
        """Say nothing until the caller hangs up or the server stops."""
        self.close_connection = True
        while not self.server.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.05)
            if readable:
                return
