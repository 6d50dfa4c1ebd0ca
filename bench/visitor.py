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

_JOB = re.compile(r'id="job-([0-9a-f-]{36})"')
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
        # The first message only says how to come back: the stream is open.
        self._next(time.monotonic() + 10)

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

    def follow(self, job_id: str, within: float = 30.0) -> tuple[float, float]:
        """Return when the first message about a job had come, and when the one with its picture."""
        first_at = 0.0
        until = time.monotonic() + within
        while True:
            came_at, message = self._next(until)
            if job_id in message:
                first_at = first_at or came_at
                if 'data-state="succeeded"' in message:
                    return first_at, came_at

    def _next(self, until: float) -> tuple[float, str]:
        try:
            return self._messages.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            raise TimeoutError("the page's stream said nothing for too long") from None

    def generate(self, **fields: str) -> tuple[float, str]:
        """Send the generator's form as its script does; return when it left, and the job's id."""
        headers = {"X-CSRFToken": self._csrf, "HX-Request": "true", "HX-Request-Type": "partial"}
        began_at = time.monotonic()
        answer = self._session.post(f"{self._url}/generate", data=fields, headers=headers, timeout=20)
        answer.raise_for_status()
        found = _JOB.search(answer.text)
        assert found, "the answer has no job"
        return began_at, found[1]
