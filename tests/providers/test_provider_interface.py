"""What every provider gets from the interface: requests that a model cannot do never leave the house."""

from __future__ import annotations

import time
from dataclasses import FrozenInstanceError, replace
from datetime import date

import pytest
from pydantic import SecretStr

from imagegen.providers.base import (
    Accepted,
    Availability,
    Feature,
    ImagePayload,
    ImageRequest,
    ImageResult,
    ModelSpec,
    Operation,
    Provider,
    ProviderConfig,
    SizeRule,
    Usage,
    check,
)
from imagegen.providers.errors import Outcome, ProviderError

RULE = SizeRule(multiple=16, min_ratio=0.5, max_ratio=2.0, max_edge=2048, min_pixels=65_536, max_pixels=2_097_152)
SPEC = ModelSpec(
    id="brush",
    provider="studio",
    label="Brush",
    summary="Paints.",
    sizes=RULE,
    default_size=(1024, 1024),
    max_prompt_chars=100,
    qualities=("low", "high"),
    default_quality="low",
    output_formats=("png", "jpeg"),
    max_images_per_call=2,
    typical_seconds={"low": 3.0},
)
GOOD = ImageRequest(model="brush", prompt="a pear", width=1024, height=1024)


class Painter(Provider):
    id = "studio"
    label = "Studio"

    def __init__(self, config=None, pictures=1):
        super().__init__(config or ProviderConfig())
        self.calls = 0
        self.pictures = pictures
        self.ready = Availability(True)

    def available(self):
        return self.ready

    def models(self):
        return (SPEC,)

    def _generate(self, spec, request):
        self.calls += 1
        payload = ImagePayload(data=b"x", mime_type="image/png")
        return ImageResult(images=(payload,) * self.pictures, usage=Usage(output_tokens=9), request_id="r1")


CANNOT = {
    "operation": ({"operation": Operation.EDIT}, "edit"),
    "an empty prompt": ({"prompt": " \n"}, "what the picture should show"),
    "a long prompt": ({"prompt": "x" * 101}, "101 characters; Brush reads at most 100"),
    "no picture": ({"n": 0}, "between 1 and 2"),
    "too many": ({"n": 3}, "between 1 and 2"),
    "an odd size": ({"width": 1000}, "1000 \N{MULTIPLICATION SIGN} 1024"),
    "a size of zero": ({"width": 0}, "0 \N{MULTIPLICATION SIGN} 1024"),
    "a huge size": ({"width": 10**9, "height": 10**9}, "does not draw"),
    "a quality": ({"quality": "divine"}, "low, high"),
    "a format": ({"output_format": "webp"}, "png, jpeg"),
    "a background": ({"background": "plaid"}, "plaid"),
    "transparency": ({"background": "transparent"}, "transparent"),
    "a seed": ({"seed": 1}, "seed"),
    "a negative prompt": ({"negative_prompt": "blur"}, "negative"),
}


@pytest.mark.parametrize("case", CANNOT)
def test_what_the_model_cannot_do_is_a_sentence_and_no_call(case):
    fields, words = CANNOT[case]
    painter = Painter()

    with pytest.raises(ProviderError) as caught:
        painter.generate(replace(GOOD, **fields))

    error = caught.value
    assert (error.kind, error.outcome, error.retryable) == ("bad_request", Outcome.NOT_SENT, False)
    assert words in error.message
    assert error.field in {*fields, "size"}
    assert painter.calls == 0


def test_what_the_model_can_do_is_called_once():
    painter = Painter()

    assert painter.generate(GOOD).request_id == "r1"
    assert painter.calls == 1


@pytest.mark.parametrize("pictures", [0, 2])
def test_a_wrong_number_of_pictures_is_billed_and_not_tried_again(pictures):
    with pytest.raises(ProviderError) as caught:
        Painter(pictures=pictures).generate(GOOD)

    error = caught.value
    assert (error.kind, error.outcome, error.retryable) == ("bad_answer", Outcome.ACCEPTED, False)
    assert error.usage == Usage(output_tokens=9)


def test_an_unconfigured_provider_says_why_before_anything_else():
    painter = Painter()
    painter.ready = Availability(False, "Buy some paint.")

    with pytest.raises(ProviderError, match="Buy some paint"):
        painter.generate(GOOD)
    assert painter.calls == 0


@pytest.mark.parametrize(("built_in", "outcome"), [(True, Outcome.REJECTED), (False, Outcome.UNKNOWN)])
def test_a_mistake_in_a_provider_ends_as_an_error_that_is_not_tried_again(built_in, outcome):
    class Broken(Painter):
        def _generate(self, spec, request):
            raise KeyError("a detail for the log alone")

    Broken.built_in = built_in
    with pytest.raises(ProviderError) as caught:
        Broken().generate(GOOD)

    error = caught.value
    assert (error.kind, error.outcome, error.retryable) == ("internal", outcome, False)
    assert "detail" not in error.message


def test_an_unknown_model_is_a_sentence():
    with pytest.raises(ProviderError, match="Studio has no model “pencil”"):
        Painter().generate(replace(GOOD, model="pencil"))


def test_features_open_what_is_otherwise_refused():
    able = replace(SPEC, supports=frozenset({Feature.SEED, Feature.NEGATIVE_PROMPT, Feature.TRANSPARENT}))

    check(able, replace(GOOD, seed=0, negative_prompt="blur", background="transparent"))


def test_transparency_needs_a_format_that_can_carry_it():
    able = replace(SPEC, supports=frozenset({Feature.TRANSPARENT}))

    with pytest.raises(ProviderError, match="PNG or WebP"):
        check(able, replace(GOOD, background="transparent", output_format="jpeg"))


