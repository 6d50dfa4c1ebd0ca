"""Giving work to the pool, from a thread or a greenlet: only the standard socket module is used."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

from imagegen.imaging import errors, protocol

GRACE = 2.0
"""Seconds beyond a task's limit in which the pool's own timer must have ended it."""
_RETRY_EVERY = 0.02


class PoolClient:
    """Runs tasks in the pool that listens on `socket_path`; may be shared between threads."""

    def __init__(self, socket_path: Path | str) -> None:
        self.socket_path = Path(socket_path)
        protocol.check_socket_path(self.socket_path)

    def run(self, task: str, /, timeout: float = 20.0, *, wait: float = 30.0, **params: Any) -> dict[str, Any]:
        """Run `task` with `params` (JSON types and absolute paths) and return its answer.

        `timeout` is the task's own time in seconds; `wait` bounds the time before a child takes it, during
        which a pool that is being started again is simply waited for. Raises an ImagingError.
        """
        request = {"task": task, "timeout": timeout, "params": params}
        give_up_at = time.monotonic() + wait
        while time.monotonic() < give_up_at:
            connection = self._begin(request, give_up_at)
            if connection is None:
                time.sleep(_RETRY_EVERY)
                continue
            with connection:
                return _answer(connection, timeout)
        raise errors.Unavailable()

    def is_listened_to(self) -> bool:
        """Tell whether there is a pool, however busy."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(GRACE)
            try:
                connection.connect(str(self.socket_path))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError:  # a full backlog
                return True
        return True

    def _begin(self, request: dict[str, Any], give_up_at: float) -> socket.socket | None:
        """Return a connection on which the work has begun, or None if no child took it."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(max(0.001, give_up_at - time.monotonic()))
            connection.connect(str(self.socket_path))
            protocol.send(connection, request)
            protocol.receive_exactly(connection, len(protocol.BEGUN))
        except (OSError, protocol.Disconnected):
            # No pool yet, a full backlog (EAGAIN), or a child that ended between two tasks.
            connection.close()
            return None
        except BaseException:
            connection.close()
            raise
        return connection


def _answer(connection: socket.socket, timeout: float) -> dict[str, Any]:
    """Return the task's result from a connection on which it has begun."""
    begun_at = time.monotonic()
    connection.settimeout(timeout + GRACE)
    try:
        answer = protocol.receive(connection)
    except TimeoutError:
        raise errors.TimedOut() from None
    except (OSError, protocol.Disconnected):
        late = time.monotonic() - begun_at >= timeout * 0.9
        raise (errors.TimedOut() if late else errors.Crashed()) from None
    if "error" in answer:
        raise errors.from_answer(**answer["error"])
    result: dict[str, Any] = answer["done"]
    return result
