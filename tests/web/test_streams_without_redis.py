"""Live pages go on while Redis is away, and hear at once again when it is back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from imagegen.services import jobs
from imagegen.web import live, sse
from tests.conftest import Person
from tests.own_redis import OwnRedis
from tests.waiting import eventually
from tests.web.listening import serving
from tests.web.rows import make_job, say


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
        eventually(lambda: own_redis.client.pubsub_numsub(sse.EVENTS_CHANNEL)[0][1] == 1)
        monkeypatch.setattr(sse, "ASK_SECONDS", 60)
        assert hears_the_next() < 1
        sse.hub().close()
