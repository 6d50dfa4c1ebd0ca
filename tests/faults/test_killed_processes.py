"""F9 to F12: tasks, workers and whole studios are killed, frozen, out of time, and told to stop."""

from __future__ import annotations

import signal
import subprocess

import pytest
from sqlalchemy import select

from imagegen.engine import attempts
from imagegen.extensions import db
from imagegen.models import Shot, system_scope
from tests.fakes.openai_server import OpenAIServer
from tests.faults.conftest import PAID, Ask
from tests.faults.outcome import expect_settled, expect_sound, statuses
from tests.faults.processes import Fault, Processes, alive, freezing, kill, task
from tests.models.rows import Member, submit
from tests.running_studio import Studio
from tests.waiting import eventually

MOST_SECONDS_TO_STOP = 8.0


@pytest.fixture
def calling(processes: Processes, ann: Member, openai: OpenAIServer) -> subprocess.Popen[bytes]:
    """A worker in the middle of two calls of a job of three; its third slot is kept for other jobs."""
    openai.script(latency=1.5)
    worker = processes.worker()
    submit(ann, **PAID, n=3)
    eventually(lambda: len(openai.requests) == 2)
    eventually(lambda: statuses() == ["running", "running", "waiting"])
    return worker


def test_a_worker_draws_and_ends_when_it_is_told_to(processes: Processes, ann: Member, openai: OpenAIServer) -> None:
    worker = processes.worker()
    submit(ann, **PAID, n=2)
    expect_settled("succeeded", "succeeded")

    worker.terminate()

    assert worker.wait(MOST_SECONDS_TO_STOP) == 0
    expect_sound(openai)


def test_f09_a_task_killed_in_the_middle_of_calls_is_not_run_again_and_its_worker_does_the_rest(
    processes: Processes, calling: subprocess.Popen[bytes], openai: OpenAIServer
) -> None:
    kill(task())
    openai.script(latency=0.0)
    processes.scheduler()

    expect_settled("unknown", "unknown", "succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 3
    assert calling.poll() is None


def test_f10_a_worker_killed_alone_leaves_its_task_to_finish_what_it_began(
    processes: Processes, calling: subprocess.Popen[bytes], openai: OpenAIServer
) -> None:
    orphan = task()
    kill(calling.pid)
    processes.scheduler()
    eventually(lambda: not alive(orphan))

    assert statuses() == ["succeeded", "succeeded", "waiting"]
    expect_sound(openai)
    assert len(openai.requests) == 2
    processes.worker()
    expect_settled("succeeded", "succeeded", "succeeded")
    expect_sound(openai)


def test_f10_a_worker_frozen_beyond_its_lease_brings_its_answer_late_and_it_is_paid_for_once(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    openai.script({"kind": "none", "hold": True})
    frozen = processes.worker()
    processes.scheduler()
    submit(ann, **PAID)
    eventually(lambda: openai.requests)
    with freezing(frozen.pid, task()):
        processes.worker()
        expect_settled("unknown")
        openai.release()

    expect_settled("succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 1


def test_f10_who_was_frozen_with_a_claim_sends_nothing_once_the_claim_is_somebody_elses(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    first = processes.worker(Fault("K2 claimed, not sent", does="wait"))
    processes.scheduler()
    submit(ann, **PAID)
    with freezing(processes.wait_for_the_fault()):
        processes.worker()
        expect_settled("succeeded")
        processes.mark.unlink()

    first.terminate()

    assert first.wait(MOST_SECONDS_TO_STOP) == 0
    assert statuses() == ["succeeded"]
    expect_sound(openai)
    assert len(openai.requests) == 1


class TestOutOfTime:
    """A provider may take a second, and takes for ever."""

    @pytest.fixture
    def settings_values(self, settings_values: dict[str, object]) -> dict[str, object]:
        return settings_values | {"provider_timeout_seconds": 1}

    def test_f11_a_call_that_takes_too_long_ends_as_unknown_and_is_not_made_again(
        self, processes: Processes, ann: Member, openai: OpenAIServer
    ) -> None:
        openai.script("hang")
        processes.worker()
        processes.scheduler()
        submit(ann, **PAID, n=2)

        expect_settled("unknown", "succeeded")
        expect_sound(openai)
        assert len(openai.requests) == 2


def test_f12_told_to_stop_a_worker_finishes_short_calls_and_begins_no_more(
    processes: Processes, calling: subprocess.Popen[bytes], openai: OpenAIServer
) -> None:
    running = task()

    calling.terminate()

    assert calling.wait(MOST_SECONDS_TO_STOP) == 0
    assert not alive(running)
    assert statuses() == ["succeeded", "succeeded", "waiting"]
    expect_sound(openai)
    assert len(openai.requests) == 2


def test_f12_told_to_stop_in_long_calls_a_worker_says_so_and_goes_within_seconds(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    openai.script(latency=60.0)
    worker = processes.worker()
    submit(ann, **PAID, n=3)
    eventually(lambda: len(openai.requests) == 2)
    running = task()

    worker.terminate()

    assert worker.wait(MOST_SECONDS_TO_STOP) == 0
    assert not alive(running)
    assert statuses() == ["unknown", "unknown", "waiting"]
    expect_sound(openai)
    with system_scope():
        told = db.session.scalars(select(Shot.error_message).where(Shot.status == "unknown")).all()
    assert told == [attempts.STOPPED] * 2


def test_f12_told_to_stop_again_and_again_a_worker_loses_nothing_either(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    openai.script(latency=60.0)
    worker = processes.worker()
    submit(ann, **PAID, n=3)
    eventually(lambda: len(openai.requests) == 2)

    def told_again() -> bool:
        worker.terminate()
        return worker.poll() is not None

    eventually(told_again, within=MOST_SECONDS_TO_STOP)
    openai.script(latency=0.0)
    processes.worker()
    processes.scheduler()

    expect_settled("unknown", "unknown", "succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 3


def test_f12_a_studio_that_is_replaced_in_the_middle_of_work_goes_on_where_it_was(
    studio: Studio, ask: Ask, openai: OpenAIServer
) -> None:
    openai.script(latency=1.0)
    studio.start()
    assert ask(studio.url, n=4).status_code == 202
    eventually(lambda: len(openai.requests) == 2)

    assert studio.stop(signal.SIGTERM) == 0
    assert statuses() == ["succeeded", "succeeded", "waiting", "waiting"]
    studio.start()

    expect_settled(*["succeeded"] * 4)
    expect_sound(openai)
    assert len(openai.requests) == 4
