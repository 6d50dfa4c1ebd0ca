"""A stand-in for OpenAI and a provider that speaks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from imagegen.providers.base import ImageRequest, ProviderConfig
from imagegen.providers.openai import OpenAIProvider
from tests.fakes.openai_server import OpenAIServer

Ask = Callable[..., ImageRequest]


@pytest.fixture(scope="module")
def running_server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def server(running_server: OpenAIServer) -> OpenAIServer:
    running_server.reset()
    return running_server


@pytest.fixture
def provider(server: OpenAIServer) -> Iterator[OpenAIProvider]:
    provider = OpenAIProvider(ProviderConfig(key=SecretStr(server.key), base_url=server.base_url))
    yield provider
    provider.close()


@pytest.fixture
def ask() -> Ask:
    """Return a request with the fields that a test cares about, and harmless ones for the rest."""

    def build(**fields: object) -> ImageRequest:
        usual: dict[str, object] = {
            "model": "gpt-image-2.6-flare",
            "prompt": "a lighthouse in fog",
            "width": 1024,
            "height": 1024,
            "quality": "low",
            "deadline_seconds": 20.0,
        }
        return ImageRequest(**{**usual, **fields})  # type: ignore[arg-type]

    return build
