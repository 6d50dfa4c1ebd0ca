"""A line between a client and a server that goes wrong on demand: slow, cut, reset or silent.

    with TcpProxy(("127.0.0.1", studio_port)) as line:
        line.trouble = Trouble(only=b"GET /jobs/stream", cut_after=2000)
        ...                                # line.url, line.requests
        line.cut(b"GET /jobs/stream")      # cut what is open now

It passes bytes on and understands nothing of them but how a request begins. `trouble` is read whenever a
client begins to say something, so it reaches connections that are open already.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to a request that begins with `only`, and to its answer."""

    only: bytes = b""
    delay: float = 0.0
    """Seconds before the request is passed on."""
    drip: tuple[int, float] | None = None
    """At most so many bytes of the answer, then so many seconds of rest, and again."""
    cut_after: int | None = None
    """The line ends after so many bytes of the answer; 0 lets nothing through, not even the request."""
    reset: bool = False
    """It ends with a reset, not politely."""
    black_hole: bool = False
    """Nothing is passed on, and nothing ends."""


class _Line:
    """One connection: a thread for each direction. Whoever comes last closes both ends."""

    def __init__(self, proxy: TcpProxy, client: socket.socket) -> None:
        self.proxy = proxy
        self.client = client
        self.server = socket.create_connection(proxy.server)
        self.trouble = Trouble()
        self.asked = b""
        self._answered = 0
        self._ended = threading.Event()

    def start(self) -> None:
        directions = [threading.Thread(target=run, daemon=True) for run in (self._upwards, self._downwards)]
        for direction in directions:
            direction.start()
        threading.Thread(target=self._close, args=directions, daemon=True).start()

    def _upwards(self) -> None:
        with suppress(OSError):
            while piece := self.client.recv(_PIECE):
                if piece.split(b" ", 1)[0] in _METHODS:
                    self._begin(piece)
                if self.trouble.cut_after == 0:
                    break
                self._ended.wait(self.trouble.delay)
                if not self.trouble.black_hole:
                    self.server.sendall(piece)
        self.end()

    def _begin(self, piece: bytes) -> None:
        wanted = self.proxy.trouble
        self.trouble = wanted if piece.startswith(wanted.only) else Trouble()
        self.asked, self._answered = piece, 0
        self.proxy.requests.append(piece)

    def _downwards(self) -> None:
        with suppress(OSError):
            while piece := self.server.recv(_PIECE):
                if not self.trouble.black_hole and not self._pass_on(piece):
                    break
        if self.trouble.black_hole:
            self._ended.wait()
        self.end()

    def _pass_on(self, piece: bytes) -> bool:
        """Pass on as much of `piece` as may be; False when that was all."""
        trouble = self.trouble
        if trouble.cut_after is not None:
            piece = piece[: max(0, trouble.cut_after - self._answered)]
        self._answered += len(piece)
        size, rest = trouble.drip or (_PIECE, 0.0)
        for start in range(0, len(piece), size):
            self.client.sendall(piece[start : start + size])
            self._ended.wait(rest)
        return trouble.cut_after is None or self._answered < trouble.cut_after

    def end(self) -> None:
        """Wake both directions, which then end."""
        self._ended.set()
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            if self.trouble.reset:
                # Closed without time to linger, a connection that was not shut down is reset.
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.client.shutdown(socket.SHUT_RD)
            else:
                self.client.shutdown(socket.SHUT_RDWR)

    def _close(self, *directions: threading.Thread) -> None:
        for direction in directions:
            direction.join()
        self.client.close()
        self.server.close()
        self.proxy.forget(self)


_METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"}


class TcpProxy:
    """Listens on a port of its own and passes on to `server`; a context manager."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.trouble = Trouble()
        self.requests: list[bytes] = []
        """The beginning of every request so far: its head, and whatever came with it."""
        self._lines: set[_Line] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            line = _Line(self, client)
        except OSError:
            client.close()  # the server does not listen
            return
        self._lines.add(line)
        line.start()

    def begun(self, beginning: bytes) -> list[bytes]:
        """Return the requests so far that begin so."""
        return [request for request in self.requests if request.startswith(beginning)]

    def cut(self, beginning: bytes = b"") -> int:
        """Cut the open lines whose last request began so, and return how many those were."""
        found = [line for line in list(self._lines) if line.asked.startswith(beginning)]
        for line in found:
            line.end()
        return len(found)

    def forget(self, line: _Line) -> None:
        """Drop a line that has ended."""
        self._lines.discard(line)
