"""Promises of one provider under many keys."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest
from pydantic import SecretStr

from imagegen.core.errors import ErrorKind
from imagegen.providers.base import Availability, ImagePayload, ImageRequest, ImageResult, Provider, ProviderConfig
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.keyed import MOST_KEYS
from imagegen.providers.local.provider import LocalProvider
from imagegen.providers.openai import LONGEST_LIST, OpenAIProvider
from imagegen.providers.registry import ProviderRegistry
from imagegen.providers.specs import ModelSpec
from tests.fakes.openai_server import OpenAIServer

SPEC = ModelSpec(
    id="one",
    provider="slow",
    label="One",
    summary="",
    sizes=((64, 64),),
    default_size=(64, 64),
    max_prompt_chars=100,
)
REQUEST = ImageRequest(model="one", prompt="x", width=64, height=64)
OWN = SecretStr("sk-of-an-organisation")


class SlowProvider(Provider):
    """Draws when it is let, and remembers whether it was closed."""

    id, label, takes_key = "slow", "Slow", True

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        self.begun, self.let, self.closed = Event(), Event(), 0

    def available(self) -> Availability:
        return Availability(self.config.key is not None, "Set SLOW_KEY.")

    def models(self) -> tuple[ModelSpec, ...]:
        return (SPEC,)

    def _generate(self, spec: ModelSpec, request: ImageRequest) -> ImageResult:
        self.begun.set()
        assert self.let.wait(10)
        return ImageResult(images=(ImagePayload(data=b"x", mime_type="image/png"),))

    def close(self) -> None:
        self.closed += 1


def test_another_key_goes_to_the_same_address_and_to_no_other():
    base = OpenAIProvider(ProviderConfig(key=None, base_url="https://proxy.example/v1"))
    keyed = base.with_key(OWN)
    assert keyed.config == ProviderConfig(key=OWN, base_url="https://proxy.example/v1")
    assert base.config.key is None


def test_the_same_key_has_the_same_connections_and_another_has_others():
    base = SlowProvider(ProviderConfig())
    assert base.with_key(OWN) is base.with_key(SecretStr(OWN.get_secret_value()))
    assert base.with_key(OWN) is not base.with_key(SecretStr("sk-of-another"))


def test_only_so_many_keys_keep_connections_and_the_one_used_longest_ago_goes():
    base = SlowProvider(ProviderConfig())
    first, second = base.with_key(SecretStr("key-a")), base.with_key(SecretStr("key-b"))
    base.with_key(SecretStr("key-a"))
    for number in range(MOST_KEYS - 1):
        base.with_key(SecretStr(f"key-{number}"))
    assert (first.closed, second.closed) == (0, 1)
    assert base.with_key(SecretStr("key-a")) is first
    assert base.with_key(SecretStr("key-b")) is not second


def test_a_call_under_way_is_not_cut_off_when_its_key_goes():
    base = SlowProvider(ProviderConfig())
    going = base.with_key(SecretStr("key-a"))
    results = []
    thread = Thread(target=lambda: results.append(going.generate(REQUEST)))
    thread.start()
    assert going.begun.wait(10)
    for number in range(MOST_KEYS):
        base.with_key(SecretStr(f"key-{number}"))
    assert going.closed == 0
    going.let.set()
    thread.join(10)
    assert len(results) == 1 and going.closed == 1


def test_closing_a_registry_closes_what_stands_under_every_key():
    base = SlowProvider(ProviderConfig())
    keyed = base.with_key(OWN)
    ProviderRegistry([base]).close()
    assert (base.closed, keyed.closed) == (1, 1)
    assert base.with_key(OWN) is not keyed


def test_what_takes_no_key_is_given_none():
    local = LocalProvider(ProviderConfig())
    assert not local.takes_key
    with pytest.raises(ValueError):
        local.with_key(OWN)


# Who can choose what


@pytest.fixture
def registry() -> ProviderRegistry:
    """OpenAI without a key, and what the studio draws itself."""
    return ProviderRegistry([OpenAIProvider(ProviderConfig()), LocalProvider(ProviderConfig())])


def test_whoever_has_a_key_can_choose_the_provider_and_others_hear_why_not(registry: ProviderRegistry):
    mine = registry.for_keys({"openai"})
    assert {offer.availability.ok for offer in mine.models()} == {True}
    theirs = {offer.provider.id: offer.availability for offer in registry.models()}
    assert not theirs["openai"].ok and "OPENAI_API_KEY" in theirs["openai"].reason


def test_ones_own_key_makes_the_provider_the_default(registry: ProviderRegistry):
    assert registry.default()[0].id == "local"
    assert registry.for_keys({"openai"}).default()[0].id == "openai"


def test_keys_to_what_takes_none_change_nothing(registry: ProviderRegistry):
    assert registry.for_keys({"local", "unheard-of"}).default()[0].id == "local"
    assert registry.for_keys(()) is registry


# The test of a key


@pytest.fixture
def openai():
    with OpenAIServer() as server:
        yield server


def asked(server: OpenAIServer, key: str) -> OpenAIProvider:
    provider = OpenAIProvider(ProviderConfig(base_url=server.base_url)).with_key(SecretStr(key))
    assert isinstance(provider, OpenAIProvider)
    return provider


def test_a_good_key_passes_and_nothing_is_billed(openai: OpenAIServer):
    provider = asked(openai, openai.key)
    provider.test()
    provider.close()
    [request] = openai.requests
    assert (request.method, request.path, openai.bill) == ("GET", "/v1/models", 0)


def test_a_wrong_key_is_said_to_be_wrong_and_not_repeated(openai: OpenAIServer):
    provider = asked(openai, "sk-canary-wrong-key-0000")
    with pytest.raises(ProviderError) as refused:
        provider.test()
    provider.close()
    assert refused.value.kind == ErrorKind.AUTH
    assert str(refused.value) == "OpenAI did not accept the key."


def test_an_address_where_nobody_listens_says_so():
    with OpenAIServer() as gone:
        provider = asked(gone, gone.key)
    with pytest.raises(ProviderError) as broken:
        provider.test(deadline_seconds=2)
    provider.close()
    assert (broken.value.kind, broken.value.outcome) == (ErrorKind.UNAVAILABLE, Outcome.REJECTED)


class Answers(BaseHTTPRequestHandler):
    """Answers every GET with what the server was told, once it may."""

    def do_GET(self) -> None:
        self.server.let.wait(10)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering() -> Iterator[ThreadingHTTPServer]:
    """A server that answers as told: `status`, `body`, and not before `let` is set."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.daemon_threads = True
        server.status, server.body, server.let = 200, b"", Event()
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.let.set()
        server.shutdown()


