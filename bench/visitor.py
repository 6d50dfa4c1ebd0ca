"""A person's open page, without a browser: a signed-in session, its stream of events, and the generator's form."""

from __future__ import annotations

import http.client
import re
import threading
import time
from queue import Empty, Queue
from urllib.parse import urlsplit

import requests

from tests.running_studio import Studio

_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


class Visitor:
    """Signs in, listens to the page's stream, and asks for pictures."""

    def __init__(self, studio: Studio, email: str, password: str) -> None:
        self._url = studio.url
        self._session = requests.Session()
        self._sign_in(email, password)
        self._csrf = self._token("/generate")
        self._messages: Queue[tuple[float, str]] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.wait_for("retry:", within=10)

    def _token(self, path: str) -> str:
        page = self._session.get(self._url + path, timeout=20)
        page.raise_for_status()
        found = _TOKEN.search(page.text)
        assert found, f"{path} has no form"
        return found[1]

    def _sign_in(self, email: str, password: str) -> None:
        form = {"email": email, "password": password, "csrf_token": self._token("/sign-in")}
        self._session.post(f"{self._url}/sign-in", data=form, timeout=20).raise_for_status()

    def _listen(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self._url).netloc)
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._session.cookies)
        connection.request("GET", "/jobs/stream", headers={"Cookie": cookies, "Accept": "text/event-stream"})
        lines: list[str] = []
        with connection.getresponse() as answer:
            while line := answer.readline():
                if line.strip():
                    lines.append(line.decode())
                else:
                    self._messages.put((time.monotonic(), "".join(lines)))
                    lines.clear()

    def wait_for(self, text: str, within: float = 30.0) -> float:
        """Return when the next message that contains `text` had come; earlier ones are passed over."""
        until = time.monotonic() + within
        while True:
            try:
                came_at, message = self._messages.get(timeout=until - time.monotonic())
            except (Empty, ValueError):
                raise TimeoutError(f"no message has {text!r}") from None
            if text in message:
                return came_at

    def generate(self, **fields: str) -> float:
        """Send the generator's form as its script does, and return when it left."""
        headers = {"X-CSRFToken": self._csrf, "HX-Request": "true", "HX-Request-Type": "partial"}
        began_at = time.monotonic()
        self._session.post(f"{self._url}/generate", data=fields, headers=headers, timeout=20).raise_for_status()
        return began_at
