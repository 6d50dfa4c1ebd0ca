"""Connections that can be written to beside their server, by one who has many to write to and waits for none."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Any, Self


class Connection:
    """The client's end of a chunked HTTP/1.1 answer whose head is out and which nobody else writes to meanwhile."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._rest = b""

    @classmethod
    def of(cls, environ: dict[str, Any]) -> Self | None:
        """Return the connection of a request if it takes bytes as they are, and never makes a writer wait.

        That is gunicorn with gevent and without TLS. Other servers, and what is not sent in chunks, have none.
        """
        connected = environ.get("gunicorn.socket")
        if connected is None or environ.get("SERVER_PROTOCOL") != "HTTP/1.1" or isinstance(connected, ssl.SSLSocket):
            return None
        return None if os.get_blocking(connected.fileno()) else cls(connected)

    @property
    def behind(self) -> bool:
        """Whether a part of what was written has not gone out yet: `finish` waits for that."""
        return bool(self._rest)

    @property
    def gone(self) -> bool:
        """Whether the client has closed its end, as far as is known by now."""
        if self._socket.fileno() < 0:
            return True
        patience = self._socket.gettimeout()
        self._socket.settimeout(0)
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._socket.settimeout(patience)

    def write(self, data: bytes) -> bool:
        """Send `data` as one chunk, as much as fits at once; False if nothing of it was taken."""
        if self._rest:
            return False
        framed = b"%X\r\n%b\r\n" % (len(data), data)
        try:
            # Not the socket's own `send`, which waits. A closed one has no number, so nobody else's is written to.
            sent = os.write(self._socket.fileno(), framed)
        except OSError:
            # Full or gone: whoever waits for this connection finds out which.
            return False
        self._rest = framed[sent:]
        return True

    def finish(self) -> None:
        """Send what is left, and wait until it is out; raises OSError when the client has gone."""
        if self._rest:
            self._socket.sendall(self._rest)
            self._rest = b""
