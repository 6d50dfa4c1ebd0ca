"""What a studio does about trouble, haste and cost: each seen by a person on a page and by a program in the API."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import func, select, update

from imagegen.core.clock import now
from imagegen.engine import limits
from imagegen.extensions import db
from imagegen.models import Attempt, Job, Outbox, ProviderKey, ProviderState, Shot, system_scope, unit_of_work
from imagegen.models.columns import db_now
from imagegen.services.cleaning import reports
from imagegen.settings import Settings
from tests.acceptance.conftest import INSTALLATIONS_KEY, Work
from tests.api.conftest import Api, MakeApi
from tests.conftest import MakePerson, Person
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.faults.processes import Processes

PROVIDERS = "/admin/providers"
PAID = {"provider": "openai", "model": "gpt-image-2", "quality": "low"}
FORM = {"prompt": "violet waves at dusk", "model": "openai:gpt-image-2", "quality": "low", "variants": "1"}
OWN_KEY = "sk-canary-of-one-7d1e0a94b2c8f365"
LOCAL = {"provider": "local", "model": "local-studio"}


def shown(person: Person, path: str) -> str:
    """Return the words of a page."""
    answer = person.client.get(path)
    assert answer.status_code == 200, answer.text
    return words(answer.text)


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def ended(api: Api, work: Work, job: dict[str, Any]) -> dict[str, Any]:
    """Let the workers do all there is to do, and return the job as the API tells it then."""
    work()
    with system_scope():
        check_invariants()
    return api.get(f"jobs/{job['id']}").get_json()


def openai_of(api: Api) -> dict[str, Any]:
    return next(each for each in api.get("providers").get_json()["items"] if each["id"] == "openai")


def generations(openai: OpenAIServer) -> list[Any]:
    return [seen for seen in openai.requests if seen.method == "POST"]


# Fallback


def test_another_model_serves_what_the_first_cannot_and_both_say_so(
    ann: Person, api: Api, openai: OpenAIServer, work: Work
) -> None:
    assert ann.post(f"{PROVIDERS}/stand-ins", model="local:local-studio").status_code == 303
    assert [(each["provider"], each["model"]) for each in api.get("providers/stand-ins").json["items"]] == [
        ("local", "local-studio")
    ]
    openai.script("401")

    job = ended(api, work, api.make(**PAID))

    [shot] = job["shots"]
    assert (job["status"], shot["status"], shot["provider"], shot["model"]) == (
        "succeeded",
        "succeeded",
        *LOCAL.values(),
    )
    assert job["cost"]["actual"] == "0.000000"
    story = shown(ann, f"/jobs/{job['id']}")
    assert "stands in, because" in story and "OpenAI did not accept the key." in story
    assert len(generations(openai)) == 1


# The breaker


@pytest.fixture
def broken(
    ann: Person, api: Api, openai: OpenAIServer, work: Work, quick_retries: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI has failed so often in a row that it is left alone for some minutes."""
    monkeypatch.setattr(limits, "FIRST_OPEN_SECONDS", 300.0)
    openai.script(*["503"] * 50)  # more than will be asked for: one answer would close it
    api.make(**PAID, n=limits.FAILURES_TO_OPEN)
    api.send("PUT", "providers/stand-ins", json={"items": [LOCAL]})
    work()
    api.send("PUT", "providers/stand-ins", json={"items": []})
    openai.reset()


@pytest.mark.usefixtures("broken")
def test_an_open_breaker_is_told_with_since_when_and_until_when(ann: Person, api: Api) -> None:
    told = openai_of(api)
    assert told["status"] == "broken" and told["last_error"]["kind"] == "unavailable"
    assert told["broken_since"] < told["held_until"]
    for page in (PROVIDERS, "/generate"):
        assert re.search(r"Not answering since .*, tried again at", shown(ann, page)), page


