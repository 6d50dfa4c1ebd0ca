"""From shapes to sizes: legal, exact, no smaller than a platform wants, and nothing cut off unasked."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegen.providers.base import SizeRule
from imagegen.providers.errors import ProviderError
from imagegen.providers.openai_models import COMPATIBLE_MODELS, GPT_IMAGE_MODELS
from imagegen.providers.sizes import (
    MOST_TRIMMED,
    RATIOS,
    crop_to,
    exact_size,
    nearest_size,
    parse_size,
    size_for_ratio,
)

FREE, LISTED = GPT_IMAGE_MODELS[0], GPT_IMAGE_MODELS[-1]
TIMES = "\N{MULTIPLICATION SIGN}"
ALL = [(spec, ratio) for spec in GPT_IMAGE_MODELS + COMPATIBLE_MODELS for ratio in RATIOS]


def share(part, whole) -> Fraction:
    return Fraction(part[0] * part[1], whole[0] * whole[1])


@pytest.mark.parametrize(("spec", "ratio"), ALL, ids=lambda value: getattr(value, "id", value))
def test_every_ratio_gives_a_size_that_the_model_draws_and_a_crop_that_fits(spec, ratio):
    choice = size_for_ratio(spec, ratio)

    assert spec.draws(choice.size)
    assert not (choice.crop and choice.offered)
    for part in (choice.crop, choice.offered):
        assert part is None or (part[0] <= choice.width and part[1] <= choice.height)


@pytest.mark.parametrize(("spec", "ratio"), ALL, ids=lambda value: getattr(value, "id", value))
def test_little_is_cut_off_unasked_and_more_is_offered(spec, ratio):
    choice = size_for_ratio(spec, ratio)

    if choice.crop:
        assert 1 - share(choice.crop, choice.size) <= MOST_TRIMMED
    if choice.offered:
        assert 1 - share(choice.offered, choice.size) > MOST_TRIMMED
        assert choice.delivered == choice.size


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_free_model_delivers_the_exact_shape_no_smaller_than_the_platform_wants(ratio):
    wanted = RATIOS[ratio]
    width, height = size_for_ratio(FREE, ratio).delivered

    assert width >= wanted.wanted[0]
    assert height >= wanted.wanted[1]
    assert abs(width - height * wanted.value) < 1
    assert size_for_ratio(FREE, ratio).offered is None


def test_the_usual_sizes_are_what_one_would_choose_by_hand():
    chosen = {ratio: size_for_ratio(FREE, ratio) for ratio in ("1:1", "4:5", "9:16")}

    assert (chosen["1:1"].size, chosen["1:1"].crop) == ((1088, 1088), None)
    assert (chosen["4:5"].size, chosen["4:5"].crop) == ((1088, 1360), None)
    assert (chosen["9:16"].size, chosen["9:16"].crop) == ((1088, 1920), (1080, 1920))


def test_a_model_with_few_sizes_offers_the_crop_instead_of_doing_it():
    choice = size_for_ratio(LISTED, "4:5")

    assert (choice.size, choice.crop, choice.offered) == ((1024, 1536), None, (1024, 1280))


def test_of_two_sizes_with_one_shape_the_one_that_is_large_enough_is_taken():
    spec = replace(LISTED, sizes=((512, 512), (2048, 2048), (4096, 4096)))

    assert size_for_ratio(spec, "1:1").size == (2048, 2048)


def test_where_none_is_large_enough_the_largest_is_taken():
    spec = replace(LISTED, sizes=((256, 256), (1024, 1024), (512, 512)))

    assert size_for_ratio(spec, "1:1").size == (1024, 1024)


def test_an_unknown_ratio_is_a_sentence_that_names_the_known():
    with pytest.raises(ProviderError, match=r"no aspect ratio “7:3”.*1:1, 4:5") as caught:
        size_for_ratio(FREE, "7:3")
    assert caught.value.field == "aspect_ratio"


def test_an_exact_size_that_is_drawn_is_taken_as_it_is():
    assert exact_size(FREE, (1024, 1792)).size == (1024, 1792)
    assert exact_size(FREE, "1792x1024").size == (1792, 1024)


@pytest.mark.parametrize(
    ("size", "nearest"),
    [((1000, 1000), "992"), ((100, 100), "816"), ((9999, 9999), "2880"), ((5000, 100), "1440")],
)
def test_an_exact_size_that_is_not_drawn_names_the_nearest(size, nearest):
    with pytest.raises(ProviderError, match=nearest) as caught:
        exact_size(FREE, size)
    assert caught.value.field == "size"


@pytest.mark.parametrize("text", ["1024x1792", " 1024 X 1792 ", f"1024 {TIMES} 1792", "1024*1792"])
def test_a_size_may_be_written_in_several_ways(text):
    assert parse_size(text) == (1024, 1792)


@pytest.mark.parametrize(
    "text", ["", "1024", "0x10", "10x0", "-5x5", "axb", "1e3x5", "99999x99999", "1x2x3", "\u0661x\u0662"]
)
def test_what_is_no_size_is_a_sentence(text):
    with pytest.raises(ProviderError, match="like 1024x1280"):
        parse_size(text)


sizes = st.tuples(st.integers(1, 8192), st.integers(1, 8192))


@given(sizes)
def test_the_nearest_size_is_always_drawn_and_is_the_size_itself_if_that_is(size):
    for spec in (FREE, LISTED):
        nearest = nearest_size(spec, size)
        assert spec.draws(nearest)
        assert not spec.draws(size) or nearest == size


@given(sizes, st.sampled_from(sorted(RATIOS)))
def test_a_crop_lies_inside_and_has_the_shape_to_the_pixel(size, ratio):
    value = RATIOS[ratio].value
    width, height = crop_to(size, value)

    assert 0 <= width <= size[0]
    assert 0 <= height <= size[1]
    assert abs(width - height * value) <= max(1, value)


rules = st.builds(
    lambda multiple, edge: SizeRule(
        multiple=multiple, min_ratio=0.3, max_ratio=3.5, max_edge=edge, min_pixels=1, max_pixels=edge * edge
    ),
    st.sampled_from([1, 2, 8, 16, 64]),
    st.integers(256, 2048),
)


@given(rules, st.sampled_from(sorted(RATIOS)))
def test_any_rule_has_a_size_for_any_ratio(rule, ratio):
    spec = replace(FREE, sizes=rule)
    choice = size_for_ratio(spec, ratio)

    assert spec.draws(choice.size)
    assert choice.delivered[0] * choice.delivered[1] > 0
