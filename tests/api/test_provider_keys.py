"""Keys to providers, their limits and the models that stand in, by program."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from imagegen.services import people
from imagegen.services.audit import COMMAND_LINE
from tests.api.conftest import Api, MakeApi
from tests.conftest import Person
from tests.fakes.openai_server import OpenAIServer

OWN, INSTALLATIONS = "sk-canary-7d1e0a94b2c8f365", "sk-canary-of-the-installation"
LOCAL, SMALL = (
    {"provider": "local", "model": "local-studio"},
    {"provider": "openai", "model": "gpt-image-1-mini"},
)

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """A stand-in for OpenAI that knows one key: the organisation's own."""
    with OpenAIServer(key=OWN) as server:
        yield server


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    return {"openai_base_url": openai.base_url, "openai_api_key": SecretStr(INSTALLATIONS)}


@pytest.fixture
def admin(ann: Person, make_api: MakeApi) -> Api:
    """Ann's program, with a token that may do all that she may."""
    return make_api(ann, "admin")


@pytest.fixture
def operator(ann: Person, admin: Api) -> Api:
    """The same, once she looks after the installation too."""
    people.set_operator(by=COMMAND_LINE, email=ann.user.email, operator=True)
    return admin


def enter(api: Api, key: str = OWN):
    return api.send("PUT", "providers/openai/key", json={"key": key})


def openai_of(api: Api) -> dict:
    return next(each for each in api.get("providers").get_json()["items"] if each["id"] == "openai")


# Keys


def test_a_key_is_kept_tested_and_forgotten(admin: Api, openai: OpenAIServer) -> None:
    assert (enter(admin).status_code, openai_of(admin)["own_key"]) == (204, True)
    assert admin.post("providers/openai/test").get_json() == {"ok": True, "message": None}
    assert openai.requests[-1].headers["authorization"] == f"Bearer {OWN}"
    assert admin.send("DELETE", "providers/openai/key").status_code == 204
    assert openai_of(admin)["own_key"] is False
    assert admin.send("DELETE", "providers/openai/key").status_code == 404
    assert admin.post("providers/openai/test").status_code == 404


def test_a_test_that_fails_says_so_in_a_sentence(admin: Api) -> None:
    enter(admin, "sk-canary-that-is-wrong")

    assert admin.post("providers/openai/test").get_json() == {
        "ok": False,
        "message": "OpenAI did not accept the key.",
    }


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        ({"key": "sk-canary with a blank"}, "key", "A key is one word"),
        ({"key": "canary"}, "key", "A key has between 8 and 512 characters."),
        ({"key": ""}, "key", "Paste the key here."),
        ({"key": ["sk-canary-in-a-list"]}, "key", "This must be text."),
        ({"kee": "sk-canary-misspelt"}, "key", "This is missing."),
    ],
)
def test_what_is_no_key_is_refused_at_its_field_and_not_sent_back(
    admin: Api, body: dict, field: str, sentence: str
) -> None:
    answer = admin.send("PUT", "providers/openai/key", json=body)

    assert answer.status_code == 422 and "canary" not in answer.text
    assert answer.get_json()["errors"][0]["field"] == field
    assert answer.get_json()["errors"][0]["message"].startswith(sentence)
    assert openai_of(admin)["own_key"] is False


@pytest.mark.parametrize("provider", ["local", "unheard-of"])
def test_only_a_provider_that_takes_a_key_is_given_one(admin: Api, provider: str) -> None:
    assert admin.send("PUT", f"providers/{provider}/key", json={"key": OWN}).status_code == 404


def test_the_eleventh_test_in_a_minute_is_told_when_to_come_back(admin: Api) -> None:
    enter(admin)
    answers = [admin.post("providers/openai/test") for _ in range(11)]

    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


def test_operators_test_the_installations_key(operator: Api, openai: OpenAIServer) -> None:
    tried = operator.post("installation/providers/openai/test").get_json()

    assert tried == {"ok": False, "message": "OpenAI did not accept the key."}
    assert openai.requests[-1].headers["authorization"] == f"Bearer {INSTALLATIONS}"


def test_who_is_no_operator_or_has_a_lesser_token_tests_nothing_of_the_installation(
    ann: Person, admin: Api, make_api: MakeApi, openai: OpenAIServer
) -> None:
    assert admin.post("installation/providers/openai/test").status_code == 403
    people.set_operator(by=COMMAND_LINE, email=ann.user.email, operator=True)
    assert make_api(ann, "read", "write").post("installation/providers/openai/test").status_code == 403
    assert openai.requests == []


# Limits


def test_limits_are_told_with_the_provider_and_kept_apart_for_each_key(operator: Api) -> None:
    limits = {"concurrency": 8, "per_minute": 60}
    answer = operator.send("PUT", "installation/providers/openai/limits", json=limits)
    assert (answer.get_json(), openai_of(operator)["limits"]) == (limits, limits)

    enter(operator)
    assert openai_of(operator)["limits"] == {"concurrency": None, "per_minute": None}
    operator.send("PUT", "providers/openai/limits", json={"per_minute": 3})
    assert openai_of(operator)["limits"] == {"concurrency": None, "per_minute": 3}

    operator.send("DELETE", "providers/openai/key")
    assert openai_of(operator)["limits"] == limits


@pytest.mark.parametrize("wrong", [0, -1, 10_001, "8", 1.5, True])
def test_a_limit_is_a_whole_number_of_calls(admin: Api, wrong: object) -> None:
    enter(admin)
    answer = admin.send("PUT", "providers/openai/limits", json={"concurrency": wrong})
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "concurrency")


def test_a_key_that_is_not_there_has_no_limits(admin: Api) -> None:
    assert admin.send("PUT", "providers/openai/limits", json={"concurrency": 2}).status_code == 404


# The models that stand in


def order(api: Api) -> list[dict]:
    return [
        {"provider": each["provider"], "model": each["model"]}
        for each in api.get("providers/stand-ins").json["items"]
    ]


def replace(api: Api, *items: dict):
    return api.send("PUT", "providers/stand-ins", json={"items": list(items)})


def test_the_order_is_replaced_whole(admin: Api) -> None:
    assert order(admin) == []
    assert replace(admin, LOCAL, SMALL).status_code == 200
    assert order(admin) == [LOCAL, SMALL]
    assert [each["available"] for each in replace(admin, SMALL, LOCAL).json["items"]] == [True, True]
    assert order(admin) == [SMALL, LOCAL]
    replace(admin)
    assert order(admin) == []


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        ([LOCAL, LOCAL], "Each model can stand in once."),
        ([{"provider": "openai", "model": "of-tomorrow"}], "openai has no model of-tomorrow that makes pictures."),
        ([LOCAL | {"model": f"m{number}"} for number in range(9)], "At most 8 models can stand in."),
    ],
)
def test_an_order_that_cannot_be_changes_nothing(admin: Api, items: list[dict], sentence: str) -> None:
    replace(admin, SMALL)
    answer = replace(admin, *items)

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [{"field": "items", "message": sentence}]
    assert order(admin) == [SMALL]


def test_every_organisation_has_its_own_order(admin: Api, make_api: MakeApi, make_person) -> None:
    other = make_api(make_person("bob@two.example", "Two"), "admin")
    replace(admin, LOCAL)
    assert order(other) == []
