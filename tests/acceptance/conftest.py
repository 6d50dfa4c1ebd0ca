"""Fixtures for what is shown through page and API: people, their programs, and a provider that counts and bills."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from imagegen.engine import retries
from imagegen.engine.retries import RetryRule
from imagegen.extensions import runtime
from imagegen.services import people
from imagegen.services.audit import COMMAND_LINE
from tests.api.conftest import Api, MakeApi, contracts, make_api
from tests.conftest import MakePerson, Person
from tests.fakes.openai_server import OpenAIServer

__all__ = ["contracts", "make_api"]

INSTALLATIONS_KEY = "sk-canary-of-the-installation"
Work = Callable[[], None]


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """A stand-in for OpenAI that takes any key and remembers it."""
    with OpenAIServer(key=None) as server:
        yield server


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    """The installation has a key; a picture may take two seconds."""
    return {
        "openai_api_key": SecretStr(INSTALLATIONS_KEY),
        "openai_base_url": openai.base_url,
        "provider_timeout_seconds": 2,
    }


@pytest.fixture
def ann(make_person: MakePerson) -> Person:
    """The owner of the organisation One, who looks after the installation too."""
    person = make_person()
    people.set_operator(by=COMMAND_LINE, email=person.user.email, operator=True)
    runtime.providers.prepare()
    return person


@pytest.fixture
def api(ann: Person, make_api: MakeApi) -> Api:
    """Ann's program, which may do all that she may."""
    return make_api(ann, "admin")


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules of trying again, with next to no wait; what a provider asks for is waited for as ever."""
    quick = {kind: RetryRule(rule.tries, 0.02, rule.longest_wait) for kind, rule in retries.RETRIES.items()}
    monkeypatch.setattr(retries, "RETRIES", quick)
