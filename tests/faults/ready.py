"""Workers and schedulers without the second that each takes to import what it is made of.

One process has imported it all and does nothing; it forks whoever is asked for. What comes of that runs the same
module as `python -m` would, from its first line to the end of its interpreter, leads a session of its own, and knows
nothing but the environment that it is given. A fault that this names befalls it as it would befall another.
"""

from __future__ import annotations

import gc
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagegen.settings import PROJECT_ROOT
from tests.faults.site.sitecustomize import set_trap

MODULES = ("imagegen.worker", "imagegen.scheduler")
"""What can be started so."""


class Ready:
    """The process that forks others; it ends with whoever has made it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def start(self, module: str, *, environ: Mapping[str, str], log: Path) -> Forked:
        """Start one of MODULES; what it prints is added to `log`."""
        return Forked(self, self.ask(start=module, environ=dict(environ), log=str(log)))

    def ask(self, **wish: object) -> Any:
        """Send a wish and return the answer."""
        with self._turn:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.faults.ready"],
                    cwd=PROJECT_ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(json.dumps(wish) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()


class Forked:
    """A process that was forked, as `subprocess.Popen` would show it."""

    def __init__(self, ready: Ready, pid: int) -> None:
        self._ready = ready
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended; nothing while it runs."""
        if self.returncode is None:
            self.returncode = self._ready.ask(end_of=self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; raises subprocess.TimeoutExpired."""
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if give_up_at is not None and time.monotonic() > give_up_at:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it is known to have ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Tell it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def serve() -> None:
    """Fork, and tell of ends, until nobody asks any more; a forked process comes back when it is through."""
    for line in sys.stdin:
        wish = json.loads(line)
        if "start" in wish:
            pid = os.fork()
            if not pid:
                become(**wish)
                return
            answer: int | None = pid
        else:
            ended, status = os.waitpid(wish["end_of"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        print(json.dumps(answer), flush=True)


def become(start: str, environ: dict[str, str], log: str) -> None:
    """Be the process that runs a module, with this environment and nothing of what was here before."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    printed = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    os.close(printed)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    random.seed()
    sys.argv = [start]
    if point := environ.get("FAULT_AT"):
        set_trap(point)
    runpy.run_module(start, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for module in MODULES:
        __import__(module)
        del sys.modules[module]  # it will be `__main__`
    gc.freeze()
    serve()
