"""A whole studio in processes of its own, as `make run` starts it: for tests, `make bench` and screenshots."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from imagegen.settings import PROJECT_ROOT, Settings


def plain_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without any of the studio's settings, and with `variables`."""
    settings = {setting.name for setting in Settings.documented()}
    return {name: value for name, value in os.environ.items() if name not in settings} | variables


class Studio:
    """A studio with a data folder of its own; a context manager."""

    def __init__(self, folder: Path, **variables: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self.data = folder / "data"
        self.environ: Mapping[str, str] = plain_environment(
            PORT=str(self.port), STUDIO_DATA_DIR=str(self.data), **({"GENERATE_RATE_LIMIT": "off"} | variables)
        )
        self.process: subprocess.Popen[str] | None = None
        self.printed: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> list[str]:
        """Start, and return what was printed until the studio was ready."""
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "imagegen.supervisor"],
                cwd=PROJECT_ROOT,
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.printed = []
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))
            if "is ready" in line:
                break
        assert self.printed and "is ready" in self.printed[-1], self.log()
        return self.printed

    @property
    def setup_code(self) -> str:
        """Return the code that was printed for the first visit."""
        (code,) = [found[1] for line in self.printed if (found := re.match(r"Set-up code, .*: (\S+)$", line))]
        return code

    def log(self) -> str:
        """Return everything that the studio's processes have written so far."""
        return (self.folder / "log").read_text()

    def flask(self, *arguments: str, typed: str = "") -> str:
        """Return what the command `flask --app wsgi ...` printed."""
        command = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
        done = subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            env=self.environ,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def token(self, email: str) -> str:
        """Return a fresh API token of a person, made on the command line."""
        return self.flask("tokens", "create", "--email", email, "--name", "test").split()[-1]

    def processes(self, title: str = "") -> list[psutil.Process]:
        """Return all processes of this studio, or those whose title begins so."""
        assert self.process is not None
        everybody = psutil.Process(self.process.pid).children(recursive=True)
        return [found for found in everybody if title_of(found).startswith(title)]

    def children(self) -> set[psutil.Process]:
        """Return the processes that the supervisor has started, also those that have no title yet."""
        assert self.process is not None
        return set(psutil.Process(self.process.pid).children())

    def stop(self, signal: int, within: float = 12.0) -> int:
        """Send `signal` to the supervisor and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal)
        self.process.communicate(timeout=within)
        return self.process.returncode

    def end(self) -> None:
        """End whatever is left of it, at once."""
        if self.process is not None and self.process.poll() is None:
            for left in [psutil.Process(self.process.pid), *self.processes()]:
                with suppress(psutil.NoSuchProcess):
                    left.kill()
            self.process.communicate()


def title_of(process: psutil.Process) -> str:
    """Return the title of a process; nothing if it is gone."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def json_of(answer: Any) -> Any:
    """Return an answer's JSON; fail with its text when the answer is an error."""
    assert answer.status_code < 400, f"{answer.status_code}: {answer.text}"
    return answer.json()
