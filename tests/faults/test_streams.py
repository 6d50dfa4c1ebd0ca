"""F32: a stream is cut, its server killed, its reader slow, one of too many, or not allowed to listen any more."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
from sqlalchemy import delete, update

from imagegen.core.clock import now
from imagegen.models import ApiToken, Membership, Session, unit_of_work
from imagegen.services import accounts
from imagegen.web.sse import MOST_STREAMS_A_PERSON, RECHECK_SECONDS
from tests.conftest import PASSWORD, Person, csrf_of
from tests.fakes.openai_server import OpenAIServer
from tests.fakes.tcp_proxy import TcpProxy, Trouble
from tests.faults.conftest import PAID, Ask
from tests.faults.outcome import expect_settled, expect_sound
from tests.faults.processes import Processes, kill, session
from tests.models.rows import Member, submit
from tests.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")  # the database has no part in it

HELD = {"kind": "none", "hold": True}
MARGIN = 10.0
"""Seconds by which a busy machine may be late."""
END = "job.succeeded"


class Web:
    """A web server at one address, however often it is killed."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ("--config", "python:imagegen.web.gunicorn_conf", "--bind", f"127.0.0.1:{self.port}")
        self._running = self._processes.start("gunicorn", *options, "wsgi:app")
        eventually(self._answers, within=30)

    def kill(self) -> None:
        """Kill it with all its processes, as a machine does that loses its power."""
        assert self._running is not None
        kill(*(process.pid for process in session(self._running.pid)))

    def _answers(self) -> bool:
        with suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/healthz", timeout=10).ok
        return False


@pytest.fixture
def web(processes: Processes) -> Web:
    web = Web(processes)
    web.start()
    return web


@pytest.fixture
def line(web: Web) -> Iterator[TcpProxy]:
    """A line to the web server that goes wrong on demand."""
    with TcpProxy(("127.0.0.1", web.port)) as line:
        yield line


class Reader(threading.Thread):
    """Reads one job's events, and comes back after the last one it has whenever the stream breaks off."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self.events: list[dict[str, Any]] = []
        self.connections = 0
        self._url = url
        self._headers = headers
        self.start()

    def run(self) -> None:
        while not self.ended:
            with suppress(requests.RequestException):
                self._listen()
            time.sleep(0.05)

    @property
    def ended(self) -> bool:
        """Whether the end of the job has been told."""
        return bool(self.events) and self.events[-1]["type"] == END

    @property
    def numbers(self) -> list[int]:
        """The events' numbers in the order in which they came."""
        return [event["seq"] for event in self.events]

    def _listen(self) -> None:
        last = str(self.events[-1]["seq"]) if self.events else "0"
        headers = self._headers | {"Last-Event-ID": last}
        with requests.get(self._url, headers=headers, stream=True, timeout=20) as answer:
            self.connections += 1
            block: list[bytes] = []
            for text in answer.iter_lines(chunk_size=1):
                # Only what a blank line ends was told; a cut inside an event is none.
                if text:
                    block.append(text)
                else:
                    self.events += [json.loads(one[6:]) for one in block if one.startswith(b"data: {")]
                    block = []


Read = Callable[[str, str], Reader]


@pytest.fixture
def read(person: Person) -> Read:
    """Read the events of a job: `read(url, id)`."""
    headers = person.bearer("read")
    return lambda url, job: Reader(f"{url}/api/v1/jobs/{job}/events", headers)


def test_f32_cut_again_and_again_a_stream_is_told_every_event_once(
    processes: Processes, line: TcpProxy, ask: Ask, read: Read, openai: OpenAIServer
) -> None:
    openai.script(latency=0.2)
    line.trouble = Trouble(only=b"GET /api/v1/jobs/", cut_after=2500, reset=True)
    processes.worker()
    job = ask(line.url, n=8).json()["id"]
    reader = read(line.url, job)

    expect_settled(*["succeeded"] * 8)
    eventually(lambda: reader.ended, within=60)

    assert reader.connections > 2
    assert reader.numbers == list(range(1, len(reader.numbers) + 1))
    expect_sound(openai)


def test_f32_a_web_server_that_is_killed_is_asked_again_where_it_stopped(
    processes: Processes, web: Web, ask: Ask, read: Read, openai: OpenAIServer
) -> None:
    openai.script("none", HELD, HELD)
    processes.worker()
    job = ask(web.url, n=3).json()["id"]
    reader = read(web.url, job)
    eventually(lambda: "shot.succeeded" in [event["type"] for event in reader.events])

    web.kill()
    openai.release()
    expect_settled(*["succeeded"] * 3)
    assert not reader.ended
    web.start()

    eventually(lambda: reader.ended, within=60)
    assert reader.connections == 2
    assert reader.numbers == list(range(1, len(reader.numbers) + 1))
    expect_sound(openai)


Browse = Callable[..., requests.Session]


@pytest.fixture
def browse(web: Web) -> Browse:
    """Sign somebody in at the server, made for it: `browse("ben", organisation="Two")`."""

    def sign_in(name: str, organisation: str = "One", role: str = "editor") -> requests.Session:
        email = f"{name}@one.example"
        accounts.create_user(email=email, password=PASSWORD, organisation=organisation, role=role)
        browser = requests.Session()
        send_form(browser, f"{web.url}/sign-in", email=email, password=PASSWORD)
        return browser

    return sign_in


