"""Open pages on one web process: how soon they hear, what each takes, and how it goes for other pages meanwhile.

Half of the people look at their own jobs, half at everybody's in another organisation. An event is a row of a real
unit of work, and its time begins with the announcement of its commit. What the crowd itself and the server's way to
it cost is measured on a server that does nothing else. `BENCH_STREAMS` (`1,1000`) chooses other numbers.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
from flask import Flask

from bench.crowd import Crowd
from bench.desk import inside
from bench.reading import reading
from bench.table import Baseline, Row, median, percentile
from bench.usage import cpu_seconds, family, resident_bytes
from imagegen.core.clock import now
from imagegen.core.secrets import digest, new_secret
from imagegen.engine import control
from imagegen.models import (
    Job,
    Membership,
    Organisation,
    Session,
    UnitOfWork,
    User,
    organisation_scope,
    system_scope,
    writes,
)
from imagegen.services import events, generation
from imagegen.services.generation import GenerationRequest
from imagegen.settings import PROJECT_ROOT
from imagegen.web import sse
from imagegen.web.auth import SECRET
from tests.running_studio import Studio
from tests.waiting import eventually

COUNTS = tuple(int(count) for count in os.environ.get("BENCH_STREAMS", "1,1000,5000").split(","))
FIRST = 50
WARM_UP = 4
EVENTS = 200
TO_MANY = 20
READERS, EVERY = 4, 0.2
PAGE = "/jobs"
LIMITED = 1000
ONE_MS, PAGE_MS, STREAM_KB = 10.0, 25.0, 30.0
BARE = "gunicorn with gevent, bare"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was seen with so many streams open; times in milliseconds, memory of one more in bytes."""

    streams: int
    alone: list[float]
    everybody: list[float]
    pages: list[float]
    busy: float
    """Processor time of the web process for one event that half of them hear, in milliseconds."""
    memory: float | None


@dataclass(frozen=True, slots=True)
class Bare:
    """The same of a server that does nothing else."""

    delays: dict[int, list[float]]
    memory: float


