"""A child of the pool: takes one task after the other, under limits, until it has done its share.

It is forked from a process without threads that has loaded no picture library; those are loaded here, so
that a picture which breaks one of them breaks this process alone.
"""

from __future__ import annotations

import errno
import importlib
import logging
import math
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from imagegen.core.errors import StudioError
from imagegen.core.text import N_, Message
from imagegen.imaging import errors, protocol

Task = Callable[..., dict[str, Any]]

TASKS_PER_CHILD = 500
MEMORY = 1_536 << 20
"""Address space in bytes: 40 MP with alpha at 16 bits decode in it; libraries and stacks take 0.3 GB."""
FILE_SIZE = 256 << 20
NICENESS = 5
"""Where there is not enough for everybody, pictures wait for who answers people, and for who makes the next calls."""
_READ_TIMEOUT = 5.0
_SHORTEST_TASK, _LONGEST_TASK = 0.001, 600.0
_SPACE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

log = logging.getLogger(__name__)


def serve(listener: socket.socket, lifeline: int, tasks_module: str) -> None:
    """Take tasks from `listener` until the master's end of `lifeline` closes or the share is done."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, FILE_SIZE)
    _limit(resource.RLIMIT_AS, MEMORY)
    os.nice(NICENESS)
    # Loaded by name and only here: the master must never hold a picture library or its threads.
    module = importlib.import_module(tasks_module)
    module.warm_up()
    for _ in range(TASKS_PER_CHILD):
        connection = _accept(listener, lifeline)
        if connection is None:
            return
        with connection:
            if not _serve_one(connection, module.TASKS):
                return


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _accept(listener: socket.socket, lifeline: int) -> socket.socket | None:
    """Return the next connection, or None when the master is gone."""
    while True:
        ready, _, _ = select.select([listener.fileno(), lifeline], [], [])
        if lifeline in ready:
            return None
        try:
            return listener.accept()[0]
        except BlockingIOError:
            continue  # another child was faster
        except ConnectionError:
            continue


def _serve_one(connection: socket.socket, tasks: Mapping[str, Task]) -> bool:
    """Do one task; False if this process should end after it."""
    connection.settimeout(_READ_TIMEOUT)
    try:
        request = protocol.receive(connection)
        task, timeout, params = tasks.get(request["task"]), _seconds(request["timeout"]), request["params"]
        connection.sendall(protocol.BEGUN)
    except (OSError, ValueError, TypeError, KeyError, protocol.Disconnected):
        return True  # a client that went away, or none of ours
    answer, healthy = _within_limits(request["task"], task, timeout, params)
    try:
        connection.settimeout(_READ_TIMEOUT)
        protocol.send(connection, answer)
    except OSError:
        log.info("the client of %s did not wait for its answer", request["task"])
    return healthy


def _seconds(timeout: float) -> float:
    """Return `timeout` within bounds; a timer set to nothing would never ring."""
    return min(_LONGEST_TASK, max(_SHORTEST_TASK, float(timeout)))


def _within_limits(
    name: str, task: Task | None, timeout: float, params: dict[str, Any]
) -> tuple[dict[str, Any], bool]:
    """Run `task`; SIGALRM's default action ends this process when the time is up, whatever it is doing."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime + timeout) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard == resource.RLIM_INFINITY or seconds <= hard:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
    signal.setitimer(signal.ITIMER_REAL, timeout)
    begun_at = time.monotonic()
    try:
        return _perform(name, task, params)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        log.debug("%s took %.0f ms", name, (time.monotonic() - begun_at) * 1000)


def _perform(name: str, task: Task | None, params: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the answer to `task`, and whether this process is fit for another one."""
    if task is None:
        log.error("there is no task named %s", name)
        return _refusal(errors.Crashed()), True
    try:
        return {"done": task(**params)}, True
    except StudioError as error:
        return _refusal(error), True
    except MemoryError:
        return _refusal(errors.TooManyPixels(N_("The picture needs more memory than the studio allows."))), False
    except OSError as error:
        if error.errno in _SPACE_ERRORS:
            return _refusal(errors.NoSpace()), True
        log.exception("%s failed", name)
        return _refusal(errors.Crashed()), False
    except Exception:
        log.exception("%s failed", name)
        return _refusal(errors.Crashed()), False


def _refusal(error: StudioError) -> dict[str, Any]:
    message = error.message
    parts = message.parts if isinstance(message, Message) else ((message, {}),)
    return {"error": {"code": getattr(error, "code", "crashed"), "message": message, "parts": parts}}
