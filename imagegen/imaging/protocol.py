"""How a client and a child of the pool talk: one connection is one task.

    client → child    4 bytes length (big-endian), JSON {"task", "timeout", "params"}
    child  → client   1 byte: the work has begun
    child  → client   4 bytes length, JSON {"done": {...}} or {"error": {"code", "message"}}

A connection that ends before the byte means that nothing was begun, and the task may be given again.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

BEGUN = b"\x01"
MAX_MESSAGE = 1 << 20
MAX_SOCKET_PATH = 107
_LENGTH = struct.Struct(">I")


class Disconnected(Exception):
    """The other side ended, or sent what is not a message."""


def check_socket_path(path: Path) -> None:
    """Raise ValueError if the kernel would not take `path` as the address of a socket."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise ValueError(f"a socket's path may have {MAX_SOCKET_PATH} bytes at most: {path}")


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send `message`; OSError if the other side is gone."""
    body = json.dumps(message, default=os.fspath).encode()
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket) -> dict[str, Any]:
    """Return the next message; Disconnected if there is none, OSError as the socket raises it."""
    (length,) = _LENGTH.unpack(receive_exactly(connection, _LENGTH.size))
    if length > MAX_MESSAGE:
        raise Disconnected(f"a message of {length} bytes")
    message = json.loads(receive_exactly(connection, length))
    if not isinstance(message, dict):
        raise Disconnected("a message that is no object")
    return message


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """Return `count` bytes; Disconnected if the other side ends before."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise Disconnected(f"{len(data)} of {count} bytes")
        data += piece
    return data
