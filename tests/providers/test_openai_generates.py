"""What OpenAI's provider sends, and what it makes of a good answer."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from pydantic import SecretStr

from imagegen.providers.base import ProviderConfig
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.openai import OpenAIProvider, is_official
from imagegen.providers.openai_models import GPT_IMAGE_MODELS
from imagegen.providers.prices import PriceTable

CONTRACT_FIELDS = {
    "model",
    "prompt",
    "n",
    "size",
    "quality",
    "output_format",
    "background",
    "safety_identifier",
}


def test_a_picture_comes_back_in_the_asked_size_and_format(provider, server, ask):
    result = provider.generate(ask(width=1088, height=1360, output_format="webp"))

    image = Image.open(io.BytesIO(result.images[0].data))
    assert (image.format, image.size, result.images[0].mime_type) == ("WEBP", (1088, 1360), "image/webp")


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_every_format_is_named_by_its_bytes(provider, ask, output_format):
    [image] = provider.generate(ask(output_format=output_format)).images

    assert image.mime_type == f"image/{output_format}"
    assert Image.open(io.BytesIO(image.data)).format == output_format.upper()


def test_a_transparent_background_has_an_alpha_channel(provider, ask):
    [image] = provider.generate(ask(background="transparent")).images

    assert Image.open(io.BytesIO(image.data)).mode == "RGBA"


def test_several_pictures_of_one_call_are_all_there_and_differ(provider, ask):
    images = provider.generate(ask(n=4)).images

    assert len({image.data for image in images}) == 4


def test_the_request_has_only_fields_that_the_model_knows(provider, server, ask):
    provider.generate(ask(background="transparent", user_hash="a" * 64, hints={"colours": "#ff0000"}))

    [seen] = server.requests
    assert set(seen.body) == CONTRACT_FIELDS
    assert seen.complaint is None
    assert seen.body["safety_identifier"] == "a" * 64
    assert seen.headers["authorization"] == f"Bearer {server.key}"


def test_a_plain_request_leaves_out_what_was_not_asked_for(provider, server, ask):
    provider.generate(ask())

    assert set(server.requests[0].body) == CONTRACT_FIELDS - {"background", "safety_identifier"}


@pytest.mark.parametrize(
    ("asked", "sent"), [("standard", "medium"), ("hd", "high"), (None, "medium"), ("auto", "medium")]
)
def test_old_words_for_quality_are_understood(provider, server, ask, asked, sent):
    provider.generate(ask(quality=asked))

    assert server.requests[0].body["quality"] == sent


@pytest.mark.parametrize("spec", GPT_IMAGE_MODELS, ids=lambda spec: spec.id)
def test_every_model_and_quality_keeps_to_the_contract(provider, server, ask, spec):
    for quality in spec.qualities:
        width, height = spec.default_size
        provider.generate(ask(model=spec.id, quality=quality, width=width, height=height))

    assert [seen.complaint for seen in server.requests] == [None] * len(spec.qualities)


@pytest.mark.parametrize("spec", GPT_IMAGE_MODELS, ids=lambda spec: spec.id)
def test_the_cost_of_the_usage_is_what_the_provider_bills(provider, server, ask, spec):
    prices = PriceTable.load()
    request = ask(model=spec.id, quality="high", n=3)

    result = provider.generate(request)

    cost = prices.actual("openai", spec.id, result.usage)
    assert cost == server.bill > 0
    assert cost <= prices.estimate(spec, request)


def test_tokens_are_read_as_the_provider_counts_them(provider, server, ask):
    usage = provider.generate(ask(prompt="x" * 400)).usage

    told = server.requests[0].usage
    assert usage.input_text_tokens == told["input_tokens_details"]["text_tokens"] == 101
    assert usage.output_tokens == told["output_tokens"]
    assert (usage.input_image_tokens, usage.output_text_tokens) == (0, 0)


@pytest.mark.parametrize("fault", ["no_usage", "broken_usage", "huge_usage"])
def test_a_picture_without_a_token_count_is_still_a_picture(provider, server, ask, fault):
    server.script(fault)

    result = provider.generate(ask())

    assert result.usage is None
    assert result.images[0].mime_type == "image/png"


def test_the_providers_request_id_is_kept(provider, ask):
    assert provider.generate(ask()).request_id.startswith("req_")


def test_thirty_two_threads_share_one_client(provider, server, ask):
    server.script(latency=1.0)
    with ThreadPoolExecutor(32) as threads:
        results = list(threads.map(lambda _: provider.generate(ask()), range(32)))

    assert len({result.images[0].data for result in results}) == 32
    assert server.most_busy > 16


def test_a_forked_process_makes_connections_of_its_own(provider, server, ask):
    provider.generate(ask())
    client = provider._client
    provider._process = os.getpid() + 1

    provider.generate(ask())

    assert provider._client is not client


def test_a_closed_provider_opens_again(provider, ask):
    provider.generate(ask())
    provider.close()

    assert provider.generate(ask()).images


def test_preparing_asks_no_network(server):
    provider = OpenAIProvider(ProviderConfig(key=SecretStr(server.key), base_url=server.base_url))

    provider.prepare()

    assert server.requests == []
    assert provider._client is None


def test_the_environment_changes_neither_route_nor_account(server, ask, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody-else")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-somebody-else")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-of-somebody-else")
    provider = OpenAIProvider(ProviderConfig(key=SecretStr(server.key), base_url=server.base_url))

    provider.generate(ask())
    provider.close()

    headers = server.requests[0].headers
    assert headers["authorization"] == f"Bearer {server.key}"
    assert "openai-organization" not in headers
    assert "openai-project" not in headers
    assert headers["accept-encoding"] == "identity"


def test_a_prompt_with_lone_surrogates_and_control_characters_is_sent_clean(provider, server, ask):
    provider.generate(ask(prompt="caf\u0065\u0301 \ud800 \x00 {{7*7}}"))

    assert server.requests[0].body["prompt"] == "café   {{7*7}}"


def test_without_a_key_it_says_what_to_set(ask):
    provider = OpenAIProvider(ProviderConfig())

    assert not provider.available().ok
    assert "OPENAI_API_KEY" in provider.available().reason
    with pytest.raises(ProviderError) as caught:
        provider.generate(ask())
    assert (caught.value.kind, caught.value.outcome) == ("auth", Outcome.NOT_SENT)


def test_a_key_that_no_header_can_carry_is_refused_without_showing_it():
    availability = OpenAIProvider(ProviderConfig(key=SecretStr("sk-clé-secrète"))).available()

    assert not availability.ok
    assert "sk-cl" not in availability.reason


@pytest.mark.parametrize("model", ["dall-e-2", "dall-e-3", "gpt-image-1", "chatgpt-image-latest"])
def test_a_retired_model_names_its_successor(ask, model):
    provider = OpenAIProvider(ProviderConfig(key=SecretStr("sk-test-key")))

    with pytest.raises(ProviderError) as caught:
        provider.generate(ask(model=model))

    assert "gpt-image-2.6-flare" in caught.value.message
    assert (caught.value.kind, caught.value.outcome) == ("bad_request", Outcome.NOT_SENT)


@pytest.mark.parametrize("quality", ["standard", "hd", "medium"])
def test_dall_e_names_work_on_a_compatible_server_with_old_fields_only(provider, server, ask, quality):
    result = provider.generate(ask(model="dall-e-3", quality=quality, width=1024, height=1792))

    [seen] = server.requests
    assert seen.complaint is None
    assert set(seen.body) == {"model", "prompt", "n", "size", "quality", "response_format"}
    assert result.usage is None
    assert Image.open(io.BytesIO(result.images[0].data)).size == (1024, 1792)


@pytest.mark.parametrize(
    ("base_url", "official"),
    [
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("http://127.0.0.1:8080/v1", False),
        ("https://api.openai.com.evil.example/v1", False),
        ("https://notapi.openai.com/v1", False),
    ],
)
def test_only_openais_own_hosts_are_official(base_url, official):
    assert is_official(base_url) is official