def send_form(browser: requests.Session, url: str, **fields: str) -> None:
    """Send a form as a browser does, with the token of the page that it stands in."""
    page = browser.get(url if "sign-in" in url else f"{url.rsplit('/', 1)[0]}/generate", timeout=30)
    answer = browser.post(url, data=fields | {"csrf_token": csrf_of(page.text)}, timeout=30, allow_redirects=False)
    assert answer.status_code == 303


def listen(browser: requests.Session, web: Web, timeout: float = RECHECK_SECONDS + 3 * MARGIN) -> requests.Response:
    """Open the stream of a page; reading it fails when nothing comes for `timeout` seconds."""
    return browser.get(f"{web.url}/jobs/stream", stream=True, timeout=timeout)


def test_f32_a_reader_that_reads_nothing_keeps_nobody_waiting(
    processes: Processes, web: Web, browse: Browse, openai: OpenAIServer
) -> None:
    openai.script(latency=0.05)
    browser = browse("ben", role="owner")
    headers = requests.Request("GET", f"{web.url}/jobs/stream", cookies=browser.cookies).prepare().headers
    with socket.create_connection(("127.0.0.1", web.port)) as asleep:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        asleep.sendall(f"GET /jobs/stream HTTP/1.1\r\nHost: studio\r\nCookie: {headers['Cookie']}\r\n\r\n".encode())
        with listen(browser, web) as awake:
            processes.worker()
            submit(member_of("ben@one.example"), **PAID, n=10)
            told = "".join(until(awake, rb'data-state="succeeded"', times=10))
    numbers = [int(number) for number in re.findall(r"^id: (\d+)$", told, re.MULTILINE)]
    assert numbers == sorted(set(numbers))
    expect_settled(*["succeeded"] * 10)
    expect_sound(openai)


def member_of(email: str) -> Member:
    """Return somebody by the ids of person and organisation."""
    user = accounts.find_user(email=email)
    membership = accounts.membership_of(user_id=user.id, organisation_id=None)
    assert membership is not None
    return Member(user.id, membership.organisation_id)


def until(answer: requests.Response, wanted: bytes, *, times: int) -> Iterator[str]:
    """Read a stream until `wanted` stands in it as the state of so many tiles; lines as text."""
    seen: set[bytes] = set()
    for text in answer.iter_lines(chunk_size=1):
        yield text.decode() + "\n"
        if wanted in text and (tile := re.search(rb'id="(shot-[^"]+)"', text)):
            seen.add(tile[1])
        if len(seen) == times:
            return
    raise AssertionError(f"the stream ended with {len(seen)}")


def farewell(answer: requests.Response) -> str:
    """Read a stream to its end, and return why it ended."""
    told = answer.content.decode()
    (reason,) = re.findall(r"^event: bye\ndata: (\w+)$", told, re.MULTILINE)
    return str(reason)


def test_f32_past_so_many_streams_a_person_is_told_to_ask_and_others_are_not(web: Web, browse: Browse) -> None:
    person, other = browse("ben"), browse("eve")
    opened = [listen(person, web) for _ in range(MOST_STREAMS_A_PERSON)]
    try:
        assert farewell(listen(person, web)) == "busy"
        opened.append(listen(other, web))
        assert next(opened[-1].iter_lines()) == b"retry: 1000"
    finally:
        for stream in opened:
            stream.close()


def test_f32_pages_that_were_just_left_do_not_count(web: Web, browse: Browse) -> None:
    """Who walks quickly through the studio leaves streams behind that no ping has found dead yet."""
    person = browse("ben")
    for stream in [listen(person, web) for _ in range(MOST_STREAMS_A_PERSON)]:
        stream.close()
    with pytest.raises(requests.ConnectionError, match="timed out"):
        farewell(listen(person, web, timeout=3))


def test_f32_whoever_may_not_listen_any_more_hears_nothing_within_half_a_minute(
    web: Web, ask: Ask, person: Person, browse: Browse
) -> None:
    job = ask(web.url, provider="local").json()["id"]
    pages = {name: browse(name) for name in ("left", "demoted", "ended", "leaving")}
    streams = {name: listen(browser, web) for name, browser in pages.items()}
    streams["revoked"] = requests.get(
        f"{web.url}/api/v1/jobs/{job}/events", headers=person.bearer("read"), stream=True, timeout=60
    )
    ids = {name: accounts.find_user(email=f"{name}@one.example").id for name in pages}
    began = time.monotonic()
    with unit_of_work() as uow:
        uow.execute(delete(Membership).where(Membership.user_id == ids["left"]))
        uow.execute(update(Membership).where(Membership.user_id == ids["demoted"]).values(role="viewer"))
        uow.execute(delete(Session).where(Session.user_id == ids["ended"]))
        uow.execute(update(ApiToken).values(revoked_at=now()))
    send_form(pages["leaving"], f"{web.url}/sign-out")

    assert farewell(streams.pop("leaving")) == "signed_out"
    assert time.monotonic() - began < MARGIN
    assert {name: farewell(stream) for name, stream in streams.items()} == dict.fromkeys(streams, "signed_out")
    assert time.monotonic() - began < RECHECK_SECONDS + MARGIN