@pytest.mark.usefixtures("broken")
def test_behind_an_open_breaker_a_picture_moves_on_at_once_where_a_model_stands_in(
    ann: Person, api: Api, openai: OpenAIServer, work: Work
) -> None:
    assert api.send("PUT", "providers/stand-ins", json={"items": [LOCAL]}).status_code == 200

    job = ended(api, work, api.make(**PAID))

    assert (job["status"], job["shots"][0]["provider"]) == ("succeeded", "local")
    assert "has not been answering for a while" in shown(ann, f"/jobs/{job['id']}")
    assert generations(openai) == []


@pytest.mark.usefixtures("broken")
def test_behind_an_open_breaker_a_picture_waits_and_then_fails_with_a_sentence(
    ann: Person, api: Api, openai: OpenAIServer, work: Work
) -> None:
    job = api.make(**PAID)
    assert api.get(f"jobs/{job['id']}").json["shots"][0]["status"] == "waiting"
    assert "Waits" in shown(ann, f"/jobs/{job['id']}")
    with system_scope(), unit_of_work() as uow:
        long_ago = db_now(-limits.patience() - 1)
        uow.execute(update(ProviderState).values(broken_since=long_ago))
        uow.execute(update(Shot).where(Shot.status == "waiting").values(created_at=long_ago))

    job = ended(api, work, job)

    sentence = "The provider has not been answering for a while. Try again in a few minutes."
    assert (job["status"], job["error"]) == ("failed", {"kind": "unavailable", "message": sentence})
    assert sentence in shown(ann, f"/jobs/{job['id']}")
    assert generations(openai) == []


# Retry-After


@pytest.mark.parametrize("written", ["seconds", "date"])
def test_a_provider_that_asks_for_a_pause_gets_it(api: Api, openai: OpenAIServer, work: Work, written: str) -> None:
    until = now() + timedelta(seconds=3)
    openai.script(
        {"kind": "429", "retry_after": "1" if written == "seconds" else format_datetime(until, usegmt=True)}
    )

    job = ended(api, work, api.make(**PAID))

    assert job["status"] == "succeeded"
    first, second = generations(openai)
    if written == "seconds":
        assert second.arrived_at - first.answered_at >= 1
    else:
        came = now() - timedelta(seconds=time.monotonic() - second.arrived_at)
        assert came >= until.replace(microsecond=0)


def test_a_pause_is_told_with_its_end(ann: Person, api: Api, openai: OpenAIServer, work: Work) -> None:
    openai.script({"kind": "429", "retry_after": "500"})

    job = ended(api, work, api.make(**PAID))

    told = openai_of(api)
    seconds = (datetime.fromisoformat(told["held_until"]) - now()).total_seconds()
    assert told["status"] == "paused" and 480 < seconds <= 500
    for page in (PROVIDERS, "/generate"):
        assert "Asked for a pause until" in shown(ann, page)
    assert job["error"]["kind"] == "rate_limited"
    assert job["error"]["message"] in shown(ann, f"/jobs/{job['id']}")


# Keys


def test_a_key_is_entered_tested_sealed_and_called_with(
    ann: Person, api: Api, openai: OpenAIServer, work: Work, data_folder: Path
) -> None:
    assert ann.post(f"{PROVIDERS}/openai/key", key=OWN_KEY).status_code == 303
    assert openai_of(api)["own_key"] is True
    assert api.post("providers/openai/test").get_json() == {"ok": True, "message": None}
    page = shown(ann, PROVIDERS)
    assert "Tested just now: it works." in page and "…f365" in page

    job = ended(api, work, api.make(**PAID))

    assert job["status"] == "succeeded"
    assert {seen.headers["authorization"] for seen in openai.requests} == {f"Bearer {OWN_KEY}"}
    with system_scope():
        sealed = db.session.execute(select(ProviderKey.sealed, ProviderKey.digest, ProviderKey.hint)).one()
    assert OWN_KEY not in str(sealed)
    assert not [file for file in data_folder.rglob("*") if file.is_file() and OWN_KEY.encode() in file.read_bytes()]


