"""What every provider and model of the registry promises; a new one needs no new test to be held to it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date

import pytest
from PIL import Image

from imagegen.providers.base import (
    MIME_TYPES,
    Feature,
    ImageRequest,
    Operation,
    ProviderConfig,
    SizeRule,
)
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.prices import PriceTable
from imagegen.providers.registry import PROVIDERS, ProviderRegistry
from imagegen.providers.sizes import RATIOS, exact_size, size_for_ratio
from imagegen.settings import Settings

PRICES = PriceTable.load()


def request_for(spec, **fields) -> ImageRequest:
    width, height = fields.pop("size", spec.default_size)
    usual = {"output_format": spec.output_formats[0], "deadline_seconds": 60.0}
    return ImageRequest(
        model=spec.id, prompt="calm blue waves at dusk", width=width, height=height, **(usual | fields)
    )


def opened(payload) -> Image.Image:
    image = Image.open(io.BytesIO(payload.data))
    image.load()
    return image


def test_every_provider_can_be_tested(registry, stand_ins):
    assert len(registry.providers()) == len(PROVIDERS)
    for provider in registry.providers():
        assert provider.built_in or provider.id in stand_ins
        assert provider.available().ok


def test_ids_are_plain_and_unique(registry):
    models = [(offer.provider.id, offer.spec.id) for offer in registry.models()]

    assert len(set(models)) == len(models)
    for provider, model in models:
        assert provider.isalnum()
        assert provider.islower()
        assert model == model.strip().lower()


def test_without_configuration_everything_is_still_listed_with_a_reason():
    registry = ProviderRegistry.from_settings(Settings())

    assert {offer.provider.id for offer in registry.models()} == {p.id for p in registry.providers()}
    for offer in registry.models():
        assert offer.availability.ok is offer.provider.built_in
        assert offer.availability.ok or offer.availability.reason.endswith(".")


def test_the_spec_agrees_with_itself(offer):
    provider, spec = offer

    assert spec.provider == provider.id
    assert spec.label
    assert spec.summary.endswith(".")
    assert spec.draws(spec.default_size)
    assert Operation.GENERATE in spec.operations
    assert set(spec.output_formats) <= set(MIME_TYPES)
    assert spec.max_images_per_call >= 1
    assert spec.max_prompt_chars >= 1
    assert (spec.default_quality in spec.qualities) if spec.qualities else spec.default_quality is None
    assert set(spec.typical_seconds) <= set(spec.qualities or ("",))
    assert all(seconds > 0 for seconds in spec.typical_seconds.values())
    assert isinstance(spec.sizes, SizeRule) or spec.sizes


def test_a_model_that_ends_names_one_that_goes_on(offer):
    provider, spec = offer

    if spec.shutdown_date is not None:
        successor = provider.spec(spec.replaced_by)
        assert successor.shutdown_date is None
        assert spec.replaced_by in spec.retires(date(2000, 1, 1))


def test_every_quality_and_size_has_a_price(offer):
    provider, spec = offer
    for quality in spec.qualities or (None,):
        for ratio in RATIOS:
            size = size_for_ratio(spec, ratio).size
            estimate = PRICES.estimate(spec, request_for(spec, quality=quality, size=size))
            assert estimate == 0 if provider.built_in else estimate > 0


def test_prices_can_be_told(offer):
    told = json.loads(json.dumps(PRICES.describe(offer[1])))

    assert told["known"]
    assert told["source"]


@pytest.mark.parametrize("ratio", RATIOS)
def test_every_ratio_gives_a_size_that_is_drawn(offer, ratio):
    _, spec = offer

    assert spec.draws(size_for_ratio(spec, ratio).size)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (100_000, 100_000), (0, 0), (-1024, 1024)])
def test_a_size_that_is_not_drawn_is_a_sentence_and_no_call(offer, size):
    provider, spec = offer

    with pytest.raises(ProviderError) as caught:
        provider.generate(request_for(spec, size=size))

    assert (caught.value.outcome, caught.value.field) == (Outcome.NOT_SENT, "size")
    assert caught.value.message.endswith(".")
    if min(size) > 0:
        with pytest.raises(ProviderError, match="nearest"):
            exact_size(spec, size)


def test_what_a_model_does_not_support_is_refused_before_sending(offer):
    provider, spec = offer
    asked = {
        Feature.SEED: {"seed": 7},
        Feature.NEGATIVE_PROMPT: {"negative_prompt": "people"},
        Feature.TRANSPARENT: {"background": "transparent", "output_format": "png"},
    }
    for feature, fields in asked.items():
        if feature not in spec.supports:
            with pytest.raises(ProviderError) as caught:
                provider.generate(request_for(spec, **fields))
            assert caught.value.outcome is Outcome.NOT_SENT


def test_pictures_come_in_the_size_and_every_format_asked_for(offer):
    provider, spec = offer
    size = size_for_ratio(spec, "1:1").size
    for output_format in spec.output_formats:
        [payload] = provider.generate(request_for(spec, size=size, output_format=output_format)).images
        image = opened(payload)
        assert (image.size, image.format) == (size, output_format.upper())
        assert payload.mime_type == MIME_TYPES[output_format]


@pytest.mark.parametrize("ratio", ["4:5", "1.91:1"])
def test_pictures_come_in_the_shape_asked_for(offer, ratio):
    provider, spec = offer
    size = size_for_ratio(spec, ratio).size

    [payload] = provider.generate(request_for(spec, size=size)).images

    assert opened(payload).size == size


def test_as_many_pictures_come_as_were_asked_for_and_no_two_are_alike(offer):
    provider, spec = offer
    count = min(2, spec.max_images_per_call)

    images = provider.generate(request_for(spec, n=count)).images

    assert len({payload.data for payload in images}) == count


def test_a_seed_is_kept_where_the_model_knows_seeds(offer):
    provider, spec = offer
    if Feature.SEED not in spec.supports:
        pytest.skip("the model knows no seeds")
    first, again = (provider.generate(request_for(spec, seed=42)).images[0] for _ in range(2))
    other = provider.generate(request_for(spec, seed=43)).images[0]

    assert (first.seed, first.data) == (42, again.data)
    assert other.data != first.data


def test_what_it_cost_is_known_after_a_call(offer):
    provider, spec = offer
    request = request_for(spec)

    result = provider.generate(request)

    assert 0 <= PRICES.actual(provider.id, spec.id, result.usage) <= PRICES.estimate(spec, request)


def test_hostile_prompts_are_words_like_any_others(offer):
    provider, spec = offer
    for prompt in (
        "{{7*7}} ${x} %n %s",
        "<script>alert(1)</script>",
        "שלום עולם",
        "🦊" * 50,
        "a\u202eb\r\nc\x00d",
    ):
        assert provider.generate(replace(request_for(spec), prompt=prompt)).images


def test_a_provider_without_configuration_refuses_with_its_reason(registry):
    for provider in registry.providers():
        if not provider.built_in:
            bare = type(provider)(ProviderConfig())
            with pytest.raises(ProviderError) as caught:
                bare.generate(request_for(bare.models()[0]))
            assert caught.value.message == bare.available().reason
            assert caught.value.outcome is Outcome.NOT_SENT
