"""Promises of the web server: what it believes, what it leaves behind, how it is titled, how fast it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from imagegen.settings import PROJECT_ROOT

APP = """
import json, time

class Serving:
    def begin(self):
        self.ended = False
    def warm_up(self):
        pass
    def end(self):
        self.ended = True

serving = Serving()

def endless():
    while not serving.ended:
        yield b"more"
        time.sleep(0.05)

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    if environ["PATH_INFO"] == "/endless":
        return endless()
    names = ("wsgi.url_scheme", "PATH_INFO", "SCRIPT_NAME", "REMOTE_ADDR")
    return [json.dumps({name: environ[name] for name in names}).encode()]

app.extensions = {"studio-serving": serving}
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@contextmanager
def serving(folder: Path, port: int, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Serve `APP` as the studio's app is served."""
    (folder / "stand_in.py").write_text(APP)
    command = [sys.executable, "-m", "gunicorn", "-c", "python:imagegen.web.gunicorn_conf", "stand_in:app"]
    environ = {
        **os.environ,
        "PYTHONPATH": f"{PROJECT_ROOT}:{folder}",
        "PORT": str(port),
        "STUDIO_DATA_DIR": str(folder / "data"),
        "HOME": str(folder),
        **variables,
    }
    log = (folder / "log").open("w")
    process = subprocess.Popen(command, cwd=folder, env=environ, stderr=log)
    try:
        give_up_at = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def fetch(port: int, path: str = "/", **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=named)
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: dict[str, str] = json.load(answer)
        return found


def test_no_client_is_believed_about_scheme_path_or_address(tmp_path: Path, port: int) -> None:
    with serving(tmp_path, port):
        fetch(port)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(
                b"GET /real HTTP/1.1\r\nHost: studio\r\nConnection: close\r\nX-Forwarded-Proto: https\r\n"
                b"X-Forwarded-For: 192.0.2.1\r\nSCRIPT_NAME: /real\r\nPATH_INFO: /other\r\n\r\n"
            )
            body = b"".join(iter(lambda: client.recv(4096), b"")).split(b"\r\n\r\n", 1)[1]
    found = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    assert found == {
        "wsgi.url_scheme": "http",
        "PATH_INFO": "/real",
        "SCRIPT_NAME": "",
        "REMOTE_ADDR": "127.0.0.1",
    }


def test_one_process_serves_whatever_the_environment_says_to_gunicorn(tmp_path: Path, port: int) -> None:
    """Two hubs would each read every event from the database."""
    with serving(tmp_path, port, WEB_CONCURRENCY="4") as server:
        fetch(port)
        workers = psutil.Process(server.pid).children()
        assert len(workers) == 1
        assert [" ".join(process.cmdline()).strip() for process in (psutil.Process(server.pid), *workers)] == [
            "imagegen-web",
            "imagegen-web",
        ]


def test_it_leaves_no_files_behind(tmp_path: Path, port: int) -> None:
    with serving(tmp_path, port) as server:
        fetch(port)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=8) == 0
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"stand_in.py", "data", "log"}


def test_streams_are_told_that_it_ends_and_so_it_ends_at_once(tmp_path: Path, port: int) -> None:
    with serving(tmp_path, port) as server, urllib.request.urlopen(f"http://127.0.0.1:{port}/endless") as answer:
        assert answer.read(4) == b"more"
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=8)
        assert time.monotonic() - began < 2.9, "it waited for the stream until its grace was over"


def test_nothing_that_gevent_patches_is_imported_before_it_does(tmp_path: Path, port: int) -> None:
    with serving(tmp_path, port):
        fetch(port)
    assert (tmp_path / "log").read_text() == ""


def test_a_wrong_setting_is_told_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", "python:imagegen.web.gunicorn_conf", "wsgi:app"]
    environ = {**os.environ, "STUDIO_DATA_DIR": str(tmp_path), "PORT": "eighty"}
    refused = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert (refused.returncode, refused.stderr) == (1, "PORT must be a whole number.\n")
