"""The stand-in for OpenAI in a process of its own, so that it does not share a lock with who measures."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Self

import requests

from imagegen.settings import PROJECT_ROOT
from tests.fakes.openai_server import DEFAULT_KEY


class Service:
    """A context manager; orders and reports as `tests.fakes.openai_server` describes them."""

    key = DEFAULT_KEY

    def __init__(self, **orders: object) -> None:
        self._orders = orders

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.fakes.openai_server", "--key", self.key]
        self._process = subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        self._control = self.base_url.removesuffix("/v1") + "/_control"
        self.order(**self._orders)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def order(self, **orders: object) -> None:
        """Give orders."""
        requests.post(self._control, json=orders, timeout=10).raise_for_status()

    def answer(self) -> bytes:
        """Return what it answers to a request for one picture, as JSON."""
        wish = {"model": "gpt-image-2", "prompt": "a lighthouse in fog", "size": "1024x1024"}
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = requests.post(f"{self.base_url}/images/generations", json=wish, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.content

    def last(self) -> dict[str, Any]:
        """Return what is known of the newest request."""
        found: dict[str, Any] = requests.get(self._control, timeout=10).json()["log"][-1]
        return found