def run() -> list[Row]:
    """Return the rows of each number of streams, against one stream alone, and streams that can do nothing."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    bare = _measure_bare()
    with tempfile.TemporaryDirectory(prefix="igs-") as name:
        environment = {"STUDIO_ADMIN_EMAIL": "bench@example.org", "STUDIO_ADMIN_PASSWORD": "a long enough password"}
        with (
            Studio(Path(name), WORKERS="1", **environment) as studio,
            inside(studio) as app,
            Crowd("127.0.0.1", studio.port) as crowd,
        ):
            hall = Hall(studio, app, crowd)
            found = [hall.measure(count) for count in COUNTS]
    return [row for measured in found for row in _rows(measured, found[0], bare)]


def _rows(measured: Measured, first: Measured, bare: Bare) -> Iterator[Row]:
    count, limited = f"{measured.streams:,}", measured.streams == LIMITED
    for name, share in (("median", 0.5), ("p99", 0.99)):
        alone = Baseline(f"{first.streams} open, {name}", percentile(first.alone, share))
        limit = ONE_MS if limited and share > 0.5 else None
        yield Row(f"{count} open: event to one, {name}", percentile(measured.alone, share), "ms", alone, limit)
    if measured.everybody:
        for name, share in (("median", 0.5), ("p99", 0.99)):
            same = Baseline(f"{BARE}, {name}", percentile(bare.delays[measured.streams], share))
            yield Row(f"{count} open: event to half, {name}", percentile(measured.everybody, share), "ms", same)
        yield Row(f"{count} open: event to half, processor", measured.busy, "ms")
    pages = Baseline(f"{first.streams} open, p99", percentile(first.pages, 0.99))
    limit = PAGE_MS if limited else None
    yield Row(f"{count} open: pages meanwhile, median", median(measured.pages), "ms", pages)
    yield Row(f"{count} open: pages meanwhile, p99", percentile(measured.pages, 0.99), "ms", pages, limit)
    if measured.memory is not None:
        baseline = Baseline(BARE, bare.memory / 1000)
        limit = STREAM_KB if limited else None
        yield Row(f"{count} open: memory of each", measured.memory / 1000, "kB", baseline, limit)


class Hall:
    """A studio full of people who look at their screens."""

    def __init__(self, studio: Studio, app: Flask, crowd: Crowd) -> None:
        self._studio = studio
        self._app = app
        self._crowd = crowd
        self._feeds, self._lists = _organisation("Feeds"), _organisation("Lists")
        self._open = 0
        self._floor: tuple[int, int] | None = None
        listener = self._person(self._feeds)
        reader = self._person(self._lists)
        self._reader = self._cookie(reader)
        self._own, self._of_all = _job(self._feeds, listener[0]), _job(self._lists, reader[0])
        # The first is the only one who hears of their job, however many others come.
        self._seats: Iterator[tuple[str, str]] = self._more_seats(listener)
        self._warm_up()

    def _warm_up(self) -> None:
        with reading("127.0.0.1", self._studio.port, PAGE, self._reader, readers=1, every=0.05):
            time.sleep(2)

    def _more_seats(self, first: tuple[int, str]) -> Iterator[tuple[str, str]]:
        yield "/jobs/stream", self._cookie(first)
        while True:
            places = ((self._lists, "/jobs/stream?list=all"), (self._feeds, "/jobs/stream"))
            people = [(self._cookie(self._person(place)), path) for place, path in places]
            for _ in range(sse.MOST_STREAMS_A_PERSON):
                yield from ((path, cookie) for cookie, path in people)

    def _person(self, organisation_id: int) -> tuple[int, str]:
        secret = new_secret()
        return _signed_in(organisation_id=organisation_id, secret=secret), secret

    def _cookie(self, person: tuple[int, str]) -> str:
        serializer = self._app.session_interface.get_signing_serializer(self._app)  # type: ignore[attr-defined]
        return f"{self._app.config['SESSION_COOKIE_NAME']}={serializer.dumps({SECRET: person[1]})}"

    def measure(self, count: int) -> Measured:
        """Open streams until there are `count`, and see what happens."""
        self._fill(count)
        memory = resident_bytes(self._studio.processes("imagegen-web"))
        self._crowd.take()
        # What is drawn for the first time has its templates and statements compiled.
        self._delays(self._own, 1, WARM_UP, apart=0.02)
        self._delays(self._of_all, count // 2, WARM_UP, apart=0.02)
        alone = self._delays(self._own, 1, EVENTS, apart=0.02)
        used = cpu_seconds(self._studio.processes("imagegen-web"))
        self._delays(self._of_all, count // 2, TO_MANY, apart=0.1)
        busy = 1000 * (cpu_seconds(self._studio.processes("imagegen-web")) - used) / TO_MANY
        with reading("127.0.0.1", self._studio.port, PAGE, self._reader, readers=READERS, every=EVERY) as pages:
            everybody = self._delays(self._of_all, count // 2, TO_MANY, apart=0.5)
        streams, before = self._floor or (count, memory)
        each = (memory - before) / (count - streams) if count > streams else None
        return Measured(count, alone, everybody, pages, busy, each)

    def _fill(self, count: int) -> None:
        """Open streams until there are `count`; the first ones pay for what all of them share."""
        if self._floor is None and count > FIRST:
            self._open = self._crowd.open([next(self._seats) for _ in range(FIRST - self._open)])
            self._floor = FIRST, resident_bytes(self._studio.processes("imagegen-web"))
        self._open = self._crowd.open([next(self._seats) for _ in range(count - self._open)])
        assert self._open == count

    def _delays(self, job_id: int, listeners: int, rounds: int, *, apart: float) -> list[float]:
        """Return how long each of `listeners` took to hear of each of some events."""
        delays: list[float] = []
        for _ in range(rounds):
            announced_at = _stir(job_id=job_id)
            time.sleep(apart)
            delays += [1000 * (moment - announced_at) for _, moment in _heard_by(self._crowd, listeners)]
        return delays


@writes
def _organisation(uow: UnitOfWork, name: str) -> int:
    place = Organisation(name=name)
    uow.add(place)
    uow.flush()
    return place.id


@writes
def _signed_in(uow: UnitOfWork, *, organisation_id: int, secret: str) -> int:
    """Add a person with a session, whose cookie carries `secret`."""
    user = User(email=f"{digest(secret)[:20]}@example.org", name="Somebody", password_hash="unusable")
    user.memberships.append(Membership(organisation_id=organisation_id, role="editor"))
    uow.add(user)
    uow.flush()
    uow.add(
        Session(
            secret_hash=digest(secret),
            user_id=user.id,
            organisation_id=organisation_id,
            expires_at=now() + timedelta(hours=1),
        )
    )
    return user.id


def _job(organisation_id: int, user_id: int) -> int:
    """Add a job on which nothing will be done."""
    with organisation_scope(organisation_id):
        request = GenerationRequest(prompt="a lighthouse in fog", provider="local")
        job = generation.create_job(
            organisation_id=organisation_id, user_id=user_id, request=request, plan=generation.plan(request)
        )
        control.pause(job.public_id)
    return job.id


def _stir(*, job_id: int) -> float:
    """Write an event of a job, and return when its commit was through and was about to be announced."""
    moments: list[float] = []
    with system_scope():
        _record(job_id=job_id, moments=moments)
    return moments[-1]


@writes
def _record(uow: UnitOfWork, *, job_id: int, moments: list[float]) -> None:
    uow.after_commit(lambda: moments.append(time.monotonic()))  # before the announcement, which comes last
    events.record(uow, job=uow.get_one(Job, job_id), type="job.moved")


def _measure_bare() -> Bare:
    """Return how soon half of so many streams hear of an event, and the memory of one."""
    delays: dict[int, list[float]] = {}
    with _bare_server() as (process, port), Crowd("127.0.0.1", port) as crowd:
        opened = crowd.open([("/", "")])
        before = resident_bytes(family(process))
        for count in sorted(COUNTS):
            opened = crowd.open([("/", "")] * max(0, count // 2 - opened))
            delays[count] = _bare_delays(crowd, port, opened)
        opened = crowd.open([("/", "")] * max(0, FIRST - opened))
        return Bare(delays, (resident_bytes(family(process)) - before) / (opened - 1))


def _bare_delays(crowd: Crowd, port: int, listeners: int) -> list[float]:
    found: list[float] = []
    for _ in range(TO_MANY):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/tell") as answer:
            began = float(answer.read())
        found += [1000 * (moment - began) for _, moment in _heard_by(crowd, listeners)]
    return found


def _heard_by(crowd: Crowd, listeners: int) -> list[tuple[int, float]]:
    """Wait until so many have heard of an event, and return who did, and when."""
    heard: list[tuple[int, float]] = []

    def all_heard() -> bool:
        heard.extend(crowd.take())
        return len(heard) >= listeners

    eventually(all_heard)
    assert len(heard) == listeners, "somebody heard what was not for them"
    return heard


@contextmanager
def _bare_server() -> Iterator[tuple[psutil.Process, int]]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        command = [sys.executable, "-m", "gunicorn", "--worker-class", "gevent", "--worker-connections", "10000"]
        command += ["--log-level", "warning", "--bind", f"fd://{listener.fileno()}", "bench.bare_streams:app"]
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, pass_fds=[listener.fileno()])
        try:
            yield psutil.Process(process.pid), listener.getsockname()[1]
        finally:
            process.terminate()
            process.wait()
