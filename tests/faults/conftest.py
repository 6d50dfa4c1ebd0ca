"""Fixtures for faults: people, a provider that counts and bills, and processes to hurt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from imagegen.settings import Settings
from tests.conftest import MakePerson, Person
from tests.fakes.openai_server import OpenAIServer
from tests.faults.processes import QUICK, Processes, environment_of
from tests.faults.ready import Ready
from tests.models.rows import Member
from tests.running_studio import Studio

PAID = {"provider": "openai", "quality": "low"}
Ask = Callable[..., requests.Response]


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """The stand-in for OpenAI, as the only one that knows what was really sent and what is really owed."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    """A provider that bills, one worker of two slots, and short leases."""
    return QUICK | {
        "openai_api_key": openai.key,
        "openai_base_url": openai.base_url,
        "workers": 1,
        "shots_per_worker": 2,
    }


@pytest.fixture
def person(make_person: MakePerson) -> Person:
    """The owner of the organisation One, with a browser."""
    return make_person()


@pytest.fixture
def ann(person: Person) -> Member:
    """The same, by ids."""
    return Member(person.user.id, person.organisation.id)


@pytest.fixture(scope="session")
def ready() -> Iterator[Ready]:
    """Workers and schedulers that need not import anything any more."""
    ready = Ready()
    yield ready
    ready.close()


@pytest.fixture
def processes(app: Flask, settings: Settings, tmp_path: Path, ready: Ready) -> Iterator[Processes]:
    """Processes on this test's database, of which none runs yet."""
    with Processes(settings, tmp_path, ready) as processes:
        yield processes
        print(processes.log.read_text() if processes.log.exists() else "")


@pytest.fixture
def studio(app: Flask, settings: Settings, tmp_path: Path) -> Iterator[Studio]:
    """A whole studio on this test's database, as `make run` starts it; it does not run yet."""
    variables = environment_of(settings)
    assert Path(variables.pop("STUDIO_DATA_DIR")) == tmp_path / "data"
    studio = Studio(tmp_path, **variables)
    yield studio
    studio.end()
    print(studio.log())


@pytest.fixture
def ask(person: Person) -> Ask:
    """Ask a running studio for paid pictures by its API: `ask(studio.url, n=2, key="order-1")`."""
    token = person.bearer()

    def send(url: str, key: str | None = None, **wishes: Any) -> requests.Response:
        headers = token | ({"Idempotency-Key": key} if key else {})
        body = {"prompt": "violet waves"} | PAID | wishes
        return requests.post(f"{url}/api/v1/images/generate", json=body, headers=headers, timeout=60)

    return send
