"""Fixtures that the tests of the web and of its pages share."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask import Flask

from imagegen.web import live
from imagegen.web.sse import hub
from tests.conftest import MakePerson, Person
from tests.web.browsers import SeparateClient
from tests.web.listening import Server, serving


@pytest.fixture
def app(app: Flask) -> Flask:
    """The app, with clients that keep their requests apart."""
    app.test_client_class = SeparateClient
    return app


@pytest.fixture
def ben(ann: Person, make_person: MakePerson) -> Person:
    """The owner of another organisation, Two."""
    return make_person("ben@two.example", "Two")


@pytest.fixture
def eve(ann: Person, make_person: MakePerson) -> Person:
    """An editor in Ann's organisation."""
    return make_person("eve@one.example", "One", role="editor")


@pytest.fixture
def server(app: Flask) -> Iterator[Server]:
    """The app behind a real socket."""
    with serving(app) as found:
        yield found
        hub().close()


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let messages to pages list the events that they are about, instead of drawing them."""
    monkeypatch.setattr(live, "pieces", lambda events, **_: json.dumps([event.organisation_seq for event in events]))
