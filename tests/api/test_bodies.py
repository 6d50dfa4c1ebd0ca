"""What a body may be: JSON that means the same to everybody, or a refusal, never a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from imagegen.api.v1.openapi import document
from tests.api.conftest import Api


@pytest.fixture
def settings_values() -> dict[str, object]:
    """All providers can be asked for; nothing here ever calls them."""
    return {"openai_api_key": SecretStr("sk-test"), "openai_base_url": "http://127.0.0.1:9"}


POSTS = ("images/generate", "images/generate/estimate-cost")
DEEP = 10_000


BROKEN: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "no JSON": (b"prompt", 400),
    "cut": (b'{"prompt": "x"', 400),
    "two": (b'{"prompt": "x"} {}', 400),
    "byte order mark": (b'\xef\xbb\xbf{"prompt": "x"}', 400),
    "no UTF-8": (b'{"prompt": "\xff\xfe"}', 400),
    "UTF-16": ('{"prompt": "x"}'.encode("utf-16"), 400),
    "NaN": (b'{"prompt": "x", "n": NaN}', 400),
    "infinity": (b'{"prompt": "x", "n": -Infinity}', 400),
    "beyond a float": (b'{"prompt": "x", "n": 1e400}', 400),
    "5,000 digits": (b'{"prompt": "x", "seed": 1%s}' % (b"0" * 5000), 400),
    "50 digits": (b'{"prompt": "x", "seed": 1%s}' % (b"0" * 50), 422),
    "a field twice": (b'{"prompt": "x", "prompt": "y"}', 400),
    "a field twice, the same": (b'{"prompt": "x", "n": 1, "n": 1}', 400),
    "deep": (b'{"prompt": %s%s}' % (b"[" * DEEP, b"]" * DEEP), 400),
    "deep and cut": (b"[" * DEEP, 400),
    "rather deep": (b'{"prompt": "x", "n": %s1%s}' % (b"[" * 300, b"]" * 300), 400),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "a string": (b'"x"', 422),
    "a number": (b"1", 422),
    "half a character": (b'{"prompt": "\\ud800"}', 400),
    "half a character as a name": (b'{"prompt": "x", "\\ud800": 1}', 400),
    "a broken number": (b'{"prompt": "x", "n": 1.5}', 422),
    "a whole number written as a float": (b'{"prompt": "x", "n": 1e0}', 422),
}


@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_is_not_a_request_is_refused_in_words(api: Api, path: str) -> None:
    answers = {
        name: api.send("POST", path, data=body, headers={"Content-Type": "application/json"})
        for name, (body, _) in BROKEN.items()
    }

    assert {name: answer.status_code for name, answer in answers.items()} == {
        name: status for name, (_, status) in BROKEN.items()
    }
    for answer in answers.values():
        assert answer.mimetype == "application/problem+json"
        assert answer.get_json()["detail"]
    assert api.get("jobs").get_json()["items"] == []


@pytest.mark.parametrize("path", POSTS)
def test_another_content_type_is_refused(api: Api, path: str) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", ""):
        response = api.send("POST", path, data=b'{"prompt": "x"}', headers={"Content-Type": content_type})

        assert (response.status_code, response.mimetype) == (415, "application/problem+json"), content_type


def test_a_charset_beside_the_content_type_changes_nothing(api: Api) -> None:
    response = api.send(
        "POST",
        POSTS[1],
        data='{"prompt": "Åhus"}'.encode(),
        headers={"Content-Type": "application/json; charset=UTF-8"},
    )

    assert response.status_code == 200


def test_a_body_of_more_than_a_mebibyte_is_refused(api: Api) -> None:
    for path in POSTS:
        response = api.post(path, {"prompt": "x" * (1024 * 1024)})

        assert (response.status_code, response.mimetype) == (413, "application/problem+json")


def test_another_method_is_refused(api: Api) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        response = api.client.open("/api/v1/images/generate/estimate-cost", method=method, headers=api.headers)

        assert (response.status_code, response.mimetype) == (405, "application/problem+json"), method
        assert "POST" in response.headers["Allow"]


def test_an_address_that_is_not_there_is_a_problem_too(api: Api) -> None:
    response = api.client.get("/api/v1/no-such-thing", headers=api.headers)

    assert (response.status_code, response.mimetype) == (404, "application/problem+json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
LIKELY = {
    "model": st.text(max_size=5),
    "negative_prompt": st.text(max_size=5),
    "prompt": st.text(min_size=1, max_size=40),
    "provider": st.sampled_from(["local", "openai"]),
    "aspect_ratio": st.sampled_from(["1:1", "4:5", "0:0", ":"]),
    "aspect_ratios": st.lists(st.sampled_from(["1:1", "9:16", ""]), max_size=7),
    "size": st.from_regex(r"[0-9]{1,6}x[0-9]{1,6}", fullmatch=True),
    "quality": st.sampled_from(["low", "high", "hd", "auto", ""]),
    "style": st.sampled_from(["modern", "photo", ""]),
    "n": st.integers(-1, 12),
    "seed": st.integers(-1, 2**33),
    "background": st.sampled_from(["auto", "transparent", ""]),
    "output_format": st.sampled_from(["png", "jpeg", "webp", "gif"]),
}
BODIES = st.dictionaries(st.sampled_from(list(LIKELY)), JSON, max_size=5) | st.fixed_dictionaries({}, optional=LIKELY)


PARAMETERS = ["limit", "cursor", "count", "filter", "sort", "status", "no-such"]


@pytest.mark.parametrize("path", POSTS)
@settings(max_examples=60)
@given(body=BODIES | JSON)
def test_no_body_whatever_ends_in_a_fault_of_ours(api: Api, path: str, body: Any) -> None:
    response = api.send("POST", path, data=json.dumps(body), headers={"Content-Type": "application/json"})

    assert response.status_code in (200, 202, 400, 422)
    if response.status_code < 300:
        components = document()["components"]
        name = {"images/generate": "GenerateBody"}.get(path, "EstimateBody")
        schema = {"$ref": f"#/components/schemas/{name}", "components": components}
        assert Draft202012Validator(schema).is_valid(body)


@settings(max_examples=60)
@given(query=st.dictionaries(st.sampled_from(PARAMETERS), st.text(), max_size=3))
@pytest.mark.parametrize("path", ["images", "jobs"])
def test_no_query_whatever_ends_in_a_fault_of_ours(api: Api, path: str, query: dict[str, str]) -> None:
    assert api.get(path, query_string=query).status_code in (200, 422)
