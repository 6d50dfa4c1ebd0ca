"""How often a person may ask: said before it is too often, refused clearly after, and counted by all processes."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from redis import Redis

from imagegen.app import create_app
from imagegen.extensions import runtime
from imagegen.services import pace
from imagegen.settings import Settings, SettingsError
from tests.conftest import MakePerson, Person

JOB = {"prompt": "violet waves", "provider": "local"}


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {
        "generate_rate_limit": "2/minute",
        "openai_api_key": SecretStr("sk-never-called"),
        "openai_base_url": "http://127.0.0.1:9/v1",
    }


@pytest.fixture
def redis_is_gone(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Redis.from_url("unix:///nowhere/at/all.sock")
    monkeypatch.setattr(runtime.redis, "connection_pool", gone.connection_pool)


def ask(person: Person, headers: dict[str, str], **more: object):
    return person.client.post("/api/v1/images/generate", json=JOB | more, headers=headers)


def test_the_default_is_five_jobs_a_minute_as_long_as_nobody_says_otherwise(tmp_path) -> None:
    assert Settings(studio_data_dir=tmp_path).generate_rate_limit == "5/minute"


@pytest.mark.parametrize("text", ["five", "5/fortnight", "0x1/minute"])
def test_a_limit_that_nobody_understands_is_refused(text: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GENERATE_RATE_LIMIT", text)
    with pytest.raises(SettingsError, match="GENERATE_RATE_LIMIT must be a number of jobs and a time"):
        Settings.load(env_file=None)


def test_what_is_too_often_gets_429_with_when_it_goes_on_and_how_one_stands(ann: Person) -> None:
    headers = ann.bearer()
    answers = [ask(ann, headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    refused = answers[-1]
    assert refused.headers["X-RateLimit-Limit"] == "2"
    assert 0 < int(refused.headers["Retry-After"]) <= 61
    assert 0 < int(refused.headers["X-RateLimit-Reset"]) <= 61
    problem = refused.get_json()
    assert problem["kind"] == "rate_limited"
    assert problem["detail"].startswith("You may ask for 2 jobs a minute. It goes on in ")


def test_the_page_says_it_too(ann: Person) -> None:
    form = {"prompt": "violet waves", "model": "local:local-studio"}
    statuses = [ann.post("/generate", partial=True, **form) for _ in range(3)]

    assert [answer.status_code for answer in statuses] == [200, 200, 429]
    assert "You may ask for 2 jobs a minute." in statuses[-1].text
    assert 0 < int(statuses[-1].headers["Retry-After"]) <= 61


def test_one_person_s_haste_is_not_another_s(ann: Person, make_person: MakePerson) -> None:
    headers = ann.bearer()
    for _ in range(3):
        ask(ann, headers)
    bob = make_person("bob@two.example", "Two")

    assert ask(bob, bob.bearer()).status_code == 202


def test_two_processes_count_together(ann: Person, settings: Settings) -> None:
    headers = ann.bearer()
    ask(ann, headers)
    other = create_app(settings)
    with other.app_context():
        pace.count_job(user_id=ann.user.id, free=True)

    assert ask(ann, headers).status_code == 429


def test_the_same_request_again_is_not_counted(ann: Person) -> None:
    headers = ann.bearer() | {"Idempotency-Key": "once"}
    answers = [ask(ann, headers) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [202] * 4
    assert {answer.get_json()["id"] for answer in answers} == {answers[0].get_json()["id"]}


def test_what_cannot_be_done_is_not_counted(ann: Person) -> None:
    headers = ann.bearer()
    for _ in range(4):
        assert ask(ann, headers, n=11).status_code == 422

    assert ask(ann, headers).status_code == 202


@pytest.mark.usefixtures("redis_is_gone")
def test_without_redis_what_is_free_goes_on_and_what_costs_does_not(ann: Person) -> None:
    headers = ann.bearer()

    assert ask(ann, headers).status_code == 202
    paid = ask(ann, headers, provider="openai")
    assert paid.status_code == 503
    assert "begins none that cost money" in paid.get_json()["detail"]
