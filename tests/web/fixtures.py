"""Fixtures that the tests of the web and of its pages share."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from flask import Flask
from jinja2 import FileSystemBytecodeCache

from imagegen.services import passwords
from imagegen.web import live
from imagegen.web.sse import hub
from tests.conftest import MakePerson, Person
from tests.web.browsers import SeparateClient
from tests.web.listening import Server, serving


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Templates compiled once, and not anew in every test's app."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def app(app: Flask, compiled_templates: FileSystemBytecodeCache, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app, with clients that keep their requests apart; its streams end with the test."""
    app.test_client_class = SeparateClient
    app.jinja_env.bytecode_cache = compiled_templates
    # A real hash takes a tenth of a second and 64 MB: by design, and in every test three times.
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield app
    hub().close()


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
