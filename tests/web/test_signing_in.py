"""Sessions as a thief meets them: nothing to fix beforehand, nothing to keep afterwards, nowhere else to be led."""

from __future__ import annotations

from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from imagegen.core.clock import now
from imagegen.extensions import db
from imagegen.models import Membership, Session, User, unit_of_work
from imagegen.services import accounts, sessions
from imagegen.web.auth import safe_next
from tests.conftest import PASSWORD, Person, csrf_of
from tests.web.rows import make_job

COOKIE = "studio"


def sign_in(client: FlaskClient, email: str = "ann@one.example", **fields: str) -> TestResponse:
    form = {"email": email, "password": PASSWORD, "csrf_token": csrf_of(client.get("/sign-in").text)}
    return client.post("/sign-in", data=form | fields)


def cookie_of(client: FlaskClient, name: str = COOKIE) -> str:
    found = client.get_cookie(name)
    assert found is not None
    return found.value


def with_cookie(app: Flask, value: str) -> FlaskClient:
    client = app.test_client()
    client.set_cookie(COOKIE, value)
    return client


def is_in(client: FlaskClient) -> bool:
    return client.get("/generate").status_code == 200


def test_a_cookie_planted_before_the_sign_in_opens_nothing_after_it(app: Flask, ann: Person) -> None:
    victim = app.test_client()
    victim.get("/sign-in")
    planted = cookie_of(victim)
    assert sign_in(victim).status_code == 303
    assert is_in(victim) and not is_in(with_cookie(app, planted))


def test_a_session_planted_before_the_sign_in_is_dead_after_it(app: Flask, ann: Person, ben: Person) -> None:
    """A thief's own session in the victim's browser: the victim ends up in a new one, and the thief in none."""
    thiefs = cookie_of(ben.client)
    victim = with_cookie(app, thiefs)
    assert sign_in(victim).status_code == 303
    assert "ann@one.example" in victim.get("/settings/profile").text
    assert not is_in(with_cookie(app, thiefs))


def test_a_cookie_copied_before_the_sign_out_opens_nothing_after_it(app: Flask, ann: Person) -> None:
    copied = cookie_of(ann.client)
    assert is_in(with_cookie(app, copied))
    assert ann.post("/sign-out").location == "/sign-in?out=1"
    assert not is_in(with_cookie(app, copied)) and not is_in(ann.client)
    assert "You are signed out." in ann.client.get("/sign-in?out=1").text


def test_signing_out_twice_or_as_nobody_is_no_error(app: Flask, ann: Person) -> None:
    ann.post("/sign-out")
    token = csrf_of(ann.client.get("/sign-in").text)
    assert ann.client.post("/sign-out", headers={"X-CSRFToken": token}).status_code == 303


def test_a_disabled_account_is_out_at_once_and_gets_the_same_sentence_as_a_wrong_password(
    app: Flask, ann: Person
) -> None:
    with unit_of_work() as uow:
        uow.execute(update(User).values(enabled=False))
    assert not is_in(ann.client)
    answers = [
        sign_in(app.test_client()),
        sign_in(app.test_client(), password="wrong"),
        sign_in(app.test_client(), "x@y"),
    ]
    assert {answer.status_code for answer in answers} == {422}
    assert all("E-mail address or password is wrong." in answer.text for answer in answers)
    assert PASSWORD not in answers[0].text


@pytest.mark.parametrize("forged", ["", "x", "e30.x.y", "." * 3000, "\u00e9", "eyJzaWQiOiJ4In0.aaaa.bbbb"])
def test_a_forged_cookie_is_nobody(app: Flask, ann: Person, forged: str) -> None:
    assert with_cookie(app, forged).get("/generate").status_code == 302


def test_the_cookie_holds_no_secret_of_the_database(ann: Person) -> None:
    """And the database none of the cookie's: each is useless without the other."""
    row = db.session.scalars(db.select(Session)).one()
    assert row.secret_hash not in cookie_of(ann.client)


def test_a_session_ends_after_its_time_and_a_remembered_one_later(app: Flask, ann: Person) -> None:
    short, long = app.test_client(), app.test_client()
    assert "Expires" not in sign_in(short).headers["Set-Cookie"], "it ends with the browser"
    kept = SimpleCookie(sign_in(long, remember="1").headers["Set-Cookie"])[COOKIE]
    assert kept["expires"], "it outlives the browser"
    with time_machine.travel(now() + sessions.SESSION_FOR + timedelta(minutes=1)):
        assert not is_in(short) and is_in(long)
    with time_machine.travel(now() + sessions.SESSION_FOR + sessions.REMEMBERED_FOR + timedelta(days=1)):
        assert not is_in(long)


