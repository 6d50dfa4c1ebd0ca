"""When something breaks: a sentence in the form that was asked for, and nothing that helps an attacker."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

import pytest
import structlog
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from werkzeug.test import TestResponse

from imagegen.core.errors import TooMany
from imagegen.extensions import db
from imagegen.models import connection
from imagegen.services import jobs, people
from imagegen.services.audit import COMMAND_LINE
from imagegen.settings import Settings
from imagegen.web import logs
from tests.blueprints.access_table import CALLS, GONE, Call
from tests.conftest import Person
from tests.web.browsers import Page
from tests.web.rows import make_job

PARTIAL = {"HX-Request-Type": "partial"}
KEY, SECRET, PASSWORD = "sk-canary-0123456789abcdef", "canary 'secret' key\\of sessions", "canary-of-redis"
CANARIES = (KEY, SECRET, "canary 'secret'", PASSWORD)
REFERENCE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {"openai_api_key": SecretStr(KEY), "secret_key": SecretStr(SECRET)}


def break_every_route(app: Flask, error: Exception) -> None:
    """Let every route raise `error`, whoever may call it."""
    for endpoint, view in app.view_functions.items():

        def broken(**_: object) -> None:
            raise error

        broken.access = view.access  # type: ignore[attr-defined]
        app.view_functions[endpoint] = broken


def call_all(app: Flask, person: Person, headers: dict[str, str]) -> dict[str, Callable[[], TestResponse]]:
    """Return how to call each route; those that the table calls gone are left out."""
    sent = {"X-CSRFToken": person.csrf()} | headers

    def calling(endpoint: str, call: Call) -> Callable[[], TestResponse]:
        (rule,) = app.url_map.iter_rules(endpoint)
        (method,) = rule.methods - {"HEAD", "OPTIONS"}
        path = call.path.format_map(Anything())
        return lambda: person.client.open(path, method=method, headers=sent, json=call.json)

    return {endpoint: calling(endpoint, call) for endpoint, call in CALLS.items() if call.needs != GONE}


class Anything(dict[str, str]):
    """Fills every place of a path with the same id."""

    def __missing__(self, key: str) -> str:
        return "01a1fd00-0000-7000-8000-000000000000"


@pytest.fixture
def operator(ann: Person) -> Person:
    """Somebody who may call everything."""
    people.set_operator(by=COMMAND_LINE, email=ann.user.email, operator=True)
    return ann


@pytest.mark.parametrize("form", ["page", "piece"])
def test_a_mistake_of_ours_in_any_route_is_a_sentence_with_a_reference_and_nothing_else(
    app: Flask, operator: Person, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    calls = call_all(app, operator, PARTIAL if form == "piece" else {})
    break_every_route(app, RuntimeError(f"{KEY} {SECRET} {SECRET!r} at /srv/studio/x.py"))
    references = set()
    for endpoint, call in calls.items():
        answer = call()
        assert answer.status_code == 500, endpoint
        assert "Something went wrong on our side." in answer.text
        assert not [word for word in (*CANARIES, "Traceback", "RuntimeError", "/srv") if word in answer.text], (
            endpoint
        )
        assert "Content-Security-Policy" in answer.headers and answer.headers["Cache-Control"] == "private, no-store"
        references |= set(REFERENCE.findall(answer.text))
        if answer.mimetype == "text/html":
            page = Page(answer.text)
            assert not page.faults(whole=form == "page")
            assert ("<html" in answer.text) == (form == "page")
        else:
            assert answer.mimetype == "application/problem+json" and answer.get_json()["status"] == 500
    written = capsys.readouterr().err
    assert not [canary for canary in CANARIES if canary in written]
    assert "RuntimeError" in written, "whoever runs the studio can find out why"
    assert references and all(reference in written for reference in references), "by the reference that people tell"
    lines = [line for line in written.splitlines() if line.strip()]
    assert all(line.startswith(("timestamp=", "level=")) for line in lines), "one line for each"


def test_a_refusal_is_told_in_each_form(app: Flask, ann: Person) -> None:
    page = ann.client.get("/jobs/none")
    piece = ann.client.get("/jobs/none", headers=PARTIAL)
    problem = ann.client.get("/api/v1/jobs/none")
    assert {answer.status_code for answer in (page, piece, problem)} == {404}
    assert "There is no such job." in page.text and "<html" in page.text
    assert piece.text.lstrip().startswith("<hx-partial") and "There is no such job." in piece.text
    assert problem.get_json()["detail"] == "There is no such job."


@pytest.mark.parametrize("path", ["/nope", "/api/v1/nope", "/static/x/nope.css", "/jobs/a/b/c"])
def test_what_is_not_there_is_said_not_to_be(ann: Person, path: str) -> None:
    answer = ann.client.get(path)
    assert answer.status_code == 404
    assert answer.mimetype == ("application/problem+json" if path.startswith("/api") else "text/html")


def test_too_much_is_said_to_be(ann: Person) -> None:
    token = ann.csrf()
    huge = ann.client.post("/generate", data={"prompt": "x" * 2_000_000}, headers={"X-CSRFToken": token})
    assert huge.status_code == 413 and "That is too much at once." in huge.text
    many = {f"field{number}": "x" for number in range(500)}
    parts = ann.client.post(
        "/generate", data=many, headers={"X-CSRFToken": token}, content_type="multipart/form-data"
    )
    assert parts.status_code == 413


def test_a_limit_says_when_it_goes_on(app: Flask, ann: Person) -> None:
    break_every_route(app, TooMany("That was a little fast.", retry_after=41))
    for path in ("/jobs", "/api/v1/jobs"):
        answer = ann.client.get(path)
        assert answer.status_code == 429 and answer.headers["Retry-After"] == "41"


# The database


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let who writes wait for a moment only."""
    monkeypatch.setattr(connection, "PATIENCE", 0.02)


