"""Promises of the pages about providers: what they show, what they never show, and what their buttons do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from imagegen.core.clock import now
from imagegen.extensions import db
from imagegen.models import ProviderState, User, organisation_scope, system_scope, unit_of_work
from imagegen.services import fallbacks, people, provider_limits
from imagegen.services.audit import COMMAND_LINE
from tests.conftest import ENCRYPTION_KEY, Person
from tests.fakes.openai_server import OpenAIServer

PAGE, INSTALLATION = "/admin/providers", "/admin/installation/providers"
CANARY = "sk-canary-7d1e0a94b2c8f365"


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """A stand-in for OpenAI that knows one key."""
    with OpenAIServer(key=CANARY) as server:
        yield server


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    return {"openai_base_url": openai.base_url, "encryption_keys": SecretStr(ENCRYPTION_KEY)}


@pytest.fixture
def operator(ann: Person) -> Person:
    """Ann, who also looks after the installation."""
    people.set_operator(by=COMMAND_LINE, email=ann.user.email, operator=True)
    return ann


def shown(person: Person, path: str = PAGE) -> str:
    answer = person.client.get(path)
    assert answer.status_code == 200
    return answer.text


def enter(person: Person, key: str = CANARY):
    return person.post(f"{PAGE}/openai/key", key=key)


def has(html: str, *words: str) -> bool:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))
    return all(word in text for word in words)


# Keys


def test_a_key_is_entered_recognised_by_its_end_and_never_shown(ann: Person):
    answer = enter(ann)
    assert (answer.status_code, answer.location) == (303, "/admin/providers#openai")
    page = shown(ann)
    assert has(page, "Your organisation's key …f365", "Entered by", "Enter another key")
    assert "canary" not in page


def test_the_field_for_a_key_keeps_and_shows_nothing(ann: Person):
    [field] = re.findall(r'<input[^>]*name="key"[^>]*>', shown(ann))
    assert 'type="password"' in field and 'autocomplete="off"' in field and "value" not in field


def test_what_is_no_key_is_refused_at_its_field_and_not_sent_back(ann: Person):
    answer = enter(ann, "sk-canary with a blank")
    assert answer.status_code == 422
    assert "without a blank or a line break" in answer.text
    assert "canary" not in answer.text
    [field] = re.findall(r'<input[^>]*name="key"[^>]*>', answer.text)
    assert 'aria-invalid="true"' in field


def test_a_test_shows_what_came_of_it_and_what_it_costs(ann: Person, openai: OpenAIServer):
    enter(ann)
    assert ann.post(f"{PAGE}/openai/test").status_code == 303
    assert has(shown(ann), "Tested just now: it works.", "which costs nothing")
    enter(ann, "sk-canary-that-is-wrong-0001")
    ann.post(f"{PAGE}/openai/test")
    page = shown(ann)
    assert has(page, "Tested just now: OpenAI did not accept the key.") and "canary" not in page
    assert openai.bill == 0


def test_the_eleventh_test_in_a_minute_is_told_to_wait(ann: Person):
    enter(ann)
    answers = [ann.post(f"{PAGE}/openai/test") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [303] * 10 + [429]
    assert int(answers[-1].headers["Retry-After"]) <= 60


def test_with_a_key_the_models_can_be_chosen_and_without_it_the_page_says_why_not(ann: Person, make_person):
    bob = make_person("bob@two.example", "Two")
    enter(ann)

    def chooser(person: Person) -> str:
        return person.client.get("/generate").text

    assert 'href="/generate?model=openai:' in chooser(ann)
    assert 'href="/generate?model=openai:' not in chooser(bob)
    assert "Set OPENAI_API_KEY" in chooser(bob) and "Set OPENAI_API_KEY" not in chooser(ann)
    ann.post(f"{PAGE}/openai/key/remove")
    assert 'href="/generate?model=openai:' not in chooser(ann)


def test_the_api_tells_each_organisation_what_it_can_use(ann: Person, make_person):
    bob = make_person("bob@two.example", "Two")
    enter(ann)

    def available(person: Person) -> set[bool]:
        items = person.client.get("/api/v1/models").json["items"]
        return {item["available"] for item in items if item["provider"] == "openai"}

    assert (available(ann), available(bob)) == ({True}, {False})


def test_a_key_stands_in_no_answer_no_log_and_no_file(
    operator: Person, data_folder: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level("DEBUG")
    told = []
    for key in (CANARY, "sk-canary-wrong-1234567890", "sk-canary\nsk-canary", "canary"):
        told.append(enter(operator, key))
        told.append(operator.post(f"{PAGE}/openai/test"))
    paths = (PAGE, INSTALLATION, "/generate", "/jobs", "/usage/usage.csv", "/admin/audit", "/admin/audit.csv")
    api = ("/api/v1/models", "/api/v1/jobs", "/api/v1/openapi.json")
    told += [operator.client.get(path) for path in (*paths, *api)]
    assert {answer.status_code for answer in told} <= {200, 303, 422, 429}
    everything = [answer.text + str(answer.headers) for answer in told] + [caplog.text, *capfd.readouterr()]
    assert not [text[:200] for text in everything if "canary" in text]
    assert not [file for file in data_folder.rglob("*") if file.is_file() and b"canary" in file.read_bytes()]


# Health


def hold(**moments) -> None:
    with system_scope(), unit_of_work() as uow:
        uow.add(ProviderState(provider="openai", key="", failures=0, **moments))


class TestHealth:
    """With a key of the installation."""

    @pytest.fixture
    def settings_values(self, settings_values: dict[str, object]) -> dict[str, object]:
        return settings_values | {"openai_api_key": SecretStr(CANARY)}

    def test_a_pause_is_told_with_its_end_also_where_models_are_chosen(self, ann: Person):
        hold(paused_until=now() + timedelta(hours=2))
        assert has(shown(ann), "Paused", "Asked for a pause until")
        assert has(ann.client.get("/generate").text, "Asked for a pause until")

    def test_broken_is_told_with_since_when_and_when_it_is_tried_again(self, ann: Person):
        hold(broken_since=now() - timedelta(minutes=2), open_until=now() + timedelta(minutes=2))
        assert has(shown(ann), "Broken", "Not answering since", "tried again at")

    def test_a_provider_that_was_not_used_claims_nothing(self, ann: Person):
        assert has(shown(ann), "Not used today", "No calls in the last 24 hours.")

    def test_operators_test_the_installations_key(self, operator: Person, openai: OpenAIServer):
        answer = operator.post(f"{INSTALLATION}/openai/test")
        assert answer.status_code == 200 and has(answer.text, "Tested just now: it works.")
        assert [request.path for request in openai.requests] == ["/v1/models"]

    def test_the_page_of_the_installation_names_the_setting_and_not_the_key(self, operator: Person):
        page = shown(operator, INSTALLATION)
        assert has(page, "OPENAI_API_KEY") and "canary" not in page

    def test_operators_limit_the_calls_of_all(self, operator: Person):
        operator.post(f"{INSTALLATION}/openai/limits", concurrency="4", per_minute="30")
        assert provider_limits.of_installation()["openai"] == provider_limits.Limits(4, 30)
        assert has(shown(operator, INSTALLATION), "At most 4 calls at once and 30 a minute.")
        assert has(shown(operator), "At most 4 calls at once and 30 a minute.")
        operator.post(f"{INSTALLATION}/openai/limits", concurrency="", per_minute="")
        assert has(shown(operator), "At most 64 calls at once.")

    @pytest.mark.parametrize("wrong", ["0", "-1", "ten", "10001", "1.5", "9" * 5000, "٣"])
    def test_a_limit_is_a_whole_number(self, operator: Person, wrong: str):
        answer = operator.post(f"{INSTALLATION}/openai/limits", concurrency=wrong)
        assert answer.status_code == 422
        assert has(answer.text, "Write a whole number from 1 to 10000, or nothing.")
        assert provider_limits.of_installation() == {}


def test_a_limit_of_ones_own_key_is_nobody_elses(ann: Person, make_person):
    bob = make_person("bob@two.example", "Two")
    assert ann.post(f"{PAGE}/openai/limits", concurrency="2").status_code == 404
    enter(ann)
    enter(bob, "sk-of-bob-0123456789abcdef")
    ann.post(f"{PAGE}/openai/limits", concurrency="2")
    assert has(shown(ann), "At most 2 calls at once.")
    assert has(shown(bob), "At most 64 calls at once.")


# The models that stand in


def names(person: Person) -> list[str]:
    db.session.rollback()  # what was read before is an older state
    with organisation_scope(person.organisation.id):
        return [f"{each.provider}:{each.model}" for each in fallbacks.listed()]


def test_the_order_is_made_moved_and_unmade_by_buttons(ann: Person):
    offered = re.findall(r'<option value="([^"]+)"', shown(ann))[:2]
    for model in offered:
        assert ann.post(f"{PAGE}/stand-ins", model=model).location == "/admin/providers#stand-ins"
    assert names(ann) == offered
    ann.post(f"{PAGE}/stand-ins/move", model=offered[1], to="up")
    assert names(ann) == offered[::-1]
    ann.post(f"{PAGE}/stand-ins/move", model=offered[1], to="down")
    ann.post(f"{PAGE}/stand-ins/remove", model=offered[0])
    assert names(ann) == [offered[1]]


def test_a_model_that_nobody_knows_is_refused_at_the_list(ann: Person):
    answer = ann.post(f"{PAGE}/stand-ins", model="openai:of-tomorrow")
    assert answer.status_code == 422 and has(answer.text, "Choose a model from the list.")


def test_the_page_says_when_a_picture_moves_on(ann: Person):
    assert has(shown(ann), "Never when the content was refused", "unless that is in the list")


def test_an_operator_who_is_no_admin_sees_the_installation_alone(ann: Person, make_person):
    eve = make_person("eve@one.example", "One", role="editor")
    people.set_operator(by=COMMAND_LINE, email=eve.user.email, operator=True)
    assert db.session.scalars(select(User.is_operator).where(User.id == eve.user.id)).one()
    assert eve.client.get(INSTALLATION).status_code == 200
    assert eve.client.get(PAGE).status_code == 403
