"""The first visit: its code works once, everything leads to it before, and nothing of it is left afterwards."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from imagegen.extensions import db, runtime
from imagegen.models import User
from imagegen.services import accounts, passwords, setup
from tests.blueprints.access_table import CALLS
from tests.conftest import csrf_of

CODE = "ABCD-2345"
FORM = {
    "code": CODE,
    "organisation": "Studio <One>",
    "name": "Ann",
    "email": "ann@one.example",
    "password": "a long enough password",
}


@pytest.fixture
def first(app: Flask) -> FlaskClient:
    """The browser of whoever started the studio."""
    (runtime.settings.studio_data_dir / setup.CODE_FILE).write_text(CODE + "\n")
    return app.test_client()


def send(client: FlaskClient, **changed: str) -> TestResponse:
    token = csrf_of(client.get("/setup").text)
    return client.post("/setup", data=FORM | changed | {"csrf_token": token})


def test_the_code_makes_the_first_person_and_signs_them_in(first: FlaskClient) -> None:
    answer = send(first, code=f"  {CODE.lower()} ")
    assert (answer.status_code, answer.location) == (303, "/generate")
    page = first.get("/generate")
    assert page.status_code == 200 and "Studio &lt;One&gt;" in page.text
    person = db.session.scalars(db.select(User)).one()
    assert person.is_operator and person.memberships[0].role == "owner"


def test_afterwards_it_is_gone_for_ever(app: Flask, first: FlaskClient) -> None:
    send(first)
    assert not (runtime.settings.studio_data_dir / setup.CODE_FILE).exists()
    assert (runtime.settings.studio_data_dir / setup.DONE_FILE).exists()
    for client, page in ((first, "/generate"), (app.test_client(), "/sign-in")):
        assert client.get("/setup").status_code == 404
        token = csrf_of(client.get(page).text)
        again = client.post("/setup", data=FORM | {"email": "eve@evil.example", "csrf_token": token})
        assert again.status_code == 404
    assert len(db.session.scalars(db.select(User)).all()) == 1


def test_the_code_works_for_one_of_two_who_come_at_once(app: Flask, first: FlaskClient) -> None:
    """The second has passed the check of the code when the first is through."""
    second = app.test_client()
    token = csrf_of(second.get("/setup").text)
    send(first)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(accounts, "anybody_here", lambda: False)
        patched.setattr(setup, "check_code", lambda _code: None)
        late = second.post("/setup", data=FORM | {"email": "eve@evil.example", "csrf_token": token})
    assert late.status_code == 409 and "set up already" in late.text
    assert [user.email for user in db.session.scalars(db.select(User))] == ["ann@one.example"]


@pytest.mark.parametrize("code", ["", "ABCD-2346", "ABCD", CODE + "x", "ÄBCD-2345", "\u200bABCD-2345"])
def test_a_wrong_code_is_refused_with_a_sentence(first: FlaskClient, code: str) -> None:
    answer = send(first, code=code)
    assert answer.status_code == 422
    assert "This is not the code that was printed when the studio was started." in answer.text
    assert FORM["password"] not in answer.text
    assert CODE in code or CODE not in answer.text
    assert 'value="ann@one.example"' in answer.text, "what was typed stays, but for the password"
    assert not accounts.anybody_here()


def test_without_a_code_nobody_comes_in(app: Flask) -> None:
    answer = send(app.test_client(), code="")
    assert answer.status_code == 422 and "There is no set-up code." in answer.text


def test_a_code_file_that_is_empty_lets_nobody_in(first: FlaskClient) -> None:
    (runtime.settings.studio_data_dir / setup.CODE_FILE).write_text("")
    assert send(first, code="").status_code == 422
    assert not accounts.anybody_here()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("email", "nobody", "That is not an e-mail address."),
        ("password", "short", "at least 10 characters"),
        ("password", "x" * 600, "at most 512 characters"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_the_code_stays_good(
    first: FlaskClient, field: str, value: str, sentence: str
) -> None:
    answer = send(first, **{field: value})
    assert answer.status_code == 422 and sentence in answer.text and f'id="{field}-note"' in answer.text
    assert send(first).status_code == 303


def test_before_it_every_page_leads_there_and_the_api_says_what_is_missing(app: Flask) -> None:
    client = app.test_client()
    for endpoint, call in CALLS.items():
        path = call.path.format_map(Anything())
        if path.startswith("/api/"):
            assert client.get(path).status_code in (200, 401, 404, 405), path
        elif endpoint.split(".")[0] in ("static", "health", "setup"):
            assert client.get(path).status_code in (200, 404), path
        elif "GET" in methods(app, endpoint):
            assert client.get(path).location == "/setup", path
        else:
            assert client.post(path).location == "/setup", path


class Anything(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "01a1fd00-0000-7000-8000-000000000000"


def methods(app: Flask, endpoint: str) -> set[str]:
    return next(rule.methods for rule in app.url_map.iter_rules(endpoint)) or set()


def test_it_needs_a_token_of_its_own_page(first: FlaskClient) -> None:
    assert first.post("/setup", data=FORM).status_code == 400
    assert not accounts.anybody_here()


class TestFromSettings:
    """STUDIO_ADMIN_EMAIL and STUDIO_ADMIN_PASSWORD do the same without a person."""

    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return {
            "studio_admin_email": "Boss@One.example",
            "studio_admin_password": SecretStr("the boss's long password"),
        }

    def test_the_server_makes_the_first_person_before_its_first_request(self, app: Flask, first: FlaskClient) -> None:
        app.extensions["studio-serving"].begin()
        assert first.get("/").location.startswith("/sign-in"), "nobody is led to the set-up"
        assert first.get("/setup").status_code == 404
        assert not (runtime.settings.studio_data_dir / setup.CODE_FILE).exists()
        person = passwords.authenticate(email="boss@one.example", password="the boss's long password", address="")
        assert person.is_operator

    def test_only_once_and_never_over_somebody(self, app: Flask) -> None:
        app.extensions["studio-serving"].begin()
        app.extensions["studio-serving"].begin()
        assert len(db.session.scalars(db.select(User)).all()) == 1
