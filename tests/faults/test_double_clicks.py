"""F30 and F31: the same wish many times at once, and a job that is canceled at every step of its way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import requests
from sqlalchemy import func, select

from imagegen.extensions import db
from imagegen.models import Event, Job, system_scope
from tests.conftest import Person
from tests.fakes.openai_server import OpenAIServer
from tests.faults.at_once import at_once
from tests.faults.conftest import Ask
from tests.faults.outcome import expect_settled, expect_sound, statuses
from tests.faults.processes import Fault, Processes
from tests.running_studio import json_of
from tests.waiting import eventually

HELD = {"kind": "none", "hold": True}
PARALLEL = 50


def jobs() -> int:
    """Return how many jobs there are."""
    db.session.rollback()
    with system_scope():
        return db.session.scalar(select(func.count(Job.id))) or 0


def events_of_type(name: str) -> int:
    """Return how often something has happened."""
    db.session.rollback()
    with system_scope():
        return db.session.scalar(select(func.count(Event.id)).where(Event.type == name)) or 0


def test_f30_fifty_times_the_same_request_at_once_is_one_job_and_one_answer(
    processes: Processes, ask: Ask, openai: OpenAIServer
) -> None:
    url = processes.web()

    answers = at_once(*[partial(ask, url, key="order-1", n=2)] * PARALLEL)
    again = ask(url, key="order-1", n=2)

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in [*answers, again]}) == jobs() == 1
    processes.worker()
    processes.scheduler()
    expect_settled("succeeded", "succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 2


def test_f30_of_two_wishes_under_one_key_at_once_one_is_granted_and_the_other_refused(
    processes: Processes, ask: Ask, openai: OpenAIServer
) -> None:
    url = processes.web()
    wishes = ("violet waves", "amber dunes")

    answers = at_once(*[partial(ask, url, key="order-1", prompt=wishes[each % 2]) for each in range(20)])

    accepted = [answer.json() for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert len({job["id"] for job in accepted}) == jobs() == 1
    assert Counter(answer.status_code in (409, 422) for answer in refused) == {True: 10}
    expect_sound(openai)


class TestCancel:
    """One winner, whenever somebody changes their mind; what was billed is kept and shown as billed."""

    @pytest.fixture
    def url(self, processes: Processes) -> str:
        return processes.web()

    @pytest.fixture
    def cancel(self, url: str, person: Person) -> Callable[[str], requests.Response]:
        """Cancel a job by its id."""
        token = person.bearer()
        return lambda job: requests.post(f"{url}/api/v1/jobs/{job}/cancel", headers=token, timeout=60)

    @pytest.fixture
    def read(self, url: str, person: Person) -> Callable[[str], Any]:
        """Read a job by its id."""
        token = person.bearer("read")
        return lambda job: json_of(requests.get(f"{url}/api/v1/jobs/{job}", headers=token, timeout=60))

    def test_f31_before_anybody_began_it_ends_at_once_and_costs_nothing(
        self, url: str, ask: Ask, cancel: Any, read: Any, openai: OpenAIServer
    ) -> None:
        job = ask(url, n=3).json()["id"]

        answers = at_once(*[partial(cancel, job)] * 8)

        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 7}
        assert statuses() == ["canceled"] * 3
        assert read(job)["status"] == "canceled"
        assert events_of_type("job.canceled") == 1
        expect_sound(openai)
        assert openai.requests == []

    def test_f31_between_the_claim_and_the_call_nothing_is_sent(
        self, processes: Processes, url: str, ask: Ask, cancel: Any, read: Any, openai: OpenAIServer
    ) -> None:
        processes.worker(Fault("K2 claimed, not sent", does="wait"))
        job = ask(url).json()["id"]
        processes.wait_for_the_fault()

        assert cancel(job).status_code == 200
        assert statuses() == ["running"]
        processes.mark.unlink()

        expect_settled("canceled")
        expect_sound(openai)
        assert openai.requests == []
        assert read(job)["cost"]["actual"] == "0.000000"

    def test_f31_in_the_middle_of_calls_what_is_paid_for_is_kept_and_shown_and_the_rest_never_begins(
        self, processes: Processes, url: str, ask: Ask, cancel: Any, read: Any, openai: OpenAIServer
    ) -> None:
        openai.script(HELD, HELD)
        processes.worker()
        job = ask(url, n=4).json()["id"]
        eventually(lambda: len(openai.requests) == 2)

        answers = at_once(*[partial(cancel, job)] * 8)

        assert {answer.status_code for answer in answers} == {200}
        assert sorted(statuses()) == ["canceled", "canceled", "running", "running"]
        assert events_of_type("job.canceling") == 1
        openai.release()
        expect_settled("canceled", "canceled", "succeeded", "succeeded")
        expect_sound(openai)
        assert len(openai.requests) == 2
        shown = read(job)
        assert int(float(shown["cost"]["actual"]) * 10**6) == openai.bill > 0
        assert cancel(job).status_code == 409
        assert read(job) == shown

    def test_f31_at_the_moment_of_the_answer_either_way_the_books_are_right(
        self, processes: Processes, url: str, ask: Ask, cancel: Any, read: Any, openai: OpenAIServer
    ) -> None:
        openai.script(*[HELD] * 2)
        processes.worker()
        job = ask(url, n=2).json()["id"]
        eventually(lambda: len(openai.requests) == 2)

        *answers, _ = at_once(*[partial(cancel, job)] * 6, openai.release)

        assert {answer.status_code for answer in answers if answer is not None} <= {200, 409}
        expect_settled("succeeded", "succeeded")
        expect_sound(openai)
        eventually(lambda: read(job)["finished_at"])
        assert cancel(job).status_code == 409
        assert len(openai.requests) == 2
