"""A client of the API whose every answer is held against the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_core import Config, OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIResponse
from openapi_core.testing import MockRequest
from sqlalchemy import event
from werkzeug.test import TestResponse

from imagegen.extensions import db
from tests.conftest import MakePerson, Person

ROOT = "/api/v1"
JSON_TYPES = ("application/json", "application/problem+json")
READS_PROBLEMS = Config(extra_media_type_deserializers={"application/problem+json": json.loads})


@dataclass
class Api:
    """One person's program: it sends a token, and believes no answer that the document does not describe."""

    person: Person
    client: FlaskClient
    contract: OpenAPI
    headers: dict[str, str]

    def get(self, path: str, **more: Any) -> TestResponse:
        """Ask for `path` below the API's root."""
        return self.send("GET", path, **more)

    def post(self, path: str, body: object = None, **more: Any) -> TestResponse:
        """Send `body` as JSON."""
        return self.send("POST", path, json=body, **more)

    def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> TestResponse:
        """Send any request; the answer is read to its end and checked."""
        address = path if path.startswith("/") else f"{ROOT}/{path}"
        response = self.client.open(address, method=method, headers=self.headers | (headers or {}), **more)
        if response.mimetype in JSON_TYPES:
            request = MockRequest("http://localhost", method.lower(), response.request.path)
            self.contract.validate_response(request, WerkzeugOpenAPIResponse(response))
        return response

    def make(self, **asked: object) -> dict[str, Any]:
        """Ask for pictures, and return the accepted job."""
        response = self.post("images/generate", {"prompt": "violet waves at dusk", "provider": "local"} | asked)
        assert response.status_code == 202, response.text
        return response.get_json()


MakeApi = Callable[..., Api]


@pytest.fixture(scope="session")
def contracts() -> dict[str, OpenAPI]:
    """The document, once read: the same in every app."""
    return {}


@pytest.fixture
def make_api(app: Flask, contracts: dict[str, OpenAPI]) -> MakeApi:
    """Make a client for a person: `make_api(ann)`."""

    def make(person: Person, *scopes: str) -> Api:
        client = app.test_client()
        if not contracts:
            document = json.loads(client.get(f"{ROOT}/openapi.json").data)
            contracts["v1"] = OpenAPI.from_dict(document, config=READS_PROBLEMS)
        return Api(person, client, contracts["v1"], person.bearer(*scopes))

    return make


@pytest.fixture
def count_queries(app: Flask) -> Callable[[Callable[[], object]], int]:
    """Tell how many statements a call sends to the database."""

    def count(call: Callable[[], object]) -> int:
        sent: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if statement.startswith(("SELECT", "WITH")):
                sent.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            call()
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        return len(sent)

    return count


@pytest.fixture
def api(ann: Person, make_api: MakeApi) -> Api:
    """Ann's program."""
    return make_api(ann)


@pytest.fixture
def other(make_person: MakePerson, make_api: MakeApi) -> Api:
    """A program of somebody in another organisation."""
    return make_api(make_person("bob@two.example", "Two"))


@pytest.fixture
def eve_api(ann: Person, make_person: MakePerson, make_api: MakeApi) -> Api:
    """A program of a colleague of Ann's."""
    return make_api(make_person("eve@one.example", "One", role="editor"))
