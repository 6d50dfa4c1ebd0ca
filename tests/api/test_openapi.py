"""The OpenAPI document: valid, complete, and true of the routes that it describes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from imagegen.web.access import access_of
from tests.api.conftest import Api
from tests.conftest import Person

UNDESCRIBED = {"/api/v1/openapi.json", "/api/v1/docs"}


@pytest.fixture
def document(app: Flask, ann: Person) -> dict[str, Any]:
    """The document as anybody gets it."""
    return app.test_client().get("/api/v1/openapi.json").get_json()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_it_describes_every_route_and_no_other(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/")
    }

    described = {(method, path) for method, path, _ in _operations(document)}

    assert described == {(method, path) for method, path in routes if path not in UNDESCRIBED}


def test_every_field_and_parameter_is_explained(document: dict[str, Any]) -> None:
    unexplained = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, found in schema.get("properties", {}).items()
        if not found.get("description")
    ]
    unexplained += [
        f"{path} {parameter['name']}"
        for _, path, operation in _operations(document)
        for parameter in operation["parameters"]
        if not parameter["description"]
    ]

    assert unexplained == []


def test_every_example_is_one(document: dict[str, Any]) -> None:
    """An example that the schema itself refuses would teach people to send nonsense."""
    components = document["components"]
    examples = [
        (f"{name}.{field}", found, example)
        for name, schema in components["schemas"].items()
        for field, found in schema.get("properties", {}).items()
        for example in found.get("examples", ())
    ]

    assert len(examples) > 20
    for name, schema, example in examples:
        assert Draft202012Validator({**schema, "components": components}).is_valid(example), name


CHANGES = {
    *("generateImages", "cancelJob", "retryJob", "pauseJob", "resumeJob", "frontJob", "deleteJob"),
    *("createSchedule", "changeSchedule", "deleteSchedule"),
    *(
        "changeImage",
        "deleteImage",
        "restoreImage",
        "uploadImage",
        "renameTag",
        "deleteTag",
        "saveSearch",
        "deleteSearch",
    ),
    *("createCollection", "renameCollection", "deleteCollection", "addToCollection", "removeFromCollection"),
}

MANAGES = {
    *("enterProviderKey", "removeProviderKey", "testProviderKey", "limitProviderKey"),
    *("listStandIns", "replaceStandIns"),
    *("listBudgets", "setBudget", "removeBudget", "readAllowance", "setAllowance"),
    *("testInstallationKey", "limitInstallationKey", "listCleaningRounds", "cleanUp", "readCleaningRound"),
}


def test_every_operation_names_its_problems_and_its_scope(app: Flask, document: dict[str, Any]) -> None:
    for method, path, operation in _operations(document):
        assert {"401", "403", "default"} <= set(operation["responses"]), path
        assert ("404" in operation["responses"]) == ("{" in path), path
        name = operation["operationId"]
        assert operation["x-scope"] == ("write" if name in CHANGES else "admin" if name in MANAGES else "read")
        assert operation["summary"] and operation["operationId"], (method, path)
    assert len({operation["operationId"] for _, _, operation in _operations(document)}) == len(
        list(_operations(document))
    )


def test_every_type_is_used(document: dict[str, Any]) -> None:
    text = str(document)

    for name in document["components"]["schemas"]:
        assert f"'#/components/schemas/{name}'" in text, name


def test_ways_in_are_a_token_and_a_session(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]

    assert schemes["token"]["scheme"] == "bearer"
    assert (schemes["session"]["in"], schemes["session"]["name"]) == ("cookie", "studio")
    assert document["security"] == [{"token": []}, {"session": []}]


def test_a_document_that_is_known_already_is_not_sent_again(app: Flask, ann: Person) -> None:
    client = app.test_client()
    first = client.get("/api/v1/openapi.json")

    again = client.get("/api/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")


NO_KEYS = (None, "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "bearer " + "x" * 100_000, "Token {token}")


def test_nothing_is_read_without_a_token(app: Flask, api: Api, document: dict[str, Any]) -> None:
    token = api.headers["Authorization"].split()[1]
    paths = [path.replace("{", "").replace("}", "") for method, path, _ in _operations(document) if method == "get"]
    for authorization in NO_KEYS:
        headers = {} if authorization is None else {"Authorization": authorization.format(token=token)}
        for path in paths:
            response = app.test_client().get(path, headers=headers)

            assert (response.status_code, response.mimetype) == (401, "application/problem+json"), path
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_nothing_is_made_without_a_token(app: Flask, api: Api, document: dict[str, Any]) -> None:
    for method, path, _ in _operations(document):
        if method == "post":
            for headers in ({}, {"Authorization": "Bearer wrong"}):
                response = app.test_client().post(path, json={"prompt": "x"}, headers=headers)

                assert response.status_code == 401, path
    assert api.get("jobs").get_json()["items"] == []


def test_every_route_says_who_may_call_it(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/"):
            assert access_of(app.view_functions[rule.endpoint]) is not None, rule


class _Page(HTMLParser):
    """Notes what matters to a strict policy, and what links lead to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag with its attributes."""
        self.tags.append(tag)
        self.attributes += attrs

    def values(self, name: str) -> list[str]:
        """Return the values of all attributes called `name`."""
        return [value or "" for found, value in self.attributes if found == name]


@pytest.fixture
def page(app: Flask, ann: Person) -> _Page:
    """The documentation, as anybody sees it."""
    response = app.test_client().get("/api/v1/docs")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    return _Page(response.text)


def test_the_documentation_needs_no_script_no_style_of_its_own_and_no_other_server(page: _Page) -> None:
    assert "script" not in page.tags
    assert "style" not in page.tags
    assert page.values("style") == []
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert all(value.startswith("/") for value in page.values("src"))
    assert all(value.startswith(("/", "#")) for value in page.values("href"))


def test_the_documentations_links_lead_somewhere(page: _Page) -> None:
    ids = page.values("id")

    assert len(ids) == len(set(ids))
    assert {value[1:] for value in page.values("href") if value.startswith("#")} <= set(ids)


def test_the_documentation_shows_every_operation_and_type(app: Flask, page: _Page, document: dict[str, Any]) -> None:
    ids = set(page.values("id"))

    assert {operation["operationId"] for _, _, operation in _operations(document)} <= ids
    assert {f"type-{name}" for name in document["components"]["schemas"]} <= ids


def test_the_documentation_is_shown_to_people_who_are_signed_in_too(ann: Person) -> None:
    assert ann.client.get("/api/v1/docs").status_code == 200
