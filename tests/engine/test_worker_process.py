"""Real workers that are killed and stopped in the middle of a call: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from imagegen.engine import attempts
from imagegen.engine.sweep import sweep
from imagegen.extensions import db
from imagegen.models import Attempt, LedgerEntry, Reservation, Shot
from imagegen.settings import Settings
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything")

PROJECT = Path(__file__).resolve().parents[2]
LEASE_SECONDS = 2
MOST_SECONDS_TO_STOP = 8.0


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    """Leases of two seconds; three slots, one of which is kept for jobs of which nothing runs."""
    return {
        "openai_api_key": openai.key,
        "openai_base_url": openai.base_url,
        "shots_per_worker": 3,
        "lease_seconds": LEASE_SECONDS,
        "heartbeat_seconds": 1,
    }


class RunningWorker:
    """A worker as `make run` starts it."""

    def __init__(self, settings: Settings, log: Path) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "STUDIO_DATA_DIR": str(settings.studio_data_dir),
            "DATABASE_URL": settings.database_url,
            "SECRET_KEY": settings.secret_key.get_secret_value(),
            "ENCRYPTION_KEYS": settings.encryption_keys.get_secret_value(),
            "REDIS_URL": settings.redis_url or "",
            "OPENAI_API_KEY": settings.openai_api_key.get_secret_value() if settings.openai_api_key else "",
            "OPENAI_BASE_URL": settings.openai_base_url,
            "SHOTS_PER_WORKER": str(settings.shots_per_worker),
            "LEASE_SECONDS": str(settings.lease_seconds),
            "HEARTBEAT_SECONDS": str(settings.heartbeat_seconds),
        }
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "imagegen.worker"],
                cwd=PROJECT,
                env=environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.horses: set[int] = set()

    def horse(self) -> int:
        """Return the process id of the task that holds the running shots."""
        db.session.rollback()
        owners = set(db.session.scalars(select(Shot.lease_owner).where(Shot.lease_owner.is_not(None))))
        (owner,) = owners
        pid = int(owner.split(":")[1])
        self.horses.add(pid)
        return pid

    def wait(self) -> int:
        """Wait for the worker's end, and return its exit code."""
        return self.process.wait(MOST_SECONDS_TO_STOP)

    def end(self) -> None:
        """Leave nothing behind."""
        for pid in (*self.horses, self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def eventually(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Return as soon as `true()` is; fail if that takes too long."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def statuses() -> list[str]:
    """Return the states of all shots, in the order of their slots."""
    db.session.rollback()
    return list(db.session.scalars(select(Shot.status).order_by(Shot.slot)))


def spent() -> int:
    """Return what the ledger says was spent, in micro-USD."""
    return sum(db.session.scalars(select(LedgerEntry.amount_micro).where(LedgerEntry.account == "spend")))


@pytest.fixture
def worker(app: Flask, settings: Settings, tmp_path: Path) -> Iterator[RunningWorker]:
    """A worker that is up, or will be in a moment."""
    running = RunningWorker(settings, tmp_path / "worker.log")
    yield running
    running.end()


@pytest.fixture
def calling(worker: RunningWorker, ann: Member, openai: OpenAIServer) -> RunningWorker:
    """A worker in the middle of two calls of a job of three, each of which takes a while."""
    openai.script(latency=1.5)
    submit(ann, provider="openai", quality="low", n=3)
    eventually(lambda: len(openai.requests) == 2)
    eventually(lambda: statuses() == ["running", "running", "waiting"])
    return worker


def test_a_worker_draws_and_ends_when_it_is_told_to(worker: RunningWorker, ann: Member, openai: OpenAIServer) -> None:
    submit(ann, provider="openai", quality="low", n=2)
    eventually(lambda: statuses() == ["succeeded"] * 2)

    worker.process.terminate()

    assert worker.wait() == 0
    check_invariants()
    assert spent() == openai.bill > 0


def test_a_task_killed_in_the_middle_of_a_call_leaves_its_fate_open_and_the_rest_is_done(
    calling: RunningWorker, openai: OpenAIServer
) -> None:
    os.kill(calling.horse(), signal.SIGKILL)
    openai.script(latency=0.0)
    eventually(lambda: sweep() and statuses() == ["unknown", "unknown", "succeeded"])

    check_invariants()
    assert len(openai.requests) == 3
    held = db.session.scalars(select(Reservation.status).order_by(Reservation.shot_id)).all()
    assert held == ["held", "held", "posted"]
    assert calling.process.poll() is None


def test_a_worker_killed_alone_leaves_its_task_to_finish_what_it_began(
    calling: RunningWorker, openai: OpenAIServer
) -> None:
    horse = calling.horse()
    calling.process.kill()
    calling.process.wait()
    eventually(lambda: not alive(horse))

    check_invariants()
    assert statuses() == ["succeeded", "succeeded", "waiting"]
    assert sweep()["expired"] == 0
    assert len(openai.requests) == 2
    assert spent() == openai.bill > 0


def test_worker_and_task_killed_together_lose_nothing(
    calling: RunningWorker, openai: OpenAIServer, work: Work
) -> None:
    horse = calling.horse()
    os.kill(calling.process.pid, signal.SIGKILL)
    os.kill(horse, signal.SIGKILL)
    openai.script(latency=0.0)
    eventually(lambda: sweep() and "running" not in statuses())

    work()

    check_invariants()
    assert statuses() == ["unknown", "unknown", "succeeded"]
    assert len(openai.requests) == 3
    sent = db.session.scalars(select(Attempt.id).where(Attempt.sent_at.is_not(None))).all()
    assert len(sent) == len(openai.requests)


def test_told_to_stop_a_worker_finishes_short_calls_and_begins_no_more(
    calling: RunningWorker, openai: OpenAIServer
) -> None:
    horse = calling.horse()

    calling.process.terminate()

    assert calling.wait() == 0
    assert not alive(horse)
    check_invariants()
    assert statuses() == ["succeeded", "succeeded", "waiting"]
    assert len(openai.requests) == 2
    assert spent() == openai.bill > 0


def test_told_to_stop_in_a_long_call_a_worker_says_so_and_goes_within_seconds(
    worker: RunningWorker, ann: Member, openai: OpenAIServer
) -> None:
    openai.script(latency=60.0)
    submit(ann, provider="openai", quality="low", n=3)
    eventually(lambda: len(openai.requests) == 2)
    horse = worker.horse()

    worker.process.terminate()

    assert worker.wait() == 0
    assert not alive(horse)
    check_invariants()
    assert statuses() == ["unknown", "unknown", "waiting"]
    told = db.session.scalars(select(Shot.error_message).where(Shot.status == "unknown")).all()
    assert told == [attempts.STOPPED] * 2
    assert len(openai.requests) == 2