def test_trouble_under_one_key_holds_up_nobody_with_another(
    ann: Person, api: Api, openai: OpenAIServer, work: Work, make_person: MakePerson, make_api: MakeApi
) -> None:
    bob = make_person("bob@two.example", "Two")
    bobs = make_api(bob)
    assert api.send("PUT", "providers/openai/key", json={"key": OWN_KEY}).status_code == 204
    openai.script({"kind": "429", "retry_after": "500"})
    ended(api, work, api.make(**PAID))

    job = ended(bobs, work, bobs.make(**PAID))

    assert job["status"] == "succeeded"
    assert [seen.headers["authorization"] for seen in generations(openai)] == [
        f"Bearer {OWN_KEY}",
        f"Bearer {INSTALLATIONS_KEY}",
    ]
    assert (openai_of(api)["status"], openai_of(bobs)["status"]) == ("paused", "well")
    assert "Asked for a pause until" in shown(ann, "/generate")
    assert "Asked for a pause until" not in shown(bob, "/generate")


# Allowance, budget, pace


def test_an_allowance_that_is_used_up_says_when_it_goes_on(ann: Person, api: Api) -> None:
    assert api.send("PUT", "budgets/allowance", json={"pictures": 1}).status_code == 200
    assert 'value="1"' in ann.client.get("/admin/budgets").text
    api.make()

    by_program = api.post("images/generate", {"prompt": "one more", "provider": "local"})
    by_person = ann.post("/generate", partial=True, **FORM | {"model": "local:local-studio"})

    sentence = r"You have 0 of your 1 pictures left this month\. It goes on on \d{4}-\d\d-01 at 00:00"
    assert (by_program.status_code, by_person.status_code) == (429, 429)
    assert re.search(sentence, by_program.get_json()["detail"]) and re.search(sentence, words(by_person.text))
    assert 0 < int(by_program.headers["Retry-After"]) <= 31 * 24 * 3600


def test_a_budget_that_is_used_up_says_when_it_begins_anew(ann: Person, api: Api) -> None:
    budget = api.send("PUT", "budgets", json={"per": "day", "cap": "0.000001"}).get_json()
    assert "Everybody together" in shown(ann, "/admin/budgets")

    by_program = api.post("images/generate", {"prompt": "one more"} | PAID)
    by_person = ann.post("/generate", partial=True, **FORM)

    sentence = r"The organisation's budget for today has \$0\.00 left, .* It begins anew on \d{4}-\d\d-\d\d at 00:00"
    assert (by_program.status_code, by_person.status_code) == (402, 402)
    assert re.search(sentence, by_program.get_json()["detail"])
    assert re.search(sentence.replace("'", "(?:'|&#39;)"), words(by_person.text))
    seconds = (datetime.fromisoformat(budget["ends_at"]) - now()).total_seconds()
    assert abs(int(by_program.headers["Retry-After"]) - seconds) < 60


class TestPace:
    """Five jobs a minute for each person, whichever process hears of them."""

    @pytest.fixture
    def settings_values(self, settings_values: dict[str, object]) -> dict[str, object]:
        return settings_values | {"generate_rate_limit": "5/minute"}

    def test_two_processes_count_together(self, ann: Person, settings: Settings, tmp_path: Path) -> None:
        headers = ann.bearer()
        body = {"prompt": "violet waves", "provider": "local"}
        with Processes(settings, tmp_path) as processes:
            urls = [processes.web(), processes.web()]
            ask = partial(requests.post, json=body, headers=headers, timeout=30)
            answers = [ask(f"{urls[number % 2]}/api/v1/images/generate") for number in range(6)]

        assert [answer.status_code for answer in answers] == [202] * 5 + [429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
        assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"5"}
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 61
        by_person = ann.post("/generate", partial=True, **FORM | {"model": "local:local-studio"})
        assert by_person.status_code == 429
        for text in (answers[-1].json()["detail"], words(by_person.text)):
            assert "You may ask for 5 jobs a minute. It goes on in " in text


# What people decide


