"""A server of one file that goes wrong on demand, plain or with a certificate of its own.

with FileServer(b"...", "image/png") as server:
    server.script("500", {"kind": "redirect", "to": "https://..."})
    ...                                # server.url, server.hits
"""

from __future__ import annotations

import ssl
import threading
from collections import deque
from typing import Self

from tests.fakes import downloads
from tests.fakes.answering import AnsweringHandler, StoppableServer


class _Server(StoppableServer):
    def __init__(self, data: bytes, mime_type: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data = data
        self.mime_type = mime_type
        self.ways: deque[downloads.Way] = deque()
        self.hits: list[dict[str, str]] = []


class _Handler(AnsweringHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.hits.append({"path": self.path} | {name.lower(): value for name, value in self.headers.items()})
        way = self.server.ways.popleft() if self.server.ways else {"kind": "none"}
        downloads.send(self, way, self.server.data, self.server.mime_type)


class FileServer:
    """The server on a thread of this process; a context manager."""

    def __init__(self, data: bytes = b"", mime_type: str = "text/plain", tls: ssl.SSLContext | None = None) -> None:
        self._server = _Server(data, mime_type)
        self._scheme = "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self._scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Return where it listens."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """Return the file's address."""
        return f"{self._scheme}://127.0.0.1:{self.port}/file?signed=yes"

    @property
    def hits(self) -> list[dict[str, str]]:
        """Return the headers of each request so far, and its path."""
        return self._server.hits

    def script(self, *ways: str | downloads.Way) -> None:
        """Let the next requests go these ways, one each."""
        self._server.ways.extend(downloads.as_way(way) for way in ways)