def test_a_session_in_use_lives_on_and_so_does_a_remembered_cookie(app: Flask, ann: Person) -> None:
    client = app.test_client()
    sign_in(client, remember="1")
    with time_machine.travel(now() + timedelta(days=40)):
        assert "Set-Cookie" in client.get("/jobs").headers
    with time_machine.travel(now() + timedelta(days=80)):
        assert is_in(client)


def test_a_late_answer_does_not_bring_back_the_cookie_of_before(app: Flask, ann: Person) -> None:
    """Only the answer to the sign-in, and later one in five minutes, carry a cookie."""
    client = app.test_client()
    sign_in(client, remember="1")
    client.get("/generate")  # its forms get their token
    assert "Set-Cookie" not in client.get("/generate").headers
    assert "Set-Cookie" not in client.get("/library").headers


def test_somebody_who_is_in_no_organisation_any_more_is_told_so(app: Flask, ann: Person, eve: Person) -> None:
    with unit_of_work() as uow:
        uow.delete(uow.get_one(User, eve.user.id).memberships[0])
    assert not is_in(eve.client)
    assert "You are in no organisation any more." in sign_in(app.test_client(), "eve@one.example").text


OURS = [
    "/library",
    "/generate?prompt=x&variants=2",
    "/jobs/x#y",
    "/a%0d%0ab",
    "/%09/evil.example",
    "/x//evil.example",
]
NOT_OURS = [
    "",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https:evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "evil.example",
    "library",
    "/a\r\nSet-Cookie: x=y",
    "/\x00",
    "?next=//evil.example",
    "@evil.example",
]


@pytest.mark.parametrize("target", OURS)
def test_one_goes_on_to_where_one_was_heading(app: Flask, ann: Person, target: str) -> None:
    answer = sign_in(app.test_client(), next=target)
    assert (answer.status_code, answer.location) == (303, target)


@pytest.mark.parametrize("target", NOT_OURS)
def test_nobody_is_led_out_of_the_studio(app: Flask, ann: Person, target: str) -> None:
    with app.test_request_context():
        assert safe_next(target) == "/"
    if "\0" not in target:
        assert sign_in(app.test_client(), next=target).location == "/"


def test_where_one_was_heading_survives_a_wrong_password(app: Flask, ann: Person) -> None:
    client = app.test_client()
    led = client.get("/library?filter=favourites").location
    page = client.get(led).text
    assert 'name="next" value="/library?filter=favourites"' in page
    assert (
        'name="next" value="/library?filter=favourites"'
        in sign_in(client, password="w", next="/library?filter=favourites").text
    )


def test_switching_leads_to_the_other_organisations_things_and_never_to_a_strangers(
    app: Flask, ann: Person, ben: Person
) -> None:
    made = make_job(ben)
    assert ann.post("/organisation", organisation=ben.organisation.public_id).status_code == 404
    with unit_of_work() as uow:
        uow.add(Membership(user_id=ann.user.id, organisation_id=ben.organisation.id, role="viewer"))
    assert ann.client.get(f"/jobs/{made.job}").status_code == 404, "in it, but at work in another"
    assert ann.post("/organisation", organisation=ben.organisation.public_id).status_code == 303
    assert ann.client.get(f"/jobs/{made.job}").status_code == 200


class TestBehindHttps:
    """With an https:// PUBLIC_URL."""

    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return {"public_url": "https://studio.example"}

    @pytest.fixture
    def answer(self, app: Flask) -> TestResponse:
        accounts.create_user(email="ann@one.example", password=PASSWORD, organisation="One", role="owner")
        client = app.test_client()
        https = {"base_url": "https://studio.example", "headers": {"Referer": "https://studio.example/sign-in"}}
        token = csrf_of(client.get("/sign-in", **https).text)
        form = {"email": "ann@one.example", "password": PASSWORD, "csrf_token": token}
        return client.post("/sign-in", data=form, **https)

    def test_the_cookie_is_of_this_host_alone_and_never_sent_in_the_clear(self, answer: TestResponse) -> None:
        name, _, attributes = answer.headers["Set-Cookie"].partition("=")
        assert name == "__Host-studio"
        parts = {part.strip() for part in attributes.split(";")[1:]}
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= parts
        assert not any(part.startswith("Domain") for part in parts), "a browser refuses a __Host- cookie with one"

    def test_browsers_are_told_to_stay_with_https(self, answer: TestResponse) -> None:
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