def at(server: ThreadingHTTPServer) -> OpenAIProvider:
    return OpenAIProvider(ProviderConfig(key=OWN, base_url=f"http://127.0.0.1:{server.server_port}/v1"))


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (403, b'{"error": {"message": "Missing scopes"}}', ErrorKind.AUTH, "It may still draw"),
        (404, b"{}", ErrorKind.BAD_REQUEST, "no list of models"),
        (500, b"{}", ErrorKind.UNAVAILABLE, "a problem of its own"),
        (429, b"{}", ErrorKind.RATE_LIMITED, "no more requests"),
        (200, b"<html>", ErrorKind.BAD_ANSWER, "not the answer"),
        (200, b'{"data": 1}', ErrorKind.BAD_ANSWER, "not the answer"),
        (200, b" " * (LONGEST_LIST + 1), ErrorKind.BAD_ANSWER, "not the answer"),
    ],
)
def test_every_answer_of_a_test_is_understood(
    answering: ThreadingHTTPServer, status: int, body: bytes, kind: ErrorKind, sentence: str
):
    answering.status, answering.body = status, body
    answering.let.set()
    provider = at(answering)
    with pytest.raises(ProviderError) as wrong:
        provider.test(deadline_seconds=5)
    provider.close()
    assert wrong.value.kind == kind
    assert sentence in str(wrong.value)


def test_a_test_ends_at_its_deadline(answering: ThreadingHTTPServer):
    provider = at(answering)
    with pytest.raises(ProviderError) as late:
        provider.test(deadline_seconds=0.3)
    provider.close()
    assert (late.value.kind, str(late.value)) == (ErrorKind.TIMEOUT, "OpenAI did not answer in time.")
