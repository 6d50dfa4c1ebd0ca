"""Jobs by program: the list, one job, and its events as they happen."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from imagegen.core.errors import ErrorKind
from imagegen.extensions import db
from imagegen.models import Job, Shot, system_scope, unit_of_work
from imagegen.models.states import JobStatus, ShotStatus
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.local.provider import LocalProvider
from tests.api.conftest import Api

Work = Callable[[], None]

JOB = {
    "id": None,
    "kind": None,
    "status": None,
    "paused": None,
    "progress": {"done", "total", "percent"},
    "shots": {"id", "index", "status", "provider", "model", "image_id", "error", "reused"},
    "images": {"id", "url", "thumbnail_url", "width", "height", "mime_type"},
    "cost": {"estimated", "actual", "currency"},
    "error": None,
    "created_at": None,
    "started_at": None,
    "finished_at": None,
}


def test_a_job_reads_as_documented(api: Api, work: Work) -> None:
    accepted = api.make()
    work()

    job = api.get(f"jobs/{accepted['id']}").get_json()

    assert list(job) == list(JOB)
    assert set(job["progress"]) == JOB["progress"]
    assert set(job["shots"][0]) == JOB["shots"]
    assert set(job["images"][0]) == JOB["images"]
    assert set(job["cost"]) == JOB["cost"]


def test_jobs_are_listed_newest_first_in_pages(api: Api) -> None:
    made = [api.make()["id"] for _ in range(3)]

    first = api.get("jobs?limit=2&count=1").get_json()
    second = api.get(f"jobs?limit=2&cursor={first['next_cursor']}").get_json()

    assert [job["id"] for job in first["items"] + second["items"]] == made[::-1]
    assert (first["total"], second["next_cursor"]) == (3, None)


def test_jobs_are_listed_by_state(api: Api, work: Work) -> None:
    done = api.make()["id"]
    work()
    waiting = api.make()["id"]

    for status, wanted in (("succeeded", [done]), ("queued", [waiting]), ("failed", [])):
        page = api.get(f"jobs?status={status}&count=1").get_json()
        assert [job["id"] for job in page["items"]] == wanted
        assert page["total"] == len(wanted)


def test_an_unknown_value_is_refused(api: Api) -> None:
    for query in ("status=done", "status=", "limit=0", "cursor=x", "count=yes", "organisation=2"):
        assert api.get(f"jobs?{query}").status_code == 422, query


def test_a_list_costs_the_same_queries_however_long_it_is(api: Api, count_queries: Callable[..., int]) -> None:
    for _ in range(4):
        api.make(n=2)

    one, four = (count_queries(lambda limit=limit: api.get(f"jobs?limit={limit}")) for limit in (1, 4))

    assert one == four


def test_a_failed_shot_says_why_and_so_does_its_job(api: Api, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ProviderError("The provider refused these words.", kind=ErrorKind.REFUSED, outcome=Outcome.REJECTED)

    monkeypatch.setattr(LocalProvider, "_generate", refuse)
    accepted = api.make()
    work()

    job = api.get(f"jobs/{accepted['id']}").get_json()

    error = {"kind": "refused", "message": "The provider refused these words."}
    assert (job["status"], job["error"]) == ("failed", error)
    assert (job["shots"][0]["status"], job["shots"][0]["error"]) == ("refused", error)
    assert job["progress"] == {"done": 1, "total": 1, "percent": 100}


def test_a_cost_that_nobody_knows_is_null_and_not_zero(api: Api, work: Work) -> None:
    accepted = api.make()
    work()
    with system_scope(), unit_of_work() as uow:
        uow.query(Job).update({Job.estimated_micro: None})
        uow.query(Shot).update({Shot.actual_micro: None})
    db.session.rollback()

    cost = api.get(f"jobs/{accepted['id']}").get_json()["cost"]

    assert cost == {"estimated": None, "actual": None, "currency": "USD"}


def test_money_has_six_places(api: Api, work: Work) -> None:
    accepted = api.make()
    work()
    with system_scope(), unit_of_work() as uow:
        uow.query(Job).update({Job.estimated_micro: 1_234_567, Job.actual_micro: 42})
    db.session.rollback()

    cost = api.get(f"jobs/{accepted['id']}").get_json()["cost"]

    assert cost == {"estimated": "1.234567", "actual": "0.000042", "currency": "USD"}


def test_another_organisations_job_is_not_there(api: Api, other: Api) -> None:
    theirs = api.make()["id"]

    assert api.get("jobs?count=1").get_json()["total"] == 1
    assert other.get("jobs?count=1").get_json() == {"items": [], "next_cursor": None, "total": 0}
    for path in ("jobs/{}", "jobs/{}/events", "images/generate/status/{}"):
        answer = other.get(path.format(theirs))
        assert answer.status_code == 404
        assert answer.get_json() == other.get(path.format("0198f2a4-5b6c-7d8e-9f01-23456789abcd")).get_json()


def test_events_of_a_finished_job_are_told_from_the_first_and_the_stream_ends(api: Api, work: Work) -> None:
    accepted = api.make(n=2)
    work()

    response = api.get(f"jobs/{accepted['id']}/events")

    told = _told(response)
    assert response.mimetype == "text/event-stream"
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
    assert set(told[0]) == {"seq", "type", "job_id", "shot_id", "status", "created_at"}
    assert (told[0]["type"], told[0]["shot_id"], told[0]["status"]) == ("job.queued", None, "queued")
    assert (told[-1]["type"], told[-1]["status"]) == ("job.succeeded", "succeeded")
    assert {event["job_id"] for event in told} == {accepted["id"]}
    shots = {shot["id"] for shot in accepted["shots"]}
    assert {event["shot_id"] for event in told if event["type"] == "shot.succeeded"} == shots
    assert response.text.rstrip().endswith("event: bye\ndata: finished")


def test_each_event_carries_its_number_as_id(api: Api, work: Work) -> None:
    accepted = api.make()
    work()

    response = api.get(f"jobs/{accepted['id']}/events")

    assert _ids(response) == [event["seq"] for event in _told(response)]


@pytest.mark.parametrize("way", ["after", "Last-Event-ID"])
def test_a_stream_goes_on_after_the_last_event_seen(api: Api, work: Work, way: str) -> None:
    accepted = api.make()
    work()
    address = f"jobs/{accepted['id']}/events"
    everything = _told(api.get(address))

    rest = api.get(f"{address}?after=2") if way == "after" else api.get(address, headers={way: "2"})

    assert _told(rest) == everything[2:]


def test_the_browsers_word_goes_before_the_address(api: Api, work: Work) -> None:
    accepted = api.make()
    work()

    rest = api.get(f"jobs/{accepted['id']}/events?after=0", headers={"Last-Event-ID": "3"})

    assert _told(rest)[0]["seq"] == 4


def test_who_has_seen_the_last_event_is_told_that_it_was(api: Api, work: Work) -> None:
    accepted = api.make()
    work()
    last = _told(api.get(f"jobs/{accepted['id']}/events"))[-1]["seq"]

    rest = api.get(f"jobs/{accepted['id']}/events?after={last}")

    assert _told(rest) == []
    assert "event: bye" in rest.text


def test_events_arrive_as_they_happen(api: Api, work: Work) -> None:
    accepted = api.make()

    response = api.client.get(f"/api/v1/jobs/{accepted['id']}/events", headers=api.headers)
    work()

    told = _told(response)
    assert [event["type"] for event in told if event["shot_id"] is None] == [
        "job.queued",
        "job.running",
        "job.succeeded",
    ]
    assert [event["seq"] for event in told] == list(range(1, len(told) + 1))


def test_a_stream_begins_at_a_number(api: Api) -> None:
    address = f"jobs/{api.make()['id']}/events"

    for where in ("after=-1", "after=x", "after=1&after=2", "from=1", "after=" + "9" * 30):
        assert api.get(f"{address}?{where}").status_code == 422, where
    for last in ("x", "-1", "9" * 30):
        assert api.get(address, headers={"Last-Event-ID": last}).status_code == 422, last


def test_states_are_those_of_the_table(api: Api) -> None:
    document = api.client.get("/api/v1/openapi.json").get_json()

    assert document["components"]["schemas"]["JobStatus"]["enum"] == list(JobStatus)
    assert document["components"]["schemas"]["ShotStatus"]["enum"] == list(ShotStatus)


def _told(response: TestResponse) -> list[dict[str, Any]]:
    """Return what the stream told, up to its end."""
    lines = response.text.splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


def _ids(response: TestResponse) -> list[int]:
    return [int(line.removeprefix("id: ")) for line in response.text.splitlines() if line.startswith("id: ")]
