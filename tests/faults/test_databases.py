"""F16 and F17: the database is locked by somebody else, ends its connections, and goes away in the middle of work."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
from flask_migrate import upgrade
from pydantic import SecretStr
from sqlalchemy import func, select

from imagegen.app import create_app
from imagegen.extensions import db
from imagegen.models import Job, system_scope
from imagegen.settings import Settings
from tests.fakes.openai_server import OpenAIServer
from tests.faults.conftest import Ask
from tests.faults.outcome import expect_settled, expect_sound
from tests.faults.processes import Processes
from tests.postgresql import PostgreSQL
from tests.waiting import eventually

HELD = {"kind": "none", "hold": True}
WRITERS = 50
WANTED = 8
LOCKED_SECONDS = 5.0


@pytest.mark.databases("sqlite")
def test_f16_fifty_writers_wait_out_a_lock_of_five_seconds_and_none_is_turned_away(
    processes: Processes, ask: Ask, openai: OpenAIServer, settings: Settings
) -> None:
    processes.worker()
    processes.scheduler()
    url = processes.web()

    with ThreadPoolExecutor(WRITERS) as people:
        with closing(sqlite3.connect(settings.studio_data_dir / "studio.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            asked = [people.submit(ask, url, key=f"order-{number}", provider="local") for number in range(WRITERS)]
            time.sleep(LOCKED_SECONDS)
            other.execute("ROLLBACK")
        answers = [each.result() for each in asked]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == WRITERS
    expect_settled(*["succeeded"] * WRITERS)
    expect_sound(openai)


@pytest.mark.databases("postgresql")
def test_f17_connections_that_are_ended_in_the_middle_cost_nobody_a_job_and_make_none_twice(
    processes: Processes, ask: Ask, openai: OpenAIServer, settings: Settings
) -> None:
    processes.worker()
    processes.scheduler()
    url = processes.web()

    with ending_connections(settings.database_url):
        answers = [insist(ask, url, key=f"order-{number}") for number in range(WANTED)]

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == WANTED
    expect_settled(*["succeeded"] * WANTED)
    with system_scope():
        assert db.session.scalar(select(func.count(Job.id))) == WANTED
    expect_sound(openai)
    assert len(openai.requests) == WANTED


@contextmanager
def ending_connections(url: str) -> Iterator[None]:
    """End all connections to the database behind `url` again and again."""
    over = threading.Event()
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"

    def run() -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
            while not over.wait(0.1):
                server.execute(f"{others} AND pid <> pg_backend_pid()")

    ending = threading.Thread(target=run)
    ending.start()
    try:
        yield
    finally:
        over.set()
        ending.join()
        db.engine.dispose()  # the test's own were ended too


def insist(ask: Ask, url: str, *, key: str) -> requests.Response:
    """Ask as a program does that is told to come back: the same request with the same key, until it is taken."""
    for _ in range(50):
        answer = ask(url, key=key)
        assert answer.status_code in (202, 503), answer.text
        if answer.status_code == 202:
            break
    return answer


@pytest.mark.databases("postgresql")
class TestRestart:
    """A server of the test's own, which goes away and comes back."""

    @pytest.fixture
    def server(self) -> Iterator[PostgreSQL]:
        """A server with nothing in it."""
        with tempfile.TemporaryDirectory(prefix="igs-pg-") as folder, PostgreSQL(Path(folder)) as server:
            yield server

    @pytest.fixture
    def database_values(self, server: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
        """The setting of a migrated database on it."""
        values: dict[str, object] = {"database_url": server.url()}
        folder = tmp_path_factory.mktemp("migrated")
        app = create_app(Settings(studio_data_dir=folder, secret_key=SecretStr("k"), **values))
        with app.app_context():
            upgrade()
            db.engine.dispose()
        return values

    def test_f17_away_while_the_provider_answers_it_is_told_the_answer_when_it_is_back(
        self, server: PostgreSQL, processes: Processes, ask: Ask, openai: OpenAIServer
    ) -> None:
        openai.script(HELD, HELD)
        processes.worker()
        processes.scheduler()
        url = processes.web()
        assert ask(url, n=3).status_code == 202
        eventually(lambda: len(openai.requests) == 2)

        server.crash()
        openai.release()
        away = ask(url, key="order-2")
        assert (away.status_code, away.headers["Retry-After"]) == (503, "3")
        assert requests.get(f"{url}/sign-in", timeout=30).status_code == 503
        server.start()
        db.engine.dispose()  # the test's own connections have ended too
        assert insist(ask, url, key="order-2").status_code == 202

        expect_settled(*["succeeded"] * 4)
        expect_sound(openai)
        assert len(openai.requests) == 4
