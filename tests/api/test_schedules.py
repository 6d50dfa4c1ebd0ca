"""Schedules by the API: made, read, changed, deleted, and refused in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from imagegen.engine import due
from imagegen.models import Organisation, Schedule, system_scope, unit_of_work
from tests.api.conftest import Api

REQUEST = {"prompt": "violet waves at dusk", "provider": "local"}
NEXT_YEAR = datetime.now(UTC).year + 1


def make(api: Api, **more: Any) -> dict[str, Any]:
    response = api.post("schedules", {"request": REQUEST, "cron": "0 9 * * *"} | more)
    assert response.status_code == 201, response.text
    assert response.headers["Location"].endswith(response.get_json()["id"])
    return response.get_json()


@pytest.fixture(autouse=True)
def berlin(api: Api) -> None:
    """The organisation is in Berlin."""
    with unit_of_work() as uow:
        uow.execute(update(Organisation).values(time_zone="Europe/Berlin"))


def test_it_is_made_read_and_listed(api: Api) -> None:
    made = make(api, name="Mondays", cron="0 9 * * MON", max_runs=3, missed="skip")

    assert made["name"] == "Mondays" and made["cron"] == "0 9 * * mon" and made["time_zone"] == "Europe/Berlin"
    assert (made["request"]["prompt"], made["runs"], made["missed"], made["paused"]) == (
        "violet waves at dusk",
        0,
        "skip",
        False,
    )
    following = datetime.fromisoformat(made["next_at"])
    assert following > datetime.now(UTC) and following.weekday() == 0 and following.hour in (7, 8)
    assert api.get(f"schedules/{made['id']}").get_json() == made
    other = make(api)
    assert other["name"] == "violet waves at dusk"
    first = api.get("schedules?limit=1").get_json()
    assert [item["id"] for item in first["items"]] == [other["id"]]
    second = api.get(f"schedules?limit=1&cursor={first['next_cursor']}").get_json()
    assert [item["id"] for item in second["items"]] == [made["id"]] and second["next_cursor"] is None


def test_a_time_without_a_zone_is_the_organisations(api: Api) -> None:
    local = make(api, cron=None, at=f"{NEXT_YEAR}-01-15T09:00:00")
    assert datetime.fromisoformat(local["next_at"]) == datetime(NEXT_YEAR, 1, 15, 8, tzinfo=UTC)
    other = make(api, cron=None, at=f"{NEXT_YEAR}-01-15T09:00:00+05:30")
    assert datetime.fromisoformat(other["next_at"]) == datetime(NEXT_YEAR, 1, 15, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"at": "2020-01-01T00:00:00", "cron": None}, "at"),
        ({"at": "9999-12-31T23:59:59Z", "cron": None}, "at"),
        ({"at": "0001-01-01T00:00:00+14:00", "cron": None}, "at"),
        ({"at": "tomorrow", "cron": None}, "at"),
        ({"at": 1893456000, "cron": None}, "at"),
        ({"at": "2027-02-30T00:00:00", "cron": None}, "at"),
        ({"at": f"{NEXT_YEAR}-01-01T00:00:00"}, "at"),
        ({"cron": None}, "at"),
        ({"cron": "*/5 * * * *"}, "cron"),
        ({"cron": "@hourly"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
        ({"ends_at": (datetime.now(UTC) + timedelta(seconds=90)).isoformat(), "cron": "0 0 29 2 *"}, "ends_at"),
        ({"max_runs": 0}, "max_runs"),
        ({"missed": "forget"}, "missed"),
        ({"request": REQUEST | {"provider": "nobody"}}, "provider"),
        ({"request": REQUEST | {"size": "1x1"}}, None),
        ({"request": {"prompt": ""}}, None),
        ({"every": "day"}, "every"),
    ],
)
def test_what_cannot_be_is_refused_in_words(api: Api, asked: dict[str, Any], field: str | None) -> None:
    response = api.post("schedules", {"request": REQUEST, "cron": "0 9 * * *"} | asked)

    assert response.status_code == 422
    problem = response.get_json()
    assert problem["detail"]
    assert field is None or field in str(problem["errors"])
    assert api.get("schedules").get_json()["items"] == []


def test_it_rests_and_goes_on(api: Api) -> None:
    made = make(api)
    paused = api.send("PATCH", f"schedules/{made['id']}", json={"paused": True}).get_json()
    assert paused["paused"] and paused["paused_because"] is None
    with system_scope(), unit_of_work() as uow:
        uow.execute(update(Schedule).values(next_at=datetime.now(UTC) - timedelta(days=3)))
    going_on = api.send("PATCH", f"schedules/{made['id']}", json={"paused": False}).get_json()
    assert not going_on["paused"]
    assert going_on["next_at"] == made["next_at"], "what was missed in between is not made up for"


def test_only_what_is_given_changes(api: Api) -> None:
    made = make(api, max_runs=4)
    named = api.send("PATCH", f"schedules/{made['id']}", json={"name": "Nines", "missed": "skip"}).get_json()
    assert named == made | {"name": "Nines", "missed": "skip"}
    timed = api.send("PATCH", f"schedules/{made['id']}", json={"cron": "0 10 * * *"}).get_json()
    assert (timed["cron"], timed["max_runs"]) == ("0 10 * * *", None)
    asked = api.send("PATCH", f"schedules/{made['id']}", json={"request": REQUEST | {"n": 2}}).get_json()
    assert asked["request"]["n"] == 2 and asked["next_at"] == timed["next_at"]
    refused = api.send("PATCH", f"schedules/{made['id']}", json={"cron": "* * * * *"})
    assert refused.status_code == 422 and api.get(f"schedules/{made['id']}").get_json() == asked


def test_its_runs_lead_to_its_jobs(api: Api) -> None:
    made = make(api)
    with system_scope(), unit_of_work() as uow:
        uow.execute(update(Schedule).values(next_at=datetime.now(UTC) - timedelta(seconds=5)))
    due.begin_due()

    found = api.get(f"schedules/{made['id']}").get_json()
    (run,) = found["recent_runs"]
    assert (run["status"], run["missed"], run["error"], found["runs"]) == ("begun", 0, None, 1)
    assert api.get(f"jobs/{run['job_id']}").get_json()["status"] == "queued"
    assert api.send("DELETE", f"schedules/{made['id']}").status_code == 204
    assert api.get(f"schedules/{made['id']}").status_code == 404
    assert api.get(f"jobs/{run['job_id']}").status_code == 200


def test_another_organisation_finds_nothing(api: Api, other: Api) -> None:
    made = make(api)

    assert other.get("schedules").get_json()["items"] == []
    for method, body in (("GET", None), ("PATCH", {"paused": True}), ("DELETE", None)):
        assert other.send(method, f"schedules/{made['id']}", json=body).status_code == 404
    assert not api.get(f"schedules/{made['id']}").get_json()["paused"]
