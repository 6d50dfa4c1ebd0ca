"""Asking a server whether it is ready, without ever waiting for it."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Probe:
    """A question to a server at `address` (a path, or host and port) and the beginning of the right answer."""

    address: str | tuple[str, int]
    request: bytes
    answer: bytes

    @property
    def family(self) -> socket.AddressFamily:
        """The kind of socket that reaches `address`."""
        if isinstance(self.address, str):
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET


class Attempt:
    """One asking of a probe on a selector; calls `done` once, with whether the answer was right.

    The selector's events must be passed to their `data`, a function without arguments.
    """

    def __init__(self, probe: Probe, selector: selectors.BaseSelector, done: Callable[[bool], None]) -> None:
        self._probe = probe
        self._selector = selector
        self._done = done
        self._received = b""
        self._socket = socket.socket(probe.family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.connect_ex(probe.address)
        selector.register(self._socket, selectors.EVENT_WRITE, self._ask)

    def close(self) -> None:
        """Give up without calling `done`."""
        if self._socket.fileno() >= 0:
            self._selector.unregister(self._socket)
            self._socket.close()

    def _end(self, ready: bool) -> None:
        self.close()
        self._done(ready)

    def _ask(self) -> None:
        try:
            self._socket.sendall(self._probe.request)
        except OSError:
            self._end(False)
        else:
            self._selector.modify(self._socket, selectors.EVENT_READ, self._hear)

    def _hear(self) -> None:
        wanted = self._probe.answer
        try:
            received = self._socket.recv(len(wanted) - len(self._received))
        except OSError:
            received = b""
        self._received += received
        if not received or len(self._received) >= len(wanted):
            self._end(self._received == wanted)
