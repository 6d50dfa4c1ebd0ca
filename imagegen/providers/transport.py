"""How calls to a provider travel: one deadline, a cap on the answer, and word of how far the call got.

An httpx2 transport on httpcore2's connection pool. Time-outs there are per socket operation, so an answer
that drips a byte a second would never end; here each operation gets what is left until the deadline.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpcore2
import httpx2

from imagegen.core.deadlines import BoundedStream

CONNECT_SECONDS = 10.0
KEEP_IDLE_SECONDS = 20.0
LONGEST_ERROR_BODY = 64 * 1024


class Failure(StrEnum):
    """Why an exchange ended without a whole answer."""

    UNREACHABLE = "unreachable"
    LATE = "late"
    LOST = "lost"
    TOO_LONG = "too_long"
    ENCODED = "encoded"


class ExchangeError(Exception):
    """No whole answer. `sent`: the request may have reached the server; `answered`: its status did come."""

    def __init__(self, failure: Failure, *, sent: bool, answered: bool) -> None:
        super().__init__(f"{failure} (sent: {sent}, answered: {answered})")
        self.failure = failure
        self.sent = sent
        self.answered = answered


@dataclass(slots=True)
class Exchange:
    """One call's budget, and how far it got. Times are of the monotonic clock, in seconds."""

    seconds: float
    max_bytes: int
    started: float = field(default_factory=time.monotonic)
    sent: bool = False
    answered: bool = False

    @property
    def elapsed(self) -> float:
        """Return the seconds since the call began."""
        return time.monotonic() - self.started

    def left(self) -> float:
        """Return the seconds until the deadline; raise ExchangeError when there are none."""
        left = self.seconds - self.elapsed
        if left <= 0:
            raise self.failed(Failure.LATE)
        return left

    def failed(self, failure: Failure) -> ExchangeError:
        """Return the error that says how far this exchange got."""
        return ExchangeError(failure, sent=self.sent, answered=self.answered)

    def note(self, event: str, _info: dict[str, Any]) -> None:
        """Take httpcore2's word that the body is about to leave: from then on the server may act on it."""
        if event.endswith("send_request_body.started"):
            self.sent = True


_current: ContextVar[Exchange] = ContextVar("exchange")


@contextmanager
def exchange(seconds: float, max_bytes: int) -> Iterator[Exchange]:
    """Give the calls of this thread `seconds` in all and `max_bytes` of answer."""
    budget = Exchange(seconds=seconds, max_bytes=max_bytes)
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


class BoundedTransport(httpx2.BaseTransport):
    """Sends requests within the current `exchange`; raises ExchangeError and follows no proxy variable.

    Safe for threads: they share the pool, and each reads its own exchange.
    """

    def __init__(self, max_connections: int) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(),
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=KEEP_IDLE_SECONDS,
            network_backend=_Backend(),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send `request`; the answer's body is read through a bounded stream."""
        budget = _current.get()
        left = budget.left()
        url = request.url
        message = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions={
                "timeout": {
                    "connect": min(CONNECT_SECONDS, left),
                    "pool": left,
                    "read": left,
                    "write": left,
                },
                "trace": budget.note,
            },
        )
        with _reported(budget):
            response = self._pool.handle_request(message)
        budget.answered = True
        return httpx2.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response, budget),
            extensions={"http_version": response.extensions["http_version"]},
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    """An answer's body: of a success at most the exchange's bytes, of an error the beginning."""

    def __init__(self, response: httpcore2.Response, budget: Exchange) -> None:
        self._response = response
        self._budget = budget
        self._is_error = response.status >= 400
        self._limit = LONGEST_ERROR_BODY if self._is_error else budget.max_bytes

    def __iter__(self) -> Iterator[bytes]:
        # A few packed bytes can hold gigabytes. We ask for none packed, so whoever packs is not trusted.
        if self._packed():
            if self._is_error:
                return
            raise self._budget.failed(Failure.ENCODED)
        try:
            yield from self._bounded()
        except ExchangeError:
            # The status has said no already; half an explanation will do.
            if not self._is_error:
                raise

    def _packed(self) -> bool:
        return any(
            name.lower() == b"content-encoding" and value.strip().lower() not in (b"", b"identity")
            for name, value in self._response.headers
        )

    def _bounded(self) -> Iterator[bytes]:
        received = 0
        with _reported(self._budget):
            for piece in self._response.iter_stream():
                received += len(piece)
                if received > self._limit:
                    raise self._budget.failed(Failure.TOO_LONG)
                yield piece

    def close(self) -> None:
        self._response.close()


class _Backend(httpcore2.SyncBackend):
    """Opens connections that keep to the deadline."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        stream = super().connect_tcp(host, port, _within(timeout), local_address, socket_options)
        return BoundedStream(stream, _within)


def _within(timeout: float | None) -> float:
    left = _current.get().left()
    return left if timeout is None else min(timeout, left)


@contextmanager
def _reported(budget: Exchange) -> Iterator[None]:
    """Turn httpcore2's errors into ours, which say how far the exchange got."""
    try:
        yield
    except httpcore2.TimeoutException as error:
        # Without a connection it is the server that cannot be reached, however long we waited.
        reached = not isinstance(error, httpcore2.ConnectTimeout)
        raise budget.failed(Failure.LATE if reached else Failure.UNREACHABLE) from None
    except (httpcore2.ConnectError, httpcore2.UnsupportedProtocol):
        raise budget.failed(Failure.UNREACHABLE) from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError):
        raise budget.failed(Failure.LOST) from None
