"""Reading server-sent events as the specification says, from bytes and from a server of our own."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from flask import Flask
from werkzeug.serving import make_server

from imagegen.services import jobs
from imagegen.web.sse import hub
from tests.conftest import Person
from tests.waiting import eventually

PATIENCE = 30.0
"""Seconds after which what has not come will not come."""


@dataclass(frozen=True)
class Message:
    """One dispatched event."""

    data: str
    event: str
    id: str


def parse(text: str) -> list[Message]:
    """Return the events in `text`, dispatched as a browser does (HTML standard, 9.2.6)."""
    found, fields, last_id = [], {"data": [], "event": ""}, ""
    for line in re.split(r"\r\n|\r|\n", text):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if fields["data"]:
                found.append(Message("\n".join(fields["data"]), fields["event"] or "message", last_id))
            fields = {"data": [], "event": ""}
        elif name == "data":
            fields["data"].append(value)
        elif name == "event":
            fields["event"] = value
        elif name == "id" and "\0" not in value:
            last_id = value
    return found


class Listener:
    """One open connection that reads a stream."""

    def __init__(self, port: int, path: str, headers: dict[str, str], patience: float = PATIENCE) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
        self._connection.request("GET", path, headers=headers)
        self.response = self._connection.getresponse()
        self._patience = patience
        self._last_id = ""

    def next(self) -> Message:
        """Return the next event; raises TimeoutError if none comes, EOFError at the end of the stream."""
        block: list[str] = []
        until = time.monotonic() + self._patience
        while True:
            line = self.response.readline()
            if time.monotonic() > until:
                raise TimeoutError("nothing but pings came")
            if not line:
                raise EOFError
            block.append(line.decode())
            if line == b"\n":
                found = parse(f"id: {self._last_id}\n" + "".join(block))
                block = []
                if found:
                    self._last_id = found[0].id
                    return found[0]

    def until_bye(self) -> list[Message]:
        """Return all that comes; the last is the farewell."""
        found = []
        with suppress(EOFError):
            while True:
                found.append(self.next())
        assert found and found[-1].event == "bye", found
        return found

    def close(self) -> None:
        """Go away without a word, as a closed tab does."""
        self.response.close()
        self._connection.close()


@dataclass
class Server:
    """The app behind a real socket, each connection in a thread of its own."""

    port: int

    def listen(self, person: Person, path: str = "/jobs/stream", **headers: str) -> Listener:
        """Open a stream as a page of `person`; header names have `_` for `-`."""
        cookie = person.client.get_cookie("studio")
        assert cookie is not None
        sent = {"Cookie": f"studio={cookie.value}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return Listener(self.port, path, sent)


@contextmanager
def serving(app: Flask) -> Iterator[Server]:
    """Serve `app` as long as the block lasts."""
    made = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Server(made.server_port)
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def listening() -> int:
    """Return how many streams are open."""
    return len(hub()._all())


def open_stream(server: Server, person: Person, path: str = "/jobs/stream", **headers: str) -> Listener:
    """Open a stream, and wait until it hears what happens."""
    before = listening()
    listener = server.listen(person, path, **headers)
    eventually(lambda: listening() > before)
    return listener


def latest(person: Person) -> int:
    """Return the number of the newest event in the person's organisation."""
    return jobs.latest_seq(person.organisation.id)
