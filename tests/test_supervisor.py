"""Promises of the supervisor, kept by real processes that it starts in a process of its own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from imagegen.settings import PROJECT_ROOT
from tests.waiting import eventually

PROGRAM = """
import json, os, sys
from pathlib import Path
from imagegen.supervisor import processes
from imagegen.supervisor.probe import Probe

table, constants = json.loads(sys.argv[1])
for name, value in constants.items():
    setattr(processes, name, value)
specs = []
for line in table:
    if "probe" in line:
        line["probe"] = Probe(line["probe"], b"?", b"yes")
    specs.append(processes.ProcessSpec(**{**line, "argv": tuple(line["argv"])}))
supervisor = processes.Supervisor(
    specs, environ=os.environ, folder=Path.cwd(), on_ready=lambda: print("ready", flush=True)
)
sys.exit(supervisor.run())
"""

SERVER = """
import socket, sys, time
time.sleep(0.2)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    connection, _ = listener.accept()
    connection.recv(1)
    connection.sendall(b"yes")
"""


class Run:
    """A supervisor in a process of its own; its children write what they do into one file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.diary = folder / "diary"
        self.diary.touch()
        self._process: subprocess.Popen[str] | None = None

    def start(self, *table: dict[str, object], **constants: object) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps([table, constants])],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "DIARY": str(self.diary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self._process

    def entries(self) -> list[list[str]]:
        return [line.split() for line in self.diary.read_text().splitlines()]

    def pids(self, name: str) -> list[int]:
        return [int(entry[1]) for entry in self.entries() if entry[0] == name]

    def everybody_gone(self) -> bool:
        return not any(psutil.pid_exists(int(entry[1])) for entry in self.entries() if len(entry) > 1)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            supervisor = psutil.Process(self._process.pid)
            for left in [supervisor, *supervisor.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    left.kill()
            self._process.communicate()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    run.end()


def process(name: str, then: str = "exec sleep 60", *, first: str = ":", **more: object) -> dict[str, object]:
    """Return a table line for a process that does `first`, notes its name and id, and then does `then`."""
    return {"name": name, "argv": ["/bin/sh", "-c", f'{first}; echo {name} $$ >> "$DIARY"; {then}'], **more}


def on_sigterm(act: str, name: str, **more: object) -> dict[str, object]:
    """Return a table line for a process that does `act` on each SIGTERM, already when it makes its note."""
    return process(name, "while :; do sleep 0.05; done", first=f"trap {shlex.quote(act)} TERM", **more)


def polite(name: str, **more: object) -> dict[str, object]:
    """Return a table line for a process that notes the SIGTERM on which it ends."""
    return on_sigterm(f'echo {name}-told >> "$DIARY"; exit 0', name, **more)


def deaf(name: str, **more: object) -> dict[str, object]:
    """Return a table line for a process that does not listen to SIGTERM."""
    return on_sigterm("", name, **more)


def test_a_process_that_was_killed_is_started_again(run: Run) -> None:
    run.start(process("web"), process("worker"))
    eventually(lambda: run.pids("web") and run.pids("worker"))
    os.kill(run.pids("web")[0], signal.SIGKILL)
    eventually(lambda: len(run.pids("web")) == 2, within=5)
    assert len(run.pids("worker")) == 1


def test_a_process_that_is_killed_again_and_again_still_comes_back(run: Run) -> None:
    supervisor = run.start(process("web"), RESTART_DELAYS=[0.0])
    for times in range(1, 8):
        eventually(lambda times=times: len(run.pids("web")) == times)  # type: ignore[misc]
        os.kill(run.pids("web")[-1], signal.SIGKILL)
    eventually(lambda: len(run.pids("web")) == 8)
    assert supervisor.poll() is None


def test_a_signal_without_a_name_ends_nobody_but_the_process(run: Run) -> None:
    supervisor = run.start(process("web"))
    eventually(lambda: run.pids("web"))
    os.kill(run.pids("web")[0], signal.SIGRTMIN + 1)
    eventually(lambda: len(run.pids("web")) == 2)
    assert supervisor.poll() is None


def test_what_a_dead_process_started_itself_ends_with_it(run: Run) -> None:
    helper = "sh -c 'echo helper $$ >> \"$DIARY\"; exec sleep 60' & wait"
    run.start(process("web", helper))
    eventually(lambda: run.pids("helper"))
    os.kill(run.pids("web")[0], signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(run.pids("helper")[0]))


def test_a_process_that_never_stays_up_ends_the_run_with_a_sentence(run: Run) -> None:
    supervisor = run.start(
        process("web", "exit 3", failure="See above."), process("redis", stops_last=True), RESTART_DELAYS=[0.0]
    )
    _, errors = supervisor.communicate(timeout=10)
    assert supervisor.returncode == 1
    assert len(run.pids("web")) == 5
    assert errors.splitlines()[-1] == "web does not stay up. See above."
    assert run.everybody_gone()


def test_a_program_that_is_missing_ends_the_run_with_a_sentence(run: Run) -> None:
    supervisor = run.start({"name": "web", "argv": ["/nowhere/gunicorn"]})
    _, errors = supervisor.communicate(timeout=10)
    assert supervisor.returncode == 1
    assert errors.startswith("web cannot be started: ")
    assert len(errors.splitlines()) == 1


def test_nothing_starts_before_what_it_needs_answers(run: Run) -> None:
    socket = str(run.folder / "s")
    server = {"name": "redis", "argv": [sys.executable, "-c", SERVER, socket], "probe": socket}
    look = f'test -S {socket} && echo found >> "$DIARY"; exec sleep 60'
    supervisor = run.start(server, process("web", look, after=["redis"]))
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == "ready\n"
    eventually(lambda: ["found"] in run.entries())


def test_a_step_is_done_once_and_before_the_rest(run: Run) -> None:
    step = process("migration", 'sleep 0.2; echo migrated >> "$DIARY"', once=True)
    run.start(step, process("web", after=["migration"]))
    eventually(lambda: run.pids("web"))
    assert [entry[0] for entry in run.entries()] == ["migration", "migrated", "web"]


def test_a_step_that_fails_ends_the_run_with_its_sentence(run: Run) -> None:
    step = process("migration", "exit 1", once=True, failure="The database is broken.")
    supervisor = run.start(process("redis", stops_last=True), step, process("web", after=["migration"]))
    _, errors = supervisor.communicate(timeout=10)
    assert supervisor.returncode == 1
    assert errors == "The database is broken.\n"
    assert not run.pids("web")
    assert run.everybody_gone()


@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_wish_to_stop_ends_everything_and_what_stops_last_last(run: Run, wish: signal.Signals) -> None:
    supervisor = run.start(polite("redis", stops_last=True), polite("web"), polite("worker"))
    eventually(lambda: len(run.entries()) == 3)
    supervisor.send_signal(wish)
    supervisor.communicate(timeout=8)
    told = [entry[0] for entry in run.entries()[3:]]
    assert supervisor.returncode == 0
    assert sorted(told[:2]) == ["web-told", "worker-told"]
    assert told[2:] == ["redis-told"]
    assert run.everybody_gone()


def test_a_process_that_does_not_listen_is_killed_in_time(run: Run) -> None:
    supervisor = run.start(deaf("redis", stops_last=True), deaf("worker"))
    eventually(lambda: len(run.entries()) == 2)
    began = time.monotonic()
    supervisor.send_signal(signal.SIGINT)
    supervisor.communicate(timeout=12)
    assert 5 < time.monotonic() - began < 8
    assert run.everybody_gone()


def test_the_second_ctrl_c_kills_at_once(run: Run) -> None:
    supervisor = run.start(deaf("redis", stops_last=True), deaf("worker"))
    eventually(lambda: len(run.entries()) == 2)
    supervisor.send_signal(signal.SIGINT)
    time.sleep(0.2)
    supervisor.send_signal(signal.SIGINT)
    supervisor.communicate(timeout=3)
    assert run.everybody_gone()


def test_a_second_sigterm_is_no_impatience(run: Run) -> None:
    """`make` passes a SIGTERM on that its process group has got already."""
    supervisor = run.start(on_sigterm('sleep 0.5; echo finished >> "$DIARY"; exit 0', "worker"))
    eventually(lambda: run.pids("worker"))
    supervisor.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    supervisor.send_signal(signal.SIGTERM)
    supervisor.communicate(timeout=8)
    assert ["finished"] in run.entries()


def test_nothing_is_started_again_while_stopping(run: Run) -> None:
    supervisor = run.start(polite("web"), deaf("worker"), KILL_AFTER=0.8)
    eventually(lambda: len(run.entries()) == 2)
    supervisor.send_signal(signal.SIGTERM)
    supervisor.communicate(timeout=8)
    assert len(run.pids("web")) == 1


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")


@linux_only
def test_a_killed_supervisor_leaves_nothing_behind(run: Run) -> None:
    supervisor = run.start(polite("redis", stops_last=True), polite("web"), process("worker"))
    eventually(lambda: len(run.entries()) == 3)
    supervisor.kill()
    supervisor.communicate()
    eventually(run.everybody_gone, within=8)


@linux_only
def test_a_job_whose_worker_was_killed_ends_with_the_run(run: Run) -> None:
    """RQ runs a job in a process group of its own, which outlives its worker."""
    job = "setsid sh -c 'echo job $$ >> \"$DIARY\"; exec sleep 60' & wait"
    supervisor = run.start(process("worker", job))
    eventually(lambda: run.pids("job"))
    os.kill(run.pids("worker")[0], signal.SIGKILL)
    eventually(lambda: len(run.pids("worker")) == 2)
    assert psutil.pid_exists(run.pids("job")[0])
    supervisor.send_signal(signal.SIGTERM)
    supervisor.communicate(timeout=8)
    assert run.everybody_gone()


def test_a_ctrl_c_in_the_terminal_reaches_the_supervisor_alone(run: Run) -> None:
    supervisor = run.start(process("web"))
    eventually(lambda: run.pids("web"))
    assert os.getsid(run.pids("web")[0]) == run.pids("web")[0] != os.getsid(supervisor.pid)
