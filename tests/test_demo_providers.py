"""`make demo-providers`: a stand-in to try the studio by hand, which says itself how it is used."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from imagegen.settings import PROJECT_ROOT

SCRIPT = [sys.executable, "-m", "scripts.demo_providers"]


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    command = [*SCRIPT, "--port", "0", "--latency", "0"]
    process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def told_by(demo: subprocess.Popen[str]) -> list[str]:
    """Return the lines up to the last one of the introduction."""
    lines = []
    for line in demo.stdout:
        lines.append(line.strip())
        if line.startswith("Downloads:"):
            return lines
    raise AssertionError("\n".join(lines))


def setting(lines: list[str], name: str) -> str:
    return next(line.removeprefix(f"{name}=") for line in lines if line.startswith(f"{name}="))


def draw(lines: list[str]) -> requests.Response:
    return requests.post(
        setting(lines, "OPENAI_BASE_URL") + "/images/generations",
        json={"model": "gpt-image-2.6-flare", "prompt": "a pear", "size": "1024x1024"},
        headers={"Authorization": f"Bearer {setting(lines, 'OPENAI_API_KEY')}"},
        timeout=20,
    )


def test_the_printed_lines_lead_to_a_service_that_draws(demo):
    lines = told_by(demo)

    assert draw(lines).json()["data"][0]["b64_json"]
    demo.send_signal(signal.SIGINT)
    assert "1 requests" in demo.communicate(timeout=10)[0]
    assert demo.returncode == 0


def test_every_order_that_it_prints_is_followed(demo):
    lines = told_by(demo)
    orders = [shlex.split(line)[1:] for line in lines if line.startswith("curl -d")]
    assert len(orders) > 5

    for _, order, address in orders:
        assert json.loads(order)
        assert requests.post(address, data=order, timeout=5).json() == {"ok": True}


def test_an_order_for_a_fault_is_obeyed_and_counted(demo):
    lines = told_by(demo)
    control = re.search(r"http://\S+/_control", "\n".join(lines))[0]
    requests.post(control, json={"faults": ["429"]}, timeout=5)

    assert [draw(lines).status_code, draw(lines).status_code] == [429, 200]
    assert requests.get(control, timeout=5).json()["generations"] == 2


def test_a_port_that_is_taken_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = subprocess.run(
            [*SCRIPT, "--port", port], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
        )

    assert told.returncode == 1
    assert told.stderr.startswith(f"Port {port} cannot be used")
    assert "Traceback" not in told.stderr
