"""From a request to pictures to be made: sizes, seeds, styles, prices, and refusals that name their field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from imagegen.core.errors import StudioError
from imagegen.extensions import runtime
from imagegen.providers.sizes import RATIOS
from imagegen.services.generation import LARGEST_SEED, GenerationRequest, Plan, plan

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.databases("sqlite")]  # nothing is planned with rows


class WithKey:
    """Settings with which OpenAI can be used."""

    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        """A key, and an address where nobody listens."""
        return {"openai_api_key": "sk-never-sent", "openai_base_url": "http://127.0.0.1:9/v1"}


def planned(**wishes: Any) -> Plan:
    """Work a request out."""
    return plan(GenerationRequest(**({"prompt": "a lighthouse in fog", "provider": "local"} | wishes)))


def test_every_shape_is_made_in_every_variant_in_order() -> None:
    made = planned(aspect_ratios=("1:1", "9:16"), n=3)

    assert [shot.ratio for shot in made.shots] == ["1:1"] * 3 + ["9:16"] * 3


def test_a_shape_asked_for_twice_is_made_once() -> None:
    assert [shot.ratio for shot in planned(aspect_ratios=("1:1", "4:5", "1:1")).shots] == ["1:1", "4:5"]


@pytest.mark.parametrize("ratio", sorted(RATIOS))
def test_the_finished_picture_has_exactly_the_shape_that_was_asked_for(ratio: str) -> None:
    (shot,) = planned(aspect_ratio=ratio).shots

    width, height = shot.size
    exact = RATIOS[ratio].value
    assert abs(width / height - exact) * min(width, height) <= 1
    asked = shot.request
    assert width <= asked.width
    assert height <= asked.height
    assert asked.width * asked.height * 0.98 <= width * height


def test_an_exact_size_is_made_as_it_is() -> None:
    (shot,) = planned(size="1080x1350").shots

    assert (shot.size, shot.ratio) == ((1080, 1350), None)


def test_without_a_shape_it_is_the_models_own() -> None:
    made = planned()

    assert [shot.size for shot in made.shots] == [made.spec.default_size]


def test_variants_have_seeds_one_after_the_other_that_are_the_same_for_every_shape() -> None:
    made = planned(seed=41, n=3, aspect_ratios=("1:1", "4:5"))

    assert [shot.request.seed for shot in made.shots] == [41, 42, 43] * 2


def test_the_largest_seed_is_followed_by_the_smallest() -> None:
    assert [shot.request.seed for shot in planned(seed=LARGEST_SEED, n=2).shots] == [LARGEST_SEED, 0]


def test_without_a_seed_one_is_chosen_anew_each_time_and_written_down() -> None:
    seeds = {planned().shots[0].request.seed for _ in range(5)}

    assert len(seeds) == 5
    assert all(isinstance(seed, int) and 0 <= seed <= LARGEST_SEED for seed in seeds)


def test_a_style_wraps_the_words_and_adds_to_what_is_kept_out() -> None:
    (shot,) = planned(style="vintage", negative_prompt="people").shots

    assert "a lighthouse in fog" in shot.request.prompt
    assert shot.request.prompt != "a lighthouse in fog"
    assert shot.request.negative_prompt.startswith("people")


@settings(max_examples=40)
@given(words=st.text(min_size=1, max_size=200).filter(lambda text: text.strip(" {}")))
def test_a_persons_words_are_put_in_as_they_are_and_never_parsed(words: str) -> None:
    try:
        request = GenerationRequest(prompt=words, provider="local", style="modern")
    except ValidationError:
        return  # nothing is left of them once they are cleaned

    assert request.prompt in plan(request).shots[0].request.prompt


REFUSED = [
    ({"prompt": "x" * 100_000}, "prompt"),
    ({"aspect_ratio": "7:3"}, "aspect_ratio"),
    ({"size": "1x1"}, "size"),
    ({"size": "60000x60000"}, "size"),
    ({"style": "no such style"}, "style"),
    ({"provider": "nobody"}, "provider"),
    ({"model": "no-such-model"}, "model"),
    ({"background": "transparent"}, "background"),
    ({"output_format": "bmp"}, "output_format"),
    ({"provider": "openai"}, "provider"),
]


@pytest.mark.parametrize(("wish", "field"), REFUSED, ids=[f"{field}-{n}" for n, (_, field) in enumerate(REFUSED)])
def test_what_cannot_be_done_is_refused_with_its_field_and_a_sentence(wish: dict[str, Any], field: str) -> None:
    with pytest.raises(StudioError) as refused:
        planned(**wish)
    assert refused.value.field == field
    assert refused.value.message.endswith((".", "…"))


@pytest.mark.parametrize(
    "wish",
    [
        {"prompt": ""},
        {"prompt": " \n\t\x00 "},
        {"n": 0},
        {"n": 11},
        {"seed": -1},
        {"seed": LARGEST_SEED + 1},
        {"size": "large"},
        {"aspect_ratio": "1:1", "size": "1024x1024"},
        {"aspect_ratios": ("1:1",), "aspect_ratio": "1:1"},
        {"unheard": "of"},
    ],
)
def test_what_is_no_request_is_none(wish: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GenerationRequest(**({"prompt": "a lighthouse"} | wish))


def test_an_empty_choice_of_a_form_is_no_choice() -> None:
    request = GenerationRequest(
        prompt=" a lighthouse\r\nin fog ", provider="", model="", aspect_ratio="", size="", style="", seed=""
    )

    assert request == GenerationRequest(prompt="a lighthouse\nin fog")


def test_what_the_studio_draws_itself_costs_nothing_which_is_known() -> None:
    assert planned(n=4).estimate == 0


class TestWithAKey(WithKey):
    """What a provider with limits and prices adds."""

    def test_the_price_of_the_whole_is_the_sum_of_its_pictures(self) -> None:
        made = planned(provider="openai", quality="low", n=3)

        assert made.estimate == sum(shot.estimate for shot in made.shots) > 0

    def test_one_unknown_price_makes_the_whole_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(runtime.prices), "estimate", lambda *_: None)

        assert planned(provider="openai", n=2).estimate is None

    def test_a_model_without_seeds_gets_none_and_refuses_one(self) -> None:
        assert planned(provider="openai").shots[0].request.seed is None
        with pytest.raises(StudioError) as refused:
            planned(provider="openai", seed=1)
        assert refused.value.field == "seed"

    def test_a_persons_negative_words_are_refused_where_a_model_takes_none_and_a_styles_are_left_out(self) -> None:
        assert planned(provider="openai", style="vintage").shots[0].request.negative_prompt is None
        with pytest.raises(StudioError) as refused:
            planned(provider="openai", negative_prompt="people")
        assert refused.value.field == "negative_prompt"

    def test_without_a_choice_the_provider_with_a_key_draws(self) -> None:
        assert planned(provider=None).provider.id == "openai"
