"""Real processes on a test's own database: to be killed at a point, frozen, told to stop."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import psutil
import requests
from pydantic import SecretStr
from sqlalchemy import select

from imagegen.extensions import db
from imagegen.models import Shot, system_scope
from imagegen.settings import PROJECT_ROOT, Settings
from tests.faults.ready import MODULES, Forked, Ready
from tests.running_studio import plain_environment
from tests.waiting import eventually

Started = subprocess.Popen[bytes] | Forked

SITE = Path(__file__).parent / "site"
QUICK: dict[str, object] = {"lease_seconds": 2, "heartbeat_seconds": 1, "sweep_seconds": 1}
"""Settings with which a process that died is missed soon."""


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment variables that say what `settings` was made with."""
    given = {name: getattr(settings, name) for name in sorted(settings.model_fields_set)}
    return {name.upper(): _text(value) for name, value in given.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Fault:
    """What happens to the first process that comes to `point` (see `site/sitecustomize.py`) after so many calls.

    With `together` so many calls to providers are marked as sent at once.
    """

    point: str
    after: int = 0
    does: Literal["kill", "wait"] = "kill"
    together: int = 0

    def environ(self, mark: Path) -> dict[str, str]:
        """Return the variables that make it happen; the process's id is then found in the file `mark`."""
        return {
            "PYTHONPATH": str(SITE),
            "FAULT_AT": self.point,
            "FAULT_FILE": str(mark),
            "FAULT_AFTER": str(self.after),
            "FAULT_DOES": self.does,
        } | ({"FAULT_TOGETHER": str(self.together)} if self.together else {})


class Processes:
    """Processes of one studio that a test starts one by one; a context manager that leaves none behind.

    `ready` forks workers and schedulers; without it they are started anew like all others.
    """

    def __init__(self, settings: Settings, folder: Path, ready: Ready | None = None) -> None:
        self._ready = ready
        self.log = folder / "processes.log"
        self.mark = folder / "fault"
        self._environ = plain_environment(**environment_of(settings))
        self.started: list[Started] = []
        """In the order of their starts; each leads a session of its own."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for started in self.started:
            for process in session(started.pid):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            started.wait()

    def start(self, *arguments: str, fault: Fault | None = None) -> Started:
        """Start `python -m` with `arguments`; `fault` befalls one of the processes that come of it."""
        environ = self._environ | (fault.environ(self.mark) if fault else {})
        if self._ready and arguments[0] in MODULES:
            process: Started = self._ready.start(arguments[0], environ=environ, log=self.log)
        else:
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", *arguments],
                    cwd=PROJECT_ROOT,
                    env=environ,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        self.started.append(process)
        return process

    def worker(self, fault: Fault | None = None) -> Started:
        """Start a worker."""
        return self.start("imagegen.worker", fault=fault)

    def scheduler(self) -> Started:
        """Start a scheduler."""
        return self.start("imagegen.scheduler")

    def web(self, fault: Fault | None = None) -> str:
        """Start a web server, and return its address once it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            place = f"127.0.0.1:{probe.getsockname()[1]}"
        options = ("--config", "python:imagegen.web.gunicorn_conf", "--bind", place)
        self.start("gunicorn", *options, "wsgi:app", fault=fault)
        eventually(lambda: _answers(f"http://{place}/healthz"), within=30)
        return f"http://{place}"

    def wait_for_the_fault(self) -> int:
        """Wait until it has happened, and return to which process."""
        return int(eventually(lambda: self.mark.exists() and self.mark.read_text(), within=30))


def _answers(url: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(url, timeout=5).ok
    return False


@contextmanager
def freezing(*pids: int) -> Iterator[None]:
    """Freeze processes for as long as the block takes, as a suspended machine does.

    None of them holds SQLite's one lock then: who is frozen with it keeps everybody from writing until it is woken.
    """
    while True:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
            eventually(lambda pid=pid: psutil.Process(pid).status() == psutil.STATUS_STOPPED)  # type: ignore[misc]
        if _can_write():
            break
        _wake(pids)
    try:
        yield
    finally:
        _wake(pids)


def _wake(pids: tuple[int, ...]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def _can_write() -> bool:
    if db.engine.dialect.name != "sqlite":
        return True
    with closing(sqlite3.connect(db.engine.url.database or "", timeout=0.2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


def session(leader: int) -> list[psutil.Process]:
    """Return all processes that `leader` started, by whatever way; adopted and regrouped ones too."""
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                found.append(process)
    return found


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not yet waited for does not."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    return False


def task() -> int:
    """Return the process id of the task that holds the running shots."""
    db.session.rollback()
    with system_scope():
        owners = set(db.session.scalars(select(Shot.lease_owner).where(Shot.lease_owner.is_not(None))))
    (owner,) = owners
    return int(owner.split(":")[1])


def kill(*pids: int) -> None:
    """Kill processes as the kernel does when memory is short."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(map(alive, pids)))
