"""How long `make run` takes when all is installed, against gunicorn with a page of one line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from bench.table import Baseline, Row, median
from imagegen.settings import PROJECT_ROOT
from tests.running_studio import plain_environment

ROUNDS = 5
LIMIT_SECONDS = 3.0

HELLO = """
from flask import Flask
app = Flask(__name__)
@app.get("/healthz")
def hello():
    return "ok"
"""


def run() -> list[Row]:
    """Return the median of several starts on a folder that is set up, turn by turn with the baseline's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hello.py").write_text(HELLO)
        first = _studio(folder)
        pairs = [(_studio(folder), _hello(folder)) for _ in range(ROUNDS)]
    hello = Baseline("gunicorn with gevent, one line of Flask", median([theirs for _, theirs in pairs]))
    return [
        Row("first `make run` to an answer, installed", first, "s", hello),
        Row("later `make run` to an answer", median([ours for ours, _ in pairs]), "s", hello, limit=LIMIT_SECONDS),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _studio(folder: Path) -> float:
    port = _free_port()
    environ = plain_environment(PORT=str(port), STUDIO_DATA_DIR=str(folder / "data"))
    return _until_answered(["make", "run"], PROJECT_ROOT, environ, port, signal.SIGINT)


def _hello(folder: Path) -> float:
    port = _free_port()
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gevent", "--log-level", "warning"]
    command += ["--bind", f"127.0.0.1:{port}", "hello:app"]
    return _until_answered(command, folder, dict(os.environ), port, signal.SIGTERM)


def _until_answered(
    command: list[str], folder: Path, environ: dict[str, str], port: int, end: signal.Signals
) -> float:
    """Return the seconds from the command to its first answer, and end it again."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while not _answers(port):
            assert process.poll() is None and time.monotonic() - began < 60, f"{command[0]} did not start"
            time.sleep(0.01)
        return time.monotonic() - began
    finally:
        os.killpg(process.pid, end)
        process.wait()


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5).ok
    except requests.RequestException:
        return False
