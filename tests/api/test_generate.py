"""Asking for pictures by program: what is accepted, what it says, what it costs."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from imagegen.extensions import runtime
from imagegen.providers.sizes import RATIOS
from tests.api.conftest import Api, MakeApi
from tests.conftest import MakePerson, Person

Work = Callable[[], None]

MONEY = re.compile(r"\d+\.\d{6}")


@pytest.fixture
def settings_values() -> dict[str, object]:
    """A provider with prices, which nothing here ever calls."""
    return {"openai_api_key": SecretStr("sk-test"), "openai_base_url": "http://127.0.0.1:9"}


def test_a_request_is_accepted_as_a_job_with_its_place(api: Api) -> None:
    response = api.post("images/generate", {"prompt": "violet waves", "provider": "local", "n": 2, "seed": 7})

    assert response.status_code == 202
    job = response.get_json()
    assert response.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["kind"], job["status"]) == ("generate", "queued")
    assert job["progress"] == {"done": 0, "total": 2, "percent": 0}
    assert [(shot["index"], shot["status"], shot["image_id"]) for shot in job["shots"]] == [
        (0, "waiting", None),
        (1, "waiting", None),
    ]
    assert job["cost"] == {"estimated": "0.000000", "actual": "0.000000", "currency": "USD"}
    assert (job["images"], job["error"], job["started_at"], job["finished_at"]) == ([], None, None, None)


def test_the_finished_job_lists_its_pictures(api: Api, work: Work) -> None:
    accepted = api.make(n=2, aspect_ratio="4:5")

    work()

    job = api.get(f"images/generate/status/{accepted['id']}").get_json()
    assert job == api.get(f"jobs/{accepted['id']}").get_json()
    assert (job["status"], job["progress"]) == ("succeeded", {"done": 2, "total": 2, "percent": 100})
    assert [shot["image_id"] for shot in job["shots"]] == [image["id"] for image in job["images"]]
    for image in job["images"]:
        assert image["width"] * 5 == image["height"] * 4
        assert api.get(image["url"]).mimetype == image["mime_type"]
        assert api.get(image["thumbnail_url"]).mimetype == "image/webp"


def test_one_key_makes_one_job_however_often_it_is_sent(api: Api) -> None:
    key = {"Idempotency-Key": "order-4711"}
    body = {"prompt": "violet waves", "provider": "local"}

    first = api.post("images/generate", body, headers=key)
    again = api.post("images/generate", body, headers=key)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.get_json()["id"] == first.get_json()["id"]
    assert len(api.get("jobs").get_json()["items"]) == 1


def test_a_key_is_refused_for_another_request(api: Api) -> None:
    key = {"Idempotency-Key": "order-4711"}
    api.post("images/generate", {"prompt": "violet waves", "provider": "local"}, headers=key)

    response = api.post("images/generate", {"prompt": "amber dunes", "provider": "local"}, headers=key)

    assert response.status_code == 409
    assert "key" in response.get_json()["detail"].lower()


def test_one_persons_key_is_nothing_to_another(api: Api, other: Api) -> None:
    body = {"prompt": "violet waves", "provider": "local"}

    mine = api.post("images/generate", body, headers={"Idempotency-Key": "same"}).get_json()
    theirs = other.post("images/generate", body, headers={"Idempotency-Key": "same"}).get_json()

    assert mine["id"] != theirs["id"]


def test_a_key_is_visible_ascii_of_at_most_255_characters(api: Api) -> None:
    for key in ("", " ", "a b", "k" * 256, "schl\xfcssel", "tab\there"):
        body = {"prompt": "violet waves", "provider": "local"}

        response = api.post("images/generate", body, headers={"Idempotency-Key": key})

        assert response.status_code == 422, key
        assert response.get_json()["errors"] == [
            {"field": "Idempotency-Key", "message": "A key has 1 to 255 visible ASCII characters."}
        ]


def test_a_key_of_255_characters_is_taken(api: Api) -> None:
    body = {"prompt": "violet waves", "provider": "local"}

    assert api.post("images/generate", body, headers={"Idempotency-Key": "~" * 255}).status_code == 202


def test_several_ratios_make_several_shapes(api: Api) -> None:
    assert api.make(aspect_ratios=["1:1", "9:16"], n=2)["progress"]["total"] == 4


IMPOSSIBLE: list[tuple[dict[str, object], str]] = [
    ({}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": " \n\u0000"}, "prompt"),
    ({"prompt": "x", "n": 0}, "n"),
    ({"prompt": "x", "n": -1}, "n"),
    ({"prompt": "x", "n": 11}, "n"),
    ({"prompt": "x", "n": 1_000_000_000}, "n"),
    ({"prompt": "x", "n": "2"}, "n"),
    ({"prompt": "x", "n": True}, "n"),
    ({"prompt": "x", "n": None}, "n"),
    ({"prompt": ["x"]}, "prompt"),
    ({"prompt": "x", "seed": -1}, "seed"),
    ({"prompt": "x", "seed": 2**32}, "seed"),
    ({"prompt": "x", "size": "99999x99999"}, "size"),
    ({"prompt": "x", "size": "0x0"}, "size"),
    ({"prompt": "x", "size": "large"}, "size"),
    ({"prompt": "x", "size": 1024}, "size"),
    ({"prompt": "x", "aspect_ratio": "7:3"}, "aspect_ratio"),
    ({"prompt": "x", "style": "no such"}, "style"),
    ({"prompt": "x", "provider": "no such"}, "provider"),
    ({"prompt": "x", "model": "no such"}, "model"),
    ({"prompt": "x", "quality": "no such", "provider": "openai"}, "quality"),
    ({"prompt": "x", "background": "no such"}, "background"),
    ({"prompt": "x", "output_format": "exe"}, "output_format"),
    ({"prompt": "x", "promt": "y"}, "promt"),
    ({"prompt": "x", "organisation_id": 2}, "organisation_id"),
    ({"prompt": "x", "estimated_micro": 0}, "estimated_micro"),
]


def test_what_cannot_be_made_is_refused_with_the_field_and_a_sentence(api: Api) -> None:
    for body, field in IMPOSSIBLE:
        response = api.post("images/generate", body)

        assert (response.status_code, response.mimetype) == (422, "application/problem+json"), body
        problem = response.get_json()
        assert field in [error["field"] for error in problem["errors"]], body
        assert problem["detail"]
    assert api.get("jobs").get_json()["items"] == []


def test_ratio_and_size_together_are_refused(api: Api) -> None:
    response = api.post("images/generate", {"prompt": "x", "size": "1024x1024", "aspect_ratio": "1:1"})

    assert response.status_code == 422


def test_a_token_that_only_reads_makes_nothing(ann: Person, make_api: MakeApi) -> None:
    reader = make_api(ann, "read")

    refused = reader.post("images/generate", {"prompt": "x"})
    assert refused.status_code == 403 and "not with this token" in refused.get_json()["detail"]
    assert reader.post("images/generate/estimate-cost", {"prompt": "x"}).status_code == 200
    assert reader.get("jobs").get_json()["items"] == []


def test_a_viewer_makes_nothing_whatever_the_token_says(make_person: MakePerson, make_api: MakeApi) -> None:
    viewer = make_api(make_person("vera@one.example", "One", role="viewer"))

    refused = viewer.post("images/generate", {"prompt": "x"})
    assert refused.status_code == 403 and "Your role" in refused.get_json()["detail"]


def test_a_browser_needs_its_csrf_token(ann: Person) -> None:
    body = {"prompt": "violet waves", "provider": "local"}

    refused = ann.client.post("/api/v1/images/generate", json=body)
    accepted = ann.client.post("/api/v1/images/generate", json=body, headers={"X-CSRFToken": ann.csrf()})

    assert (refused.status_code, refused.mimetype) == (400, "application/problem+json")
    assert accepted.status_code == 202


def test_the_estimate_is_what_the_price_table_says_of_the_exact_request(api: Api) -> None:
    body = {"provider": "openai", "size": "1024x1024", "quality": "low", "prompt": "violet waves", "n": 3}

    estimate = api.post("images/generate/estimate-cost", body).get_json()
    job = api.post("images/generate", body).get_json()

    assert MONEY.fullmatch(estimate["estimated"]) and float(estimate["estimated"]) > 0
    assert float(estimate["per_shot"]) * 3 == pytest.approx(float(estimate["estimated"]))
    assert estimate["currency"] == "USD"
    assert job["cost"]["estimated"] == estimate["estimated"]


def test_an_estimate_needs_no_prompt(api: Api) -> None:
    for body in ({}, {"prompt": ""}, {"prompt": " "}):
        response = api.post("images/generate/estimate-cost", {**body, "provider": "openai"})

        assert response.status_code == 200
        assert float(response.get_json()["estimated"]) > 0


def test_an_estimate_of_an_unknown_price_is_null_and_not_zero(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(runtime.prices), "estimate", lambda *_: None)

    estimate = api.post("images/generate/estimate-cost", {"prompt": "x"}).get_json()

    assert estimate == {"estimated": None, "per_shot": None, "currency": "USD"}


def test_an_estimate_makes_nothing(api: Api) -> None:
    api.post("images/generate/estimate-cost", {"prompt": "x"})

    assert api.get("jobs").get_json()["items"] == []


@pytest.mark.parametrize("provider", ["local", "openai"])
def test_every_ratio_says_what_is_drawn_and_delivered(api: Api, provider: str) -> None:
    sizes = api.get(f"images/generate/sizes?provider={provider}").get_json()

    assert sizes["provider"] == provider
    assert [option["aspect_ratio"] for option in sizes["items"]] == list(RATIOS)
    for option in sizes["items"]:
        drawn, delivered = (tuple(map(int, option[key].split("x"))) for key in ("drawn", "delivered"))
        assert delivered[0] <= drawn[0] and delivered[1] <= drawn[1]
    square = sizes["items"][0]
    assert square["exact"] and len(set(square["delivered"].split("x"))) == 1


def test_sizes_of_a_model_that_is_not_there_are_refused(api: Api) -> None:
    for query in ("provider=no-such", "model=no-such", "modell=x", "provider=local&provider=openai"):
        assert api.get(f"images/generate/sizes?{query}").status_code == 422, query