def test_a_paused_job_begins_nothing_until_it_is_resumed(ann: Person, api: Api, work: Work) -> None:
    job = api.make(n=2)
    assert api.post(f"jobs/{job['id']}/pause").get_json()["paused"] is True
    assert "· Paused" in shown(ann, f"/jobs/{job['id']}")
    assert {shot["status"] for shot in ended(api, work, job)["shots"]} == {"waiting"}

    assert ann.post(f"/jobs/{job['id']}/resume").status_code == 303

    job = ended(api, work, job)
    assert (job["paused"], job["status"]) == (False, "succeeded")
    assert "· Paused" not in shown(ann, f"/jobs/{job['id']}")


@pytest.mark.parametrize("by", ["page", "program"])
def test_a_job_at_the_front_goes_before_those_that_came_earlier(ann: Person, api: Api, work: Work, by: str) -> None:
    first, second = (api.make(n=2) for _ in range(2))
    assert "picture" in place(ann, second) and place(ann, first) == "next in line"

    moved = api.post(f"jobs/{second['id']}/front") if by == "program" else ann.post(f"/jobs/{second['id']}/front")

    assert moved.status_code in (200, 303)
    assert place(ann, second) == "next in line" and "before it" in place(ann, first)
    for job in (second, first):
        ended(api, work, job)
    # Both may begin in the same millisecond: their calls tell which came first.
    called = select(Job.public_id).join(Attempt).group_by(Job.id, Job.public_id).order_by(func.min(Attempt.id))
    with system_scope():
        assert db.session.scalars(called).all() == [second["id"], first["id"]]


def place(person: Person, job: dict[str, Any]) -> str:
    found = re.search(rf'id="job-place-{job["id"]}">(.*?)</span>', person.client.get(f"/jobs/{job['id']}").text, re.S)
    assert found, "the page says nothing of the job's place"
    return found[1].strip()


def test_the_same_request_is_answered_from_the_library_at_no_cost(
    ann: Person, api: Api, openai: OpenAIServer, work: Work
) -> None:
    first = ended(api, work, api.make(**PAID, aspect_ratio="1:1"))
    offer = ann.post("/generate/earlier", partial=True, **FORM, aspect_ratios="1:1")
    assert "You have 1 of these already: use it (free)" in words(offer.text)

    again = ended(api, work, api.make(**PAID, aspect_ratio="1:1", reuse="exact"))

    assert (again["status"], again["cost"]["actual"]) == ("succeeded", "0.000000")
    assert again["shots"][0]["reused"] is True
    assert [image["id"] for image in again["images"]] == [image["id"] for image in first["images"]]
    assert "Answered with an earlier picture of the same request" in shown(ann, f"/jobs/{again['id']}")
    assert len(generations(openai)) == 1


# Cleaning up


def test_cleaning_up_is_looked_at_first_and_then_done(ann: Person, api: Api) -> None:
    old = now() - timedelta(days=365)
    with unit_of_work() as uow:
        uow.add(Outbox(task="work", name="long-sent", sent_at=old, created_at=old))

    assert ann.post("/admin/cleaning", dry_run=1).status_code == 303
    assert reports.clean_next(lambda: False)
    [looked] = api.get("maintenance/clean").get_json()["items"]
    outbox = next(each for each in looked["results"] if each["name"] == "outbox")
    assert (looked["dry_run"], outbox["found"], outbox["removed"]) == (True, 1, 0)
    assert "1 found. Nothing was changed." in shown(ann, "/admin/cleaning")
    assert "long-sent" in outbox_names()

    asked = api.post("maintenance/clean", {"dry_run": False})
    assert reports.clean_next(lambda: False)
    done = api.get(asked.headers["Location"]).get_json()
    outbox = next(each for each in done["results"] if each["name"] == "outbox")
    assert (done["dry_run"], outbox["found"], outbox["removed"]) == (False, 1, 1)
    assert "1 removed." in shown(ann, "/admin/cleaning")
    assert "long-sent" not in outbox_names()


def outbox_names() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Outbox.name)))