@pytest.mark.parametrize(
    ("asked", "meant"), [(None, "low"), ("auto", "low"), ("low", "low"), ("high", "high"), ("hd", "high")]
)
def test_a_quality_is_understood_by_its_other_names(asked, meant):
    assert SPEC.quality_named(asked) == meant


def test_a_model_with_one_quality_takes_any_word_for_it():
    assert replace(SPEC, qualities=(), default_quality=None).quality_named("high") is None


def test_the_usual_time_is_known_or_none():
    assert SPEC.seconds("low") == 3.0
    assert SPEC.seconds("high") is None


def test_a_coming_end_is_announced_and_a_past_one_told():
    dying = replace(SPEC, shutdown_date=date(2026, 12, 1), replaced_by="chisel")

    assert dying.retires(date(2026, 11, 30)) == "Brush will be shut down on 2026-12-01. Use chisel instead."
    assert dying.retires(date(2026, 12, 1)) == "Brush was shut down on 2026-12-01. Use chisel instead."
    assert SPEC.retires(date(2099, 1, 1)) is None


def test_a_key_shows_in_no_repr():
    config = ProviderConfig(key=SecretStr("sk-canary"), base_url="http://127.0.0.1")

    assert "sk-canary" not in repr(config)


def test_a_request_cannot_be_changed_once_made():
    with pytest.raises(FrozenInstanceError):
        GOOD.n = 5


def test_a_blank_key_is_no_key():
    class Keyed(Painter):
        key_setting = "studio_key"

    class Settings:
        studio_key = SecretStr("  ")

    assert Keyed.config_from(Settings()).key is None


def test_a_key_loses_the_blanks_around_it():
    class Keyed(Painter):
        key_setting = "studio_key"

    class Settings:
        studio_key = " sk-1234\n"

    assert Keyed.config_from(Settings()).key.get_secret_value() == "sk-1234"


class Foundry(Painter):
    """Answers with a receipt first, as services do that are asked again for what they made."""

    def __init__(self, **more):
        super().__init__(**more)
        self.collected = []
        self.trouble = None

    def _generate(self, spec, request):
        self.calls += 1
        return Accepted(
            model=spec.id, n=request.n, receipt="job-of-secret-7", usage=Usage(output_tokens=9), request_id="r1"
        )

    def _collect(self, accepted, seconds):
        self.collected.append((accepted, seconds))
        if self.trouble is not None:
            raise self.trouble
        payload = ImagePayload(data=b"x", mime_type="image/png")
        return ImageResult(images=(payload,) * self.pictures, usage=accepted.usage, request_id=accepted.request_id)


def test_a_receipt_is_told_before_its_pictures_are_fetched():
    foundry, kept = Foundry(), []

    result = foundry.generate(GOOD, lambda accepted: kept.append((accepted, len(foundry.collected))))

    assert result.request_id == "r1"
    [(accepted, fetched_before)] = kept
    assert (accepted.receipt, accepted.n, fetched_before) == ("job-of-secret-7", 1, 0)


def test_a_provider_that_answers_with_pictures_tells_of_no_receipt():
    kept = []

    Painter().generate(GOOD, kept.append)

    assert kept == []


def test_another_process_gets_the_pictures_by_the_receipt_and_asks_for_none_anew():
    kept = []
    Foundry().generate(GOOD, lambda accepted: kept.append(accepted.dumps()))
    foundry = Foundry()

    result = foundry.resume(Accepted.loads(kept[0]), deadline_seconds=7)

    assert (len(result.images), result.usage, result.request_id) == (1, Usage(output_tokens=9), "r1")
    assert foundry.calls == 0
    assert foundry.collected[0][1] == 7


def test_a_receipt_shows_in_no_repr_until_it_is_asked_for():
    accepted = Accepted(model="brush", n=1, receipt="job-of-secret-7")

    assert "secret" not in repr(accepted) + repr(accepted.dumps())
    assert Accepted.loads(accepted.dumps()) == accepted


@pytest.mark.parametrize("text", ["", "[]", '{"model": "brush"}', '{"model": "brush", "n": "x", "receipt": "r"}'])
def test_what_is_no_receipt_is_not_taken_for_one(text):
    with pytest.raises(ValueError):
        Accepted.loads(SecretStr(text))


def test_a_receipt_that_cannot_be_kept_does_not_cost_the_pictures(caplog):
    def broken(accepted):
        raise RuntimeError(accepted.receipt)

    assert Foundry().generate(GOOD, broken).images
    assert "secret" not in caplog.text


def test_fetching_has_what_is_left_of_the_calls_time():
    foundry = Foundry()

    foundry.generate(replace(GOOD, deadline_seconds=50), lambda _: time.sleep(0.05))

    assert 49 < foundry.collected[0][1] < 49.96


@pytest.mark.parametrize("begin", ["generate", "resume"])
def test_a_mistake_while_fetching_was_billed_all_the_same(begin):
    foundry = Foundry()
    foundry.trouble = KeyError("job-of-secret-7")
    accepted = foundry._generate(SPEC, GOOD)

    with pytest.raises(ProviderError) as caught:
        foundry.generate(GOOD) if begin == "generate" else foundry.resume(accepted)

    error = caught.value
    assert (error.kind, error.outcome, error.retryable) == ("internal", Outcome.ACCEPTED, False)
    assert (error.usage, error.request_id) == (Usage(output_tokens=9), "r1")
    assert "secret" not in error.message


def test_a_receipt_for_another_number_of_pictures_is_said_so():
    with pytest.raises(ProviderError, match="another number of pictures"):
        Foundry(pictures=2).generate(GOOD)
