"""Network streams on which every operation ends by one deadline, however slowly the bytes trickle."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpcore2

_PIECE = 64 * 1024

Within = Callable[[float | None], float]
"""Returns the seconds that an operation may take which would like that many; raises when there are none left."""


class DeadlinePassed(Exception):
    """There is no time left."""


class Deadline:
    """A moment of the monotonic clock, `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def within(self, timeout: float | None = None) -> float:
        """Return the seconds until then, at most `timeout`; raise DeadlinePassed when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeadlinePassed
        return left if timeout is None else min(timeout, left)


class BoundedStream(httpcore2.NetworkStream):
    """A connection whose operations take at most what `within` allows at that moment."""

    def __init__(self, stream: httpcore2.NetworkStream, within: Within) -> None:
        self._stream = stream
        self._within = within

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come, as soon as anything has."""
        return self._stream.read(max_bytes, self._within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`, in pieces, for a time-out is for one piece."""
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], self._within(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Return this connection encrypted, under the same deadline."""
        return BoundedStream(
            self._stream.start_tls(ssl_context, server_hostname, self._within(timeout)), self._within
        )

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection beneath says about itself."""
        return self._stream.get_extra_info(info)
