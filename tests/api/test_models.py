"""The models by program."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from imagegen.providers.base import Availability
from imagegen.providers.openai import OpenAIProvider
from tests.api.conftest import Api


@pytest.fixture
def settings_values() -> dict[str, object]:
    """All providers can be asked for; nothing here ever calls them."""
    return {"openai_api_key": SecretStr("sk-test"), "openai_base_url": "http://127.0.0.1:9"}


def test_all_models_are_in_one_list_those_too_that_are_not_set_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenAIProvider, "available", lambda _: Availability(False, "Set a key."))

    listed = api.get("models").get_json()

    assert listed["next_cursor"] is None
    available = {(model["provider"], model["available"]) for model in listed["items"]}
    assert available == {("local", True), ("openai", False)}
    keys = ["id", "provider", "label", "available", "operations", "sizes", "limits", "prices"]
    assert all(list(model) == keys for model in listed["items"])


def test_a_model_is_found_by_its_id_and_draws_the_sizes_that_it_names(api: Api) -> None:
    for model in api.get("models").get_json()["items"]:
        for size in model["sizes"]:
            body = {"provider": model["provider"], "model": model["id"], "size": size}

            assert api.post("images/generate/estimate-cost", body).status_code == 200, (model["id"], size)


def test_a_model_takes_what_its_limits_say(api: Api) -> None:
    for model in api.get("models").get_json()["items"]:
        limits = model["limits"]
        body = {"provider": model["provider"], "model": model["id"], "n": limits["variants"]}
        for quality in limits["qualities"] or [None]:
            for output_format in limits["output_formats"]:
                asked = body | {"quality": quality, "output_format": output_format}
                assert api.post("images/generate/estimate-cost", asked).status_code == 200, asked
        assert api.post("images/generate/estimate-cost", body | {"n": limits["variants"] + 1}).status_code == 422
        longest = body | {"prompt": "x" * limits["prompt_characters"], "n": 1}
        assert api.post("images/generate/estimate-cost", longest).status_code == 200
        too_long = longest | {"prompt": longest["prompt"] + "x"}
        assert api.post("images/generate/estimate-cost", too_long).status_code == 422


def test_prices_are_decimal_strings_or_said_to_be_unknown(api: Api) -> None:
    for model in api.get("models").get_json()["items"]:
        prices = model["prices"]
        assert prices["currency"] == "USD"
        if prices["known"] and not prices["free"]:
            assert prices["checked"] and prices["source"]
            for row in prices["per_image"].values():
                assert all(len(usd.partition(".")[2]) == 6 for usd in row.values())
