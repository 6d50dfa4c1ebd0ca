"""F1 to F8: a process is killed at one point of a picture's way, and somebody else finds what it left."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest
import requests
from sqlalchemy import func, select

from imagegen.engine import attempts
from imagegen.extensions import db
from imagegen.models import Attempt, Image, Job, system_scope
from imagegen.models.states import AttemptStatus
from tests.conftest import Person
from tests.fakes.openai_server import OpenAIServer
from tests.faults.conftest import PAID, Ask
from tests.faults.outcome import expect_settled, expect_sound
from tests.faults.processes import Fault, Processes, kill, task
from tests.models.rows import Member, submit
from tests.waiting import eventually

HELD = {"kind": "none", "hold": True}


def test_f01_killed_between_the_commit_and_the_wake_up_a_job_runs_and_asking_again_makes_no_second(
    processes: Processes, ask: Ask, openai: OpenAIServer
) -> None:
    processes.worker()
    processes.scheduler()
    url = processes.web(Fault("K0 committed, not queued"))

    with pytest.raises(requests.ConnectionError):
        ask(url, key="order-1", n=2)
    processes.wait_for_the_fault()
    answer = ask(url, key="order-1", n=2)

    assert answer.status_code == 202
    expect_settled("succeeded", "succeeded")
    with system_scope():
        assert db.session.scalars(select(Job.public_id)).one() == answer.json()["id"]
    expect_sound(openai)
    assert len(openai.requests) == 2


def test_f02_killed_after_it_was_woken_and_before_it_claimed_a_task_is_followed_by_another(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    processes.worker(Fault("K1 dequeued, not claimed"))
    processes.scheduler()
    submit(ann, **PAID, n=2)
    processes.wait_for_the_fault()

    expect_settled("succeeded", "succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 2


def test_f02_a_worker_told_to_stop_as_soon_as_it_was_woken_loses_nothing(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    submit(ann, **PAID, n=2)
    first = processes.worker()
    eventually(lambda: psutil.Process(first.pid).children())
    first.terminate()
    assert first.wait(20) in (0, -15)

    processes.worker()
    processes.scheduler()

    expect_settled("succeeded", "succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 2


def test_f03_killed_with_a_claim_and_before_the_call_a_task_leaves_a_picture_that_is_drawn_once(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    processes.worker(Fault("K2 claimed, not sent"))
    processes.scheduler()
    submit(ann, **PAID)
    processes.wait_for_the_fault()

    expect_settled("succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 1


def test_f03_killed_between_the_mark_and_the_calls_all_that_were_marked_together_are_unknown_and_none_is_made(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    processes.worker(Fault("K3 sent, not called", together=2))
    processes.scheduler()
    submit(ann, **PAID, n=3)
    processes.wait_for_the_fault()

    expect_settled("unknown", "unknown", "succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 1
    with system_scope():
        lost = db.session.scalars(select(Attempt).where(Attempt.status == AttemptStatus.UNKNOWN)).all()
        assert [call.error_message for call in lost] == [attempts.LOST] * 2


def test_f04_killed_in_the_middle_of_a_call_nothing_is_sent_again_and_the_money_stays_aside(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    openai.script(HELD, HELD)
    worker = processes.worker()
    submit(ann, **PAID, n=3)
    eventually(lambda: len(openai.requests) == 2)

    kill(worker.pid, task())
    openai.release()
    processes.worker()
    processes.scheduler()

    expect_settled("unknown", "unknown", "succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 3


def test_f05_killed_while_it_fetches_what_the_provider_has_made_it_is_fetched_by_another_and_not_asked_for_again(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    openai.script_downloads("hang")
    worker = processes.worker()
    processes.scheduler()
    submit(ann, **PAID)
    eventually(lambda: openai.fetched)

    kill(worker.pid, task())
    processes.worker()

    expect_settled("succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 1
    assert len(openai.fetched) == 2


@pytest.mark.parametrize("point", ["K5 temporary file written", "K6 files kept, no row"])
def test_f06_f07_killed_while_a_picture_is_put_away_it_is_not_bought_again_and_stands_once(
    processes: Processes, ann: Member, openai: OpenAIServer, point: str
) -> None:
    processes.worker(Fault(point))
    processes.scheduler()
    submit(ann, **PAID)
    processes.wait_for_the_fault()

    expect_settled("succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 1
    with system_scope():
        assert db.session.scalar(select(func.count(Image.id))) == 1


def test_f08_killed_between_the_commit_and_the_announcement_a_stream_that_comes_back_misses_nothing(
    processes: Processes, ask: Ask, person: Person, openai: OpenAIServer
) -> None:
    # The first commit that is announced is the claim, the second the picture.
    processes.worker(Fault("K7 committed, not announced", after=1))
    url = processes.web()
    openai.script(HELD)
    job = ask(url).json()
    stream = f"{url}/api/v1/jobs/{job['id']}/events"
    heard = events(stream, person, until="shot.running")

    openai.release()
    processes.wait_for_the_fault()
    expect_settled("succeeded")
    heard += events(stream, person, until="job.succeeded", last=heard[-1]["seq"])

    assert [event["seq"] for event in heard] == list(range(1, len(heard) + 1))
    assert [event["type"] for event in heard].count("shot.succeeded") == 1
    expect_sound(openai)


def events(url: str, person: Person, *, until: str, last: int = 0) -> list[dict[str, Any]]:
    """Return what a stream tells after event `last` up to the first of type `until`."""
    heard = []
    headers = person.bearer("read") | {"Last-Event-ID": str(last)}
    with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
        for line in answer.iter_lines():
            if line.startswith(b"data: {"):
                heard.append(json.loads(line.removeprefix(b"data: ")))
                if heard[-1]["type"] == until:
                    return heard
    raise AssertionError(f"the stream ended without {until}: {heard}")
