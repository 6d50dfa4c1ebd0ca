"""The pool of long-lived, limited processes in which all work on pixels is done.

`python -m imagegen.imaging.pool --socket PATH --children N` runs one; an owner (a web server's master, a
worker's parent) keeps one with `PoolOwner`, and everybody gives work with `client.PoolClient`.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from imagegen.imaging import protocol
from imagegen.imaging.client import PoolClient
from imagegen.imaging.errors import Unavailable
from imagegen.imaging.master import Master

TASKS_MODULE = "imagegen.imaging.tasks"
_START_TIMEOUT = 10.0
_PROJECT = Path(__file__).resolve().parents[2]
_PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "LD_LIBRARY_PATH",
    "FONTCONFIG_FILE",
    "VIRTUAL_ENV",
)
"""What the pool may know of its owner's environment: no key and no password is among it."""


def start_pool(socket_path: Path, children: int, *, tasks_module: str = TASKS_MODULE) -> subprocess.Popen[bytes]:
    """Start a pool and return its master once it listens on `socket_path`.

    The master ends when its stdin closes, so it ends with whoever holds the returned object, however that
    one ends. Its own session keeps a terminal's Ctrl-C away from it. Raises Unavailable if it cannot start.
    """
    protocol.check_socket_path(socket_path.with_name(f"{socket_path.name}.4194304"))
    socket_path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "imagegen.imaging.pool"]
    command += ["--socket", str(socket_path.absolute()), "--children", str(children), "--tasks", tasks_module]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=_environment(), start_new_session=True)
    give_up_at = time.monotonic() + _START_TIMEOUT
    while not socket_path.exists():
        if process.poll() is not None or time.monotonic() > give_up_at:
            _end(process, 0.0)
            raise Unavailable()
        time.sleep(0.005)
    return process


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(_PROJECT), os.environ.get("PYTHONPATH"))))
    inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Two arenas instead of eight a core: each reserves 64 MB of the limited address space.
    return inherited | {"PYTHONPATH": path, "VIPS_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "2"}


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """End `process` by SIGTERM, and by SIGKILL if it has not gone after `patience` seconds."""
    process.terminate()
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class PoolOwner:
    """Keeps one pool running: `start` once, `ensure` now and then, `stop` at the end.

    Only the process that started the pool may restart or stop it; in a fork of that process both do nothing.
    """

    def __init__(self, socket_path: Path, children: int, *, tasks_module: str = TASKS_MODULE) -> None:
        self.client = PoolClient(socket_path)
        self._socket_path = socket_path
        self._children = children
        self._tasks_module = tasks_module
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The master's process id, or None before the start and after the stop."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the pool; Unavailable if that fails. Does nothing if it runs."""
        self.ensure()

    def ensure(self) -> bool:
        """Start the pool if it does not run, and tell whether that was so."""
        with self._lock:
            if self._owner not in (0, os.getpid()) or (self._process and self._process.poll() is None):
                return False
            if self._process and self._process.stdin:
                self._process.stdin.close()
            self._process = start_pool(self._socket_path, self._children, tasks_module=self._tasks_module)
            self._owner = os.getpid()
            return True

    def run(self, task: str, /, timeout: float, *, wait: float = 30.0, **params: Any) -> dict[str, Any]:
        """Run a task as `PoolClient.run` does; a process that has few of them has its pool started by the first.

        Where somebody else's pool listens, busy as it may be, none is started: it would take that one's place.
        """
        if self._process is not None or not self.client.is_listened_to():
            self.ensure()
        return self.client.run(task, timeout, wait=wait, **params)

    def stop(self, patience: float = 3.0) -> None:
        """End the pool and its children; a task under way is lost to its client, who is told so."""
        with self._lock:
            if self._process is None or self._owner != os.getpid():
                return
            _end(self._process, patience)
            self._process = None
            self._owner = 0

    def __enter__(self) -> PoolOwner:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()


def main(arguments: list[str] | None = None) -> None:
    """Run a pool's master in this process."""
    parser = argparse.ArgumentParser(prog="python -m imagegen.imaging.pool", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="path of the socket to listen on")
    parser.add_argument("--children", type=int, default=2, help="number of processes that work")
    parser.add_argument("--tasks", default=TASKS_MODULE, help="module with the table TASKS")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)
    os.environ["VIPS_CONCURRENCY"] = "1"
    Master(options.socket, options.children, options.tasks).run()


if __name__ == "__main__":
    main()
