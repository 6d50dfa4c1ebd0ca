"""The price table: exact, dated, honest about what it does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegen.providers.base import ImageRequest, Usage
from imagegen.providers.openai_models import COMPATIBLE_MODELS, GPT_IMAGE_MODELS
from imagegen.providers.prices import PriceTable

SPECS = {spec.id: spec for spec in GPT_IMAGE_MODELS}
TABLE = PriceTable.load()


def request(model="gpt-image-2", quality="medium", size=(1024, 1024), prompt="", n=1) -> ImageRequest:
    return ImageRequest(model=model, prompt=prompt, width=size[0], height=size[1], quality=quality, n=n)


@pytest.mark.parametrize(
    ("model", "quality", "size", "micro"),
    [
        ("gpt-image-2", "low", (1024, 1024), 6_000),
        ("gpt-image-2", "medium", (1024, 1024), 53_000),
        ("gpt-image-2", "high", (1024, 1536), 165_000),
        ("gpt-image-1.5", "high", (1536, 1024), 200_000),
        ("gpt-image-1-mini", "low", (1024, 1024), 5_000),
        ("gpt-image-2.6-flare", "low", (1024, 1024), 6_000),
    ],
)
def test_a_listed_picture_costs_what_is_listed(model, quality, size, micro):
    assert TABLE.estimate(SPECS[model], request(model, quality, size)) == micro


def test_words_are_added_to_the_picture():
    spec = SPECS["gpt-image-2"]

    assert TABLE.estimate(spec, request(prompt="x" * 300)) == 53_000 + 100 * 5
    assert TABLE.estimate(spec, request(prompt="猫" * 100)) == 53_000 + 100 * 5


def test_a_size_that_is_not_listed_costs_the_dearest_price_per_pixel():
    large = TABLE.estimate(SPECS["gpt-image-2"], request(size=(2048, 2048)))

    assert large == 4 * 53_000


def test_a_small_size_costs_no_less_than_the_cheapest_listed():
    small = TABLE.estimate(SPECS["gpt-image-2"], request(size=(816, 816)))

    assert small == 41_000


def test_an_unknown_model_is_unknown_and_not_free():
    stranger = replace(SPECS["gpt-image-2"], id="gpt-image-9")

    assert TABLE.estimate(stranger, request()) is None
    assert TABLE.actual("openai", "gpt-image-9", Usage(output_tokens=1)) is None
    assert TABLE.describe(stranger) == {"known": False, "currency": "USD"}


def test_a_model_on_a_compatible_server_has_no_known_price():
    assert TABLE.estimate(COMPATIBLE_MODELS[0], request("dall-e-3", "standard")) is None


def test_an_unknown_quality_is_unknown():
    strange = replace(SPECS["gpt-image-2"], qualities=("ultra",), default_quality="ultra")

    assert TABLE.estimate(strange, request(quality="ultra")) is None


def test_local_is_free_by_the_table():
    here = replace(SPECS["gpt-image-2"], id="anything", provider="local")

    assert TABLE.estimate(here, request()) == 0
    assert TABLE.actual("local", "anything", None) == 0
    assert TABLE.describe(here)["free"] is True


def test_without_usage_the_cost_of_a_priced_model_is_unknown():
    assert TABLE.actual("openai", "gpt-image-2", None) is None


def test_written_output_has_its_own_price_where_there_is_one():
    usage = Usage(output_tokens=1_000, output_text_tokens=400)

    assert TABLE.actual("openai", "gpt-image-1.5", usage) == 600 * 32 + 400 * 10
    assert TABLE.actual("openai", "gpt-image-2", usage) == 1_000 * 30


def test_half_a_micro_dollar_goes_to_the_even_neighbour():
    assert [TABLE.actual("openai", "gpt-image-1-mini", Usage(input_image_tokens=n)) for n in (1, 3)] == [2, 8]


counts = st.integers(0, 10**9)


@given(counts, counts, counts)
def test_the_actual_cost_is_the_exact_product(words, pictures, drawn):
    usage = Usage(input_text_tokens=words, input_image_tokens=pictures, output_tokens=drawn)
    exact = Decimal(words) * 5 + Decimal(pictures) * 8 + Decimal(drawn) * 30

    assert TABLE.actual("openai", "gpt-image-2.5-flare", usage) == int(exact.to_integral_value(ROUND_HALF_EVEN))


@given(
    st.sampled_from(sorted(SPECS)),
    st.integers(1, 240),
    st.integers(1, 240),
    st.integers(1, 10),
    st.text(max_size=200),
)
def test_more_pixels_pictures_or_words_never_cost_less(model, across, down, n, prompt):
    spec = SPECS[model]
    size = (across * 16, down * 16)
    for quality in spec.qualities:
        one = TABLE.estimate(spec, request(model, quality, size))
        many = TABLE.estimate(spec, request(model, quality, size, prompt, n))
        assert 0 < one <= many
    dearer = [TABLE.estimate(spec, request(model, quality, size)) for quality in spec.qualities]
    assert dearer == sorted(dearer)


def test_the_description_is_plain_json_with_exact_money():
    told = json.loads(json.dumps(TABLE.describe(SPECS["gpt-image-2"])))

    assert told["per_image"]["1024x1024"] == {"low": "0.006000", "medium": "0.053000", "high": "0.211000"}
    assert told["tokens_per_million"] == {"text_in": "5.00", "image_in": "8.00", "image_out": "30.00"}
    assert (told["derived"], told["checked"]) == (False, "2026-11-20")


def test_a_derived_price_says_so():
    assert TABLE.describe(SPECS["gpt-image-2.6-flare"])["derived"] is True


def test_every_price_is_dated_and_sourced():
    assert date(2026, 11, 1) <= TABLE.as_of
    for spec in SPECS.values():
        told = TABLE.describe(spec)
        assert told["source"]
        assert date.fromisoformat(told["checked"]) <= TABLE.as_of


def test_an_operators_file_replaces_the_models_that_it_names(tmp_path):
    override = tmp_path / "prices.yaml"
    override.write_text(
        "providers: {openai: {gpt-image-2: {checked: 2026-12-01, source: contract, "
        'per_image: {1024x1024: {low: "0.001", medium: "0.02", high: "0.1"}}}}}'
    )

    table = PriceTable.load(override)

    assert table.estimate(SPECS["gpt-image-2"], request()) == 20_000
    assert table.estimate(SPECS["gpt-image-1.5"], request("gpt-image-1.5")) == 34_000
    assert table.as_of == TABLE.as_of


@pytest.mark.parametrize(
    "written",
    [
        "just words",
        "providers: {openai: {m: {checked: 2026-12-01, source: x, per_image: {1024x1024: {low: 0.1}}}}}",
        'providers: {openai: {m: {checked: 2026-12-01, source: x, per_image: {1024x1024: {low: "-1"}}}}}',
        "providers: {openai: {m: {checked: 2026-12-01, source: x}}}",
        "providers: {openai: {m: {checked: 2026-12-01, source: x, free: true, prise: 1}}}",
        "providers: {openai: {m: {checked: 2026-12-01, source: x, output_tokens: {1024x1024: {low: 5}}}}}",
        'providers: {openai: {m: {free: true, checked: 2026-12-01, source: x, per_image: {1x1: {low: "1"}}}}}',
    ],
)
def test_a_file_that_is_no_price_table_is_refused(tmp_path, written):
    override = tmp_path / "prices.yaml"
    override.write_text(written)

    with pytest.raises(ValueError):
        PriceTable.load(override)
