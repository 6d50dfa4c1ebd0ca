"""F13 to F15: Redis is killed, flushed, full, and hangs. It only wakes and counts, so nothing is lost with it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from imagegen.engine import dispatch
from imagegen.settings import Settings
from imagegen.supervisor import redis_server
from tests.fakes.openai_server import OpenAIServer
from tests.faults.conftest import PAID, Ask
from tests.faults.outcome import expect_settled, expect_sound, statuses
from tests.faults.processes import Processes
from tests.models.rows import Member, submit
from tests.own_redis import OwnRedis
from tests.running_studio import Studio
from tests.waiting import eventually

pytestmark = pytest.mark.databases("sqlite")  # the database has no part in it

HELD = {"kind": "none", "hold": True}
LONGEST_WAIT = 10.0
"""Seconds that a person may wait for the answer to a request while Redis hangs."""


@pytest.fixture
def own_redis(request: pytest.FixtureRequest) -> Iterator[OwnRedis]:
    """A server of this test's own."""
    with tempfile.TemporaryDirectory(prefix="igs-") as folder:
        server = OwnRedis(Path(folder), aof=getattr(request, "param", False))
        server.start()
        yield server
        server.kill()


class TestEmbedded:
    """The server that `make run` starts, and starts again."""

    @pytest.fixture
    def waiting(self, studio: Studio, ask: Ask, openai: OpenAIServer) -> Studio:
        """A studio with two calls under way and two pictures waiting."""
        openai.script(HELD, HELD)
        studio.environ = {name: value for name, value in studio.environ.items() if name != "REDIS_URL"}
        studio.start()
        assert ask(studio.url, n=4).status_code == 202
        eventually(lambda: len(openai.requests) == 2)
        return studio

    def test_f13_killed_it_is_back_and_the_studio_goes_on(
        self, waiting: Studio, ask: Ask, openai: OpenAIServer
    ) -> None:
        server = redis_of(waiting)
        server.kill()
        assert ask(waiting.url).status_code == 202
        openai.release()

        expect_settled(*["succeeded"] * 5)
        expect_sound(openai)
        assert len(openai.requests) == 5
        assert redis_of(waiting).pid != server.pid

    def test_f14_flushed_it_takes_nothing_with_it(self, waiting: Studio, ask: Ask, openai: OpenAIServer) -> None:
        assert ask(waiting.url).status_code == 202
        Redis(unix_socket_path=str(redis_server.socket_path(waiting.data))).flushall()
        openai.release()

        expect_settled(*["succeeded"] * 5)
        expect_sound(openai)
        assert len(openai.requests) == 5


def redis_of(studio: Studio) -> psutil.Process:
    """Return the process of the embedded server."""
    (server,) = [found for found in studio.processes() if "valkey" in found.name()]
    return server


class TestOwn:
    """A server that somebody else keeps running, and does not."""

    @pytest.fixture
    def settings(self, settings: Settings, own_redis: OwnRedis) -> Settings:
        return settings.model_copy(update={"redis_url": own_redis.url})

    @pytest.mark.parametrize("own_redis", [True, False], ids=["with AOF", "without AOF"], indirect=True)
    def test_f13_killed_with_wake_ups_in_it_every_job_runs_all_the_same(
        self, own_redis: OwnRedis, processes: Processes, ann: Member, openai: OpenAIServer
    ) -> None:
        submit(ann, **PAID, n=2)
        submit(ann, **PAID, n=2)
        own_redis.kill()
        own_redis.start()

        processes.worker()
        processes.scheduler()

        expect_settled(*["succeeded"] * 4)
        expect_sound(openai)
        assert len(openai.requests) == 4

    def test_f13_killed_under_a_studio_at_work_the_answers_are_kept_and_what_waits_is_done_when_it_is_back(
        self, own_redis: OwnRedis, studio: Studio, ask: Ask, openai: OpenAIServer
    ) -> None:
        openai.script(HELD, HELD)
        studio.start()
        assert ask(studio.url, n=4).status_code == 202
        eventually(lambda: len(openai.requests) == 2)
        own_redis.kill()
        openai.release()
        eventually(lambda: statuses().count("succeeded") >= 2)
        own_redis.start()

        expect_settled(*["succeeded"] * 4)
        expect_sound(openai)
        assert len(openai.requests) == 4

    def test_f15_down_a_job_is_accepted_and_waits(
        self, own_redis: OwnRedis, processes: Processes, ask: Ask, openai: OpenAIServer
    ) -> None:
        url = processes.web()
        own_redis.kill()

        assert ask(url, key="order-1", n=2).status_code == 202
        assert ask(url, key="order-1", n=2).status_code == 202
        own_redis.start()
        processes.worker()
        processes.scheduler()

        expect_settled("succeeded", "succeeded")
        expect_sound(openai)

    def test_f15_full_a_job_is_accepted_and_waits(
        self, own_redis: OwnRedis, processes: Processes, ask: Ask, openai: OpenAIServer
    ) -> None:
        processes.scheduler()
        url = processes.web()
        own_redis.fill()

        assert ask(url, n=2).status_code == 202
        assert own_redis.client.llen(f"rq:queue:{dispatch.QUEUE}") == 0
        own_redis.make_room()
        processes.worker()

        expect_settled("succeeded", "succeeded")
        expect_sound(openai)

    def test_f15_hanging_it_holds_nobody_up_for_long(
        self, own_redis: OwnRedis, processes: Processes, ask: Ask, openai: OpenAIServer
    ) -> None:
        url = processes.web()
        own_redis.hang()

        began = time.monotonic()
        assert ask(url, n=2).status_code == 202
        assert time.monotonic() - began < LONGEST_WAIT
        own_redis.go_on()
        processes.worker()
        processes.scheduler()

        expect_settled("succeeded", "succeeded")
        expect_sound(openai)


class TestLimited:
    """A person may ask for five paid jobs a minute, and who counts is away."""

    @pytest.fixture
    def settings(self, settings: Settings, own_redis: OwnRedis) -> Settings:
        return settings.model_copy(update={"redis_url": own_redis.url, "generate_rate_limit": "5/minute"})

    @pytest.mark.parametrize("trouble", ["kill", "fill", "hang"])
    def test_f15_what_costs_money_is_refused_for_now_and_what_is_free_is_not(
        self, own_redis: OwnRedis, processes: Processes, ask: Ask, openai: OpenAIServer, trouble: str
    ) -> None:
        url = processes.web()
        getattr(own_redis, trouble)()

        began = time.monotonic()
        refused = ask(url)
        assert time.monotonic() - began < LONGEST_WAIT
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert ask(url, provider="local").status_code == 202

        assert statuses() == ["waiting"]
        expect_sound(openai)
        assert openai.requests == []
