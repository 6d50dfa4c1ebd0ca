"""The providers by program."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from imagegen.core.clock import now
from imagegen.models import ProviderState, system_scope, unit_of_work
from tests.api.conftest import Api


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {"openai_api_key": SecretStr("sk-canary-of-the-installation")}


def listed(api: Api) -> dict[str, dict]:
    answer = api.get("providers")
    assert answer.status_code == 200 and "canary" not in answer.get_data(as_text=True)
    return {each["id"]: each for each in answer.get_json()["items"]}


def test_a_provider_that_was_not_used_claims_nothing(api: Api) -> None:
    assert listed(api)["openai"] == {
        "id": "openai",
        "label": "OpenAI",
        "available": True,
        "reason": None,
        "own_key": False,
        "limits": {"concurrency": None, "per_minute": None},
        "status": "quiet",
        "held_until": None,
        "broken_since": None,
        "calls": 0,
        "success_rate": None,
        "p50_seconds": None,
        "p95_seconds": None,
        "last_error": None,
    }


def test_a_broken_provider_says_since_when(api: Api) -> None:
    with system_scope(), unit_of_work() as uow:
        uow.add(ProviderState(provider="openai", key="", failures=5, broken_since=now()))
    openai = listed(api)["openai"]
    assert openai["status"] == "broken" and openai["broken_since"].endswith("Z")
    assert listed(api)["local"]["status"] == "quiet"
