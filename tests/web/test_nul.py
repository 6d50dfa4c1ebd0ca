"""NUL, which no database of ours stores: refused in words wherever text comes in, whatever the route."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.routing import Rule
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from imagegen.api.v1.openapi import spec
from imagegen.api.v1.reading import read_body
from imagegen.core.errors import StudioError
from imagegen.services import people
from imagegen.services.audit import COMMAND_LINE
from imagegen.web.nul import SENTENCE
from tests.blueprints.access_table import CALLS, CUT_PICTURE
from tests.conftest import Person

ID = "01890000-0000-7000-8000-000000000000"
TAKE_FILES = {endpoint for endpoint, call in CALLS.items() if call.file is not None}
BODIES: tuple[dict[str, Any], ...] = (
    {"name": "a\0b"},
    {"a\0b": 1},
    {"search": {"q": ["x", {"y": "\0"}]}},
)


@pytest.fixture
def operator(ann: Person) -> Person:
    """Ann, who may call every route."""
    people.set_operator(by=COMMAND_LINE, email=ann.user.email, operator=True)
    return ann


def path_of(rule: Rule) -> str:
    return re.sub("<[^>]+>", ID, rule.rule)


def method_of(rule: Rule) -> str:
    (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
    return method


def routes(app: Flask, *, reads: bool) -> list[Rule]:
    found = [rule for rule in app.url_map.iter_rules() if (method_of(rule) == "GET") is reads]
    assert len(found) > 20
    return found


def test_no_route_takes_it_in_a_query(app: Flask, operator: Person) -> None:
    for rule in routes(app, reads=True):
        response = operator.client.get(path_of(rule), query_string={"q": "a\0b"})
        assert (response.status_code, SENTENCE in response.text) == (422, True), rule


def test_no_route_takes_it_in_a_form(app: Flask, operator: Person) -> None:
    headers = {"X-CSRFToken": operator.csrf()}
    for rule in routes(app, reads=False):
        for field in ({"name": "a\0b"}, {"a\0b": "x"}):
            asked: dict[str, Any] = {**field}
            if rule.endpoint in TAKE_FILES:
                asked["file"] = (BytesIO(CUT_PICTURE), "sea.png")
            response = operator.client.open(path_of(rule), method=method_of(rule), data=asked, headers=headers)
            assert (response.status_code, SENTENCE in response.text) == (422, True), rule


def test_no_route_takes_it_in_a_body(app: Flask, operator: Person) -> None:
    headers = operator.bearer("read", "write", "admin")
    described = [
        (rule, spec.get_function_metadata(app.view_functions[rule.endpoint])) for rule in app.url_map.iter_rules()
    ]
    taking = [rule for rule, said in described if said is not None and said.json]
    assert len(taking) > 10
    for rule in taking:
        for body in BODIES:
            response = app.test_client().open(path_of(rule), method=method_of(rule), json=body, headers=headers)
            assert (response.status_code, response.get_json()["detail"]) == (422, SENTENCE), rule


def test_no_route_takes_it_in_an_address(app: Flask, operator: Person) -> None:
    for rule in routes(app, reads=True):
        if "<" in rule.rule:
            assert operator.client.get(re.sub("<[^>]+>", "a%00b", rule.rule)).status_code == 404, rule


TEXT = st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT | st.just("\\u0000"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


class Anything:
    """Stands for a model that takes any body."""

    @staticmethod
    def model_validate_json(body: bytes, *, strict: bool) -> Any:
        return json.loads(body)


def texts(found: Any) -> Iterator[str]:
    """Yield every text and every name in JSON."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for name, inner in found.items():
            yield name
            yield from texts(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from texts(inner)


@given(body=st.dictionaries(TEXT, JSON, max_size=4))
def test_a_body_is_refused_if_and_only_if_one_is_anywhere_in_it(body: dict[str, Any]) -> None:
    environ = EnvironBuilder(method="POST", json=body).get_environ()
    holds = any("\0" in text for text in texts(body))
    try:
        taken = read_body(Request(environ), Anything)  # type: ignore[arg-type, type-var]
    except StudioError as error:
        assert (error.message, holds) == (SENTENCE, True)
    else:
        assert (taken, holds) == (body, False)
