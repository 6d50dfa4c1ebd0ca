"""Where one is signed in: shown in words, ended one by one or all at once."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from imagegen.services import sessions
from imagegen.web import browsers
from tests.conftest import PASSWORD, MakePerson, Person, csrf_of

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def elsewhere(app: Flask, ann: Person) -> FlaskClient:
    """Another browser in which Ann is signed in."""
    client = app.test_client()
    form = {"email": "ann@one.example", "password": PASSWORD, "csrf_token": csrf_of(client.get("/sign-in").text)}
    assert client.post("/sign-in", data=form, headers={"User-Agent": FIREFOX}).status_code == 303
    return client


def _end_url(page: str) -> str:
    found = re.search(r'action="(/settings/sessions/[^"]+/end)"', page)
    assert found
    return found[1]


def test_the_page_lists_each_browser_and_marks_this_one(ann: Person, elsewhere: FlaskClient) -> None:
    page = ann.client.get("/settings/sessions").text
    assert "Firefox on Windows" in page and "127.0.0.1" in page
    assert page.count("this one") == 1
    assert page.index("this one") < page.index("Firefox on Windows"), "this one comes first"


def test_one_browser_is_signed_out_and_the_other_is_not(ann: Person, elsewhere: FlaskClient) -> None:
    assert ann.post(_end_url(ann.client.get("/settings/sessions").text)).status_code == 303
    assert elsewhere.get("/settings/profile").status_code == 302
    assert ann.client.get("/settings/profile").status_code == 200


def test_sign_out_everywhere_else(ann: Person, elsewhere: FlaskClient) -> None:
    assert ann.post("/settings/sessions/end-others").status_code == 303
    assert elsewhere.get("/settings/profile").status_code == 302
    assert ann.client.get("/settings/profile").status_code == 200
    assert len(sessions.sessions_of(user_id=ann.user.id)) == 1


def test_nobody_ends_somebody_elses_session(ann: Person, elsewhere: FlaskClient, make_person: MakePerson) -> None:
    url = _end_url(ann.client.get("/settings/sessions").text)
    eve = make_person("eve@one.example", "One", role="admin")
    assert eve.post(url).status_code == 404
    assert elsewhere.get("/settings/profile").status_code == 200


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Windows"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/18 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("", "A browser that does not say its name"),
        ("<script>alert(1)</script>", "A browser that does not say its name"),
    ],
)
def test_a_browser_in_words(app: Flask, user_agent: str, words: str) -> None:
    with app.test_request_context():
        assert browsers.in_words(user_agent) == words
