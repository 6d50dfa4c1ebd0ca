"""Which provider and model is meant, and what is said when there is none."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from imagegen.providers.base import Availability, ImageResult, ModelSpec, Provider, ProviderConfig
from imagegen.providers.errors import ProviderError
from imagegen.providers.openai import OpenAIProvider
from imagegen.providers.registry import ProviderRegistry


def spec(name: str, provider: str) -> ModelSpec:
    return ModelSpec(
        id=name,
        provider=provider,
        label=name.title(),
        summary="Paints.",
        sizes=((64, 64),),
        default_size=(64, 64),
        max_prompt_chars=10,
    )


class Fake(Provider):
    def __init__(self, config: ProviderConfig, ready: bool = True) -> None:
        super().__init__(config)
        self.ready = ready
        self.prepared = self.closed = 0

    def available(self):
        return Availability(self.ready, "" if self.ready else "It has no key.")

    def models(self):
        return (spec("shared", self.id), spec(f"{self.id}-own", self.id))

    def prepare(self):
        self.prepared += 1

    def close(self):
        self.closed += 1

    def _generate(self, spec, request):
        return ImageResult(images=())


class Here(Fake):
    id, label, built_in = "here", "Here", True


class Oil(Fake):
    id, label = "oil", "Oil"


class Ink(Fake):
    id, label = "ink", "Ink"


def registry(*ready: str) -> ProviderRegistry:
    return ProviderRegistry(kind(ProviderConfig(), kind.id in ready) for kind in (Here, Oil, Ink))


@pytest.mark.parametrize(
    ("ready", "chosen"),
    [(("here", "oil", "ink"), "oil"), (("here", "ink"), "ink"), (("here",), "here"), (("oil",), "oil")],
)
def test_the_default_is_the_first_usable_and_built_in_comes_last(ready, chosen):
    provider, model = registry(*ready).default()

    assert (provider.id, model.id) == (chosen, "shared")


def test_without_anything_usable_the_default_is_a_sentence():
    with pytest.raises(ProviderError, match="No provider of pictures is set up"):
        registry().default()


def test_nothing_named_means_the_default():
    both = registry("here", "oil")

    assert both.find() == both.default()


def test_a_provider_alone_means_its_first_model_usable_or_not():
    provider, model = registry("here").find("ink")

    assert (provider.id, model.id) == ("ink", "shared")


def test_a_model_alone_means_the_first_usable_provider_that_has_it():
    assert registry("ink").find(None, "shared")[0].id == "ink"
    assert registry().find(None, "shared")[0].id == "here"
    assert registry("here").find(None, "oil-own")[0].id == "oil"


def test_an_unknown_provider_is_a_sentence_that_names_the_known():
    with pytest.raises(ProviderError, match=r"no provider “chalk”.*here, oil, ink") as caught:
        registry("here").find("chalk")
    assert (caught.value.kind, caught.value.field) == ("bad_request", "provider")


def test_an_unknown_model_is_a_sentence():
    with pytest.raises(ProviderError, match="no model “crayon”") as caught:
        registry("here").find(None, "crayon")
    assert caught.value.field == "model"
    with pytest.raises(ProviderError, match="Oil has no model “crayon”"):
        registry("here").find("oil", "crayon")


def test_a_retired_model_names_its_successor_with_or_without_the_provider():
    openai = OpenAIProvider(ProviderConfig(key=SecretStr("sk-test-key")))
    known = ProviderRegistry([Here(ProviderConfig()), openai])

    for provider in (None, "openai"):
        with pytest.raises(ProviderError, match=r"ended DALL·E 3.*gpt-image-2\.6-flare"):
            known.find(provider, "dall-e-3")


def test_models_come_with_whether_they_can_be_used():
    told = [(offer.spec.id, offer.provider.id, offer.availability.ok) for offer in registry("oil").models()]

    assert told[:4] == [
        ("shared", "here", False),
        ("here-own", "here", False),
        ("shared", "oil", True),
        ("oil-own", "oil", True),
    ]


def test_only_usable_providers_are_prepared_and_all_are_closed():
    some = registry("oil")
    some.prepare()
    some.close()

    assert [(provider.prepared, provider.closed) for provider in some.providers()] == [(0, 1), (1, 1), (0, 1)]


def test_each_provider_gets_its_own_part_of_the_settings():
    class Settings:
        openai_api_key = SecretStr("sk-test-key")
        openai_base_url = "http://127.0.0.1:1/v1"

    [provider] = ProviderRegistry.from_settings(Settings(), ["imagegen.providers.openai.OpenAIProvider"]).providers()

    assert provider.config.key.get_secret_value() == "sk-test-key"
    assert provider.config.base_url == "http://127.0.0.1:1/v1"
    assert "sk-test-key" not in repr(provider.config)


@pytest.mark.parametrize("path", ["imagegen.providers.sizes.Ratio", "imagegen.providers.openai.is_official"])
def test_a_path_that_is_no_provider_stops_the_start(path):
    with pytest.raises(TypeError, match="is not a Provider"):
        ProviderRegistry.from_settings(object(), [path])
