"""The one way in which the studio fetches something from an address that it was told by others.

The name is resolved once, every address found is checked, and the connection is made to a checked address itself, so
a second answer of the name server changes nothing; TLS still asks for the name. No proxies, `.netrc` or cookies.
"""

from __future__ import annotations

import io
import queue
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin

import httpcore2
import httpx2

from imagegen.core.addresses import (
    NOT_AN_ADDRESS,
    PRIVATE,
    AddressRefused,
    IPAddress,
    Origin,
    Target,
    check,
    is_public,
    literal_of,
)
from imagegen.core.deadlines import BoundedStream, Deadline, DeadlinePassed
from imagegen.core.errors import StudioError
from imagegen.core.text import N_

MOST_REDIRECTS = 2
CONNECT_SECONDS = 10.0
MOST_ADDRESSES = 4
"""How many of a name's addresses are tried before the server counts as unreachable."""

USER_AGENT = "imagegen-studio"
_PIECE = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({403, 404, 408, 425, 429})
"""Refusals that may be over in a second: storage shows a new object, or believes its signature, a little late."""


class Problem(StrEnum):
    """Why nothing usable came."""

    UNREACHABLE = "unreachable"
    LATE = "late"
    LOST = "lost"
    STATUS = "status"
    REDIRECTS = "redirects"
    TOO_LARGE = "too_large"
    PACKED = "packed"


_SENTENCES: dict[Problem, str] = {
    Problem.UNREACHABLE: N_("The server cannot be reached."),
    Problem.LATE: N_("The server did not deliver in time."),
    Problem.LOST: N_("The connection broke before everything had come."),
    Problem.STATUS: N_("The server answered with status {status}."),
    Problem.REDIRECTS: N_("The server sent the request on too often."),
    Problem.TOO_LARGE: N_("What the server sent is larger than {megabytes} MB."),
    Problem.PACKED: N_("What the server sent is packed in a way that cannot be read."),
}