def locked(app: Flask) -> sqlite3.Connection:
    other = sqlite3.connect(db.engine.url.database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    return other


of_sqlite = pytest.mark.databases("sqlite")  # PostgreSQL has no lock of the whole database


@of_sqlite
@pytest.mark.parametrize("form", ["page", "piece", "problem"])
def test_a_database_that_stays_locked_is_a_pause_and_nothing_is_half_done(
    app: Flask, ann: Person, impatient: None, form: str
) -> None:
    token, bearer = ann.csrf(), ann.bearer()
    calls: dict[str, Callable[[], TestResponse]] = {
        "page": lambda: ann.client.post("/generate", data={"prompt": "x"}, headers={"X-CSRFToken": token}),
        "piece": lambda: ann.client.post("/generate", data={"prompt": "x"}, headers={"X-CSRFToken": token} | PARTIAL),
        "problem": lambda: app.test_client().post("/api/v1/images/generate", json={"prompt": "x"}, headers=bearer),
    }
    if form == "problem":
        ann.client.get("/api/v1/models", headers=bearer)  # notes that the token is in use
    other = locked(app)
    answer = calls[form]()
    other.execute("ROLLBACK")
    other.close()
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert "busy" in answer.text and ("<html" in answer.text) == (form == "page")
    assert "no job" in ann.client.get("/jobs").text.lower()
    assert calls[form]().status_code in (200, 202, 303)


@of_sqlite
def test_pages_are_read_while_another_writes(app: Flask, ann: Person, impatient: None) -> None:
    make_job(ann)
    other = locked(app)
    for path in ("/generate", "/jobs", "/library"):
        assert ann.client.get(path).status_code == 200
    other.execute("ROLLBACK")
    other.close()


def test_the_way_back_from_a_pause_keeps_what_was_asked_for(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    monkeypatch.setattr(jobs, "list_jobs", locked)
    assert 'href="/generate?prompt=violet"' in ann.client.get("/generate?prompt=violet").text


def test_a_database_that_is_gone_in_the_middle_is_told_in_a_page(
    app: Flask, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even who asks can be read any more, and the page says so nevertheless, in their language."""

    def gone(*_: object, **__: object) -> None:
        event.listen(db.engine, "before_cursor_execute", refuse)
        raise OperationalError("SELECT", {}, Exception("server closed the connection"))

    def refuse(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(jobs, "list_jobs", gone)
    answers = [ann.client.get("/generate"), app.test_client().get("/sign-in")]
    event.remove(db.engine, "before_cursor_execute", refuse)
    assert all(
        answer.status_code == 500 and "Something went wrong on our side." in answer.text for answer in answers[:1]
    )
    assert answers[1].status_code == 500


def test_rows_contents_stand_in_no_log(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    canary = "-".join(("canary", "of", "a", "row"))  # for a trace quotes its lines
    with pytest.raises(DBAPIError) as raised:
        db.session.execute(db.text("SELECT :it FROM nowhere"), {"it": canary})
    structlog.get_logger("imagegen").error("failed", exc_info=raised.value)
    written = capsys.readouterr().err
    assert "nowhere" in written and canary not in written


def test_passwords_within_addresses_are_secrets_too(settings: Settings) -> None:
    changed = settings.model_copy(
        update={
            "redis_url": f"redis://:{PASSWORD}@cache/0",
            "database_url": "postgresql+psycopg://u:p%40ssword@db/x?sslpassword=of-the-certificate",
        }
    )
    assert {PASSWORD, "p%40ssword", "p@ssword", "of-the-certificate", KEY} <= set(logs.secrets_of(changed))
