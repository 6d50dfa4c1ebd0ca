"""Every provider of the registry, each with the stand-in that it speaks to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imagegen.providers.base import Provider
from imagegen.providers.registry import ProviderRegistry
from imagegen.settings import Settings
from tests.fakes.openai_server import OpenAIServer

STAND_INS = {"openai": OpenAIServer}
"""A provider that is not built in needs one here: by this its promises are kept under test."""


@pytest.fixture(scope="session")
def stand_ins() -> Iterator[dict[str, OpenAIServer]]:
    servers = {name: kind() for name, kind in STAND_INS.items()}
    for server in servers.values():
        server.start()
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture(scope="session")
def registry(stand_ins: dict[str, OpenAIServer]) -> Iterator[ProviderRegistry]:
    values = {}
    for name, server in stand_ins.items():
        values |= {f"{name}_api_key": server.key, f"{name}_base_url": server.base_url}
    registry = ProviderRegistry.from_settings(Settings(**values))
    yield registry
    registry.close()


def offered() -> list[tuple[str, str]]:
    """Return (provider, model) of all that a fresh installation offers, for parametrising."""
    registry = ProviderRegistry.from_settings(Settings())
    return [(offer.provider.id, offer.spec.id) for offer in registry.models()]


@pytest.fixture(params=offered(), ids="/".join)
def offer(request: pytest.FixtureRequest, registry: ProviderRegistry) -> tuple[Provider, object]:
    return registry.find(*request.param)