class FetchError(StudioError):
    """Nothing usable came; the message is a sentence without the address, which may be a secret."""

    def __init__(self, problem: Problem, *, answered: int | None = None, max_bytes: int = 0) -> None:
        super().__init__(_SENTENCES[problem].format(status=answered, megabytes=max_bytes // 1_000_000))
        self.problem = problem
        self.answered = answered
        """The HTTP status, if it was that."""

    @property
    def may_pass(self) -> bool:
        """Whether the same fetch may do better in a moment."""
        if self.problem == Problem.STATUS and self.answered is not None:
            return self.answered >= 500 or self.answered in _PASSING
        return self.problem in (Problem.UNREACHABLE, Problem.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came: `size` in bytes, the media type as the server calls it (not to be trusted), and the bytes.

    `data` is empty if they were written to a file.
    """

    size: int
    media_type: str
    data: bytes = field(default=b"", repr=False)


Resolver = Callable[[str, int], Iterable[str]]
"""From a name and a port to IP addresses; raises OSError."""


def resolve(host: str, port: int) -> list[str]:
    """Return what the system's resolver knows of `host`, each address once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


@cache
def _usual_tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches by one set of rules; its parts are the name server, the way to connect, and whom TLS trusts."""

    resolver: Resolver = resolve
    network: httpcore2.NetworkBackend = field(default_factory=httpcore2.SyncBackend)
    tls: Callable[[], ssl.SSLContext] = _usual_tls

    def fetch(
        self,
        url: str,
        *,
        max_bytes: int,
        deadline_seconds: float,
        into: Path | None = None,
        allowed: Collection[Origin] = (),
        accept: str = "*/*",
    ) -> Fetched:
        """GET `url` and return what came, or write it to the new file `into`, of which nothing stays after an error.

        At most `max_bytes` are taken, counted unpacked, and all of it (names, redirects, a slow trickle) is over in
        `deadline_seconds`. `allowed` are origins that an operator has set: they may be plain http and in a private
        network. Up to two redirects are followed, each checked as the first address was. Raises AddressRefused,
        FetchError, or OSError if `into` cannot be written.
        """
        call = _Call(self, Deadline(deadline_seconds), max_bytes, allowed, accept)
        if into is None:
            buffer = io.BytesIO()
            size, media_type = call.run(url, buffer)
            return Fetched(size=size, media_type=media_type, data=buffer.getvalue())
        with into.open("xb") as file:
            try:
                size, media_type = call.run(url, file)
            except BaseException:
                into.unlink()
                raise
        return Fetched(size=size, media_type=media_type)


_FETCHER = Fetcher()
fetch = _FETCHER.fetch


@dataclass(frozen=True, slots=True)
class _Call:
    """One fetch under way."""

    fetcher: Fetcher
    deadline: Deadline
    max_bytes: int
    allowed: Collection[Origin]
    accept: str

    def run(self, url: str, sink: BinaryIO) -> tuple[int, str]:
        """Write what `url` leads to into `sink`; return its size in bytes and its media type."""
        with _reported():
            for _ in range(MOST_REDIRECTS + 1):
                target = check(url, self.allowed)
                with self._answer(target) as response:
                    if response.status not in _REDIRECTS:
                        return self._taken(response, sink)
                    url = _next(target, response)
            raise FetchError(Problem.REDIRECTS)

    @contextmanager
    def _answer(self, target: Target) -> Iterator[httpcore2.Response]:
        network = _Checked(self.fetcher.network, self._addresses(target), self.deadline)
        tls = self.fetcher.tls() if target.origin.scheme == "https" else None
        with httpcore2.ConnectionPool(ssl_context=tls, network_backend=network, max_connections=1) as pool:
            response = pool.handle_request(self._request(target))
            try:
                yield response
            finally:
                response.close()

    def _request(self, target: Target) -> httpcore2.Request:
        scheme, host, port = target.origin
        return httpcore2.Request(
            method="GET",
            url=httpcore2.URL(scheme=scheme, host=host, port=port, target=target.path),
            headers={
                "Host": target.origin.authority,
                "User-Agent": USER_AGENT,
                "Accept": self.accept,
                "Accept-Encoding": "identity",
                "Connection": "close",
            },
        )

    def _addresses(self, target: Target) -> list[IPAddress]:
        """Return where to connect. One address that is not public spoils all that a name leads to."""
        literal = literal_of(target.origin.host)
        found = [literal] if literal is not None else self._resolved(target.origin)
        if not target.trusted and not all(is_public(address) for address in found):
            raise AddressRefused(PRIVATE)
        return found[:MOST_ADDRESSES]

    def _resolved(self, origin: Origin) -> list[IPAddress]:
        # The system's resolver takes no time-out: a thread asks it, and is left behind if it takes too long.
        answer: queue.SimpleQueue[Iterable[str] | OSError] = queue.SimpleQueue()
        threading.Thread(target=self._look_up, args=(origin, answer), name="resolve", daemon=True).start()
        try:
            found = answer.get(timeout=self.deadline.within())
        except queue.Empty:
            raise FetchError(Problem.LATE) from None
        if isinstance(found, OSError) or not found:
            raise FetchError(Problem.UNREACHABLE)
        return [ip_address(address) for address in found]

    def _look_up(self, origin: Origin, answer: queue.SimpleQueue[Iterable[str] | OSError]) -> None:
        try:
            answer.put(list(self.fetcher.resolver(origin.host, origin.port)))
        except (OSError, UnicodeError) as error:
            answer.put(error if isinstance(error, OSError) else OSError("not a name"))

    def _taken(self, response: httpcore2.Response, sink: BinaryIO) -> tuple[int, str]:
        if response.status != 200:
            raise FetchError(Problem.STATUS, answered=response.status)
        declared = _header(response, b"content-length")
        if declared.isdigit() and int(declared) > self.max_bytes:
            raise FetchError(Problem.TOO_LARGE, max_bytes=self.max_bytes)
        size = 0
        for piece in _unpacked(response, _header(response, b"content-encoding").strip().lower()):
            size += len(piece)
            if size > self.max_bytes:
                raise FetchError(Problem.TOO_LARGE, max_bytes=self.max_bytes)
            sink.write(piece)
        return size, _header(response, b"content-type").partition(";")[0].strip().lower()


class _Checked(httpcore2.NetworkBackend):
    """Connects to addresses that were checked, whatever the name might lead to by now."""

    def __init__(self, network: httpcore2.NetworkBackend, addresses: list[IPAddress], deadline: Deadline) -> None:
        self._network = network
        self._addresses = addresses
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Return a connection to the first of the addresses that takes one."""
        refused: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses:
            seconds = self._deadline.within(CONNECT_SECONDS)
            try:
                stream = self._network.connect_tcp(str(address), port, seconds, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                refused = error
            else:
                return BoundedStream(stream, self._deadline.within)
        raise refused


@contextmanager
def _reported() -> Iterator[None]:
    """Turn the errors of the layers beneath into ours."""
    try:
        yield
    except DeadlinePassed:
        raise FetchError(Problem.LATE) from None
    except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
        raise FetchError(Problem.UNREACHABLE) from None
    except httpcore2.TimeoutException:
        raise FetchError(Problem.LATE) from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError):
        raise FetchError(Problem.LOST) from None


def _header(response: httpcore2.Response, name: bytes) -> str:
    """Return the first value of a header; empty without one."""
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


def _next(target: Target, response: httpcore2.Response) -> str:
    try:
        return urljoin(target.url, _header(response, b"location").strip())
    except ValueError:
        raise AddressRefused(NOT_AN_ADDRESS) from None


def _unpacked(response: httpcore2.Response, encoding: str) -> Iterator[bytes]:
    """Return the body. Stored objects may come packed though we ask for none: then it is unpacked piece by piece.

    A few packed bytes can hold gigabytes, so no piece is longer than 64 KiB, and the reader counts.
    """
    if encoding in ("", "identity"):
        yield from response.iter_stream()
    elif encoding in ("gzip", "x-gzip", "deflate"):
        yield from _inflated(response.iter_stream())
    else:
        raise FetchError(Problem.PACKED)


def _inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its first bytes
    try:
        for piece in pieces:
            while piece:
                yield unpacker.decompress(piece, _PIECE)
                # What follows the end would pile up in `unused_data`, and the tail would never be empty.
                if unpacker.eof:
                    return
                piece = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error:
        raise FetchError(Problem.PACKED) from None
    if not unpacker.eof:
        raise FetchError(Problem.LOST)
