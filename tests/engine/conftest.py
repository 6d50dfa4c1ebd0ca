"""Fixtures for tests of the engine: a member, and a stand-in for OpenAI that counts and bills."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from imagegen.core.errors import ErrorKind
from imagegen.engine import limits, retries
from imagegen.engine.retries import RetryRule
from imagegen.extensions import runtime
from imagegen.models import system_scope
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, add_member

Work = Callable[[], None]


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """The stand-in for OpenAI, as the only one that knows what was really sent and what is really owed."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def ann(app: Flask) -> Member:
    """A member of the organisation One."""
    return add_member("ann", "One")


@pytest.fixture
def bob(app: Flask) -> Member:
    """A member of the organisation Two."""
    return add_member("bob", "Two")


@pytest.fixture
def everything(app: Flask) -> Iterator[None]:
    """The scope of the studio's own machinery, and providers that have loaded what a call needs, as in a worker."""
    runtime.providers.prepare()
    with system_scope():
        yield


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules of trying again, with next to no wait."""
    quick = {kind: RetryRule(rule.tries, 0.02, rule.longest_wait) for kind, rule in retries.RETRIES.items()}
    assert ErrorKind.RATE_LIMITED in quick
    monkeypatch.setattr(retries, "RETRIES", quick)
    for name in ("SHORTEST_PAUSE_SECONDS", "FIRST_OPEN_SECONDS", "LONGEST_OPEN_SECONDS"):
        monkeypatch.setattr(limits, name, 0.02)
