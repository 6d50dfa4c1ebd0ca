"""Guessing: counted for the account and for the address, over all processes, and never without Redis."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from redis import Redis

from imagegen.app import create_app
from imagegen.core.errors import StudioError, TooMany
from imagegen.services import accounts, limits, passwords
from imagegen.settings import Settings
from tests.conftest import PASSWORD, Person, csrf_of

WRONG = "E-mail address or password is wrong."


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count guesses, not the time that hashing takes."""
    monkeypatch.setattr(passwords, "_fits", lambda user, password: user is not None and password == PASSWORD)


@pytest.fixture
def somebody(app: Flask) -> None:
    """Somebody has an account, so that the studio is set up; they are signed in nowhere."""
    accounts.create_user(email="ann@one.example", password=PASSWORD, organisation="One", role="owner")


def _sign_in(app: Flask, email: str, password: str = "wrong", **headers: str):
    client = app.test_client()
    form = {"email": email, "password": password, "csrf_token": csrf_of(client.get("/sign-in").text)}
    return client.post("/sign-in", data=form, headers=headers)


def _guess(email: str, address: str = "192.0.2.1") -> None:
    with pytest.raises(StudioError, match=WRONG):
        passwords.authenticate(email=email, password="wrong", address=address)


def test_the_eleventh_wrong_password_for_an_account_is_not_even_tried(app: Flask, ann: Person) -> None:
    for number in range(10):
        _guess("ann@one.example", f"192.0.2.{number}")
    with pytest.raises(TooMany):
        passwords.authenticate(email="ann@one.example", password=PASSWORD, address="192.0.2.99")


def test_the_page_says_when_it_goes_on(app: Flask, ann: Person) -> None:
    for number in range(10):
        _guess("ann@one.example", f"192.0.2.{number}")
    answer = _sign_in(app, "ann@one.example", PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 900
    assert "Wait 15 minutes" in answer.text


def test_an_account_that_nobody_has_is_counted_and_answered_like_any_other(app: Flask, ann: Person) -> None:
    known = _sign_in(app, "ann@one.example")
    unknown = _sign_in(app, "nobody@one.example")
    assert known.status_code == unknown.status_code == 422
    assert WRONG in known.text and WRONG in unknown.text
    for number in range(9):
        _guess("nobody@one.example", f"192.0.2.{number}")
    assert _sign_in(app, "nobody@one.example").status_code == 429


def test_the_case_of_an_address_does_not_make_another_account(app: Flask, ann: Person) -> None:
    for number in range(10):
        _guess("Ann@One.example " if number % 2 else "ann@one.example", f"192.0.2.{number}")
    with pytest.raises(TooMany):
        passwords.authenticate(email="ANN@one.example", password=PASSWORD, address="192.0.2.99")


def test_twenty_wrong_ones_a_minute_from_one_address_are_all(app: Flask) -> None:
    for number in range(20):
        _guess(f"somebody-{number}@one.example")
    with pytest.raises(TooMany) as refused:
        passwords.authenticate(email="else@one.example", password="wrong", address="192.0.2.1")
    assert 0 < refused.value.retry_after <= 61
    _guess("else@one.example", "192.0.2.2")


def test_right_passwords_do_not_count(app: Flask, ann: Person) -> None:
    for _ in range(25):
        passwords.authenticate(email="ann@one.example", password=PASSWORD, address="192.0.2.1")


def test_a_right_password_forgives_the_wrong_ones_before_it(app: Flask, ann: Person) -> None:
    for number in range(9):
        _guess("ann@one.example", f"192.0.2.{number}")
    passwords.authenticate(email="ann@one.example", password=PASSWORD, address="192.0.2.50")
    for number in range(10):
        _guess("ann@one.example", f"192.0.2.{100 + number}")


def test_guesses_that_come_all_at_once_are_counted_one_by_one(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    together, judged = threading.Barrier(10, timeout=30), []

    def judge(user: object, password: str) -> bool:
        judged.append(password)
        together.wait()  # ten are judged at the same time, and so none of them has been found wrong yet
        return False

    monkeypatch.setattr(passwords, "_fits", judge)
    monkeypatch.setattr(passwords, "_note_failure", lambda **_: None)

    def guess(number: int) -> type[Exception]:
        with app.app_context():
            try:
                passwords.authenticate(email="ann@one.example", password=str(number), address=f"192.0.2.{number}")
            except StudioError as error:
                return type(error)
        raise AssertionError

    with ThreadPoolExecutor(30) as pool:
        found = list(pool.map(guess, range(30)))
    assert (len(judged), found.count(TooMany)) == (10, 20)


def test_two_processes_count_together(app: Flask, settings: Settings) -> None:
    other = create_app(settings)
    for number in range(10):
        with (app if number % 2 else other).app_context():
            _guess("ann@one.example", f"192.0.2.{number}")
    for each in (app, other):
        with each.app_context(), pytest.raises(TooMany):
            passwords.authenticate(email="ann@one.example", password="wrong", address="192.0.2.99")


def test_a_forwarded_address_is_not_believed_without_a_proxy(app: Flask, somebody: None) -> None:
    for number in range(20):
        _sign_in(app, f"somebody-{number}@one.example", **{"X-Forwarded-For": f"198.51.100.{number}"})
    assert _sign_in(app, "else@one.example", **{"X-Forwarded-For": "198.51.100.99"}).status_code == 429


class TestBehindOneProxy:
    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return {"proxy_hops": 1}

    def test_only_the_address_that_the_proxy_saw_counts(self, app: Flask, somebody: None) -> None:
        for number in range(20):
            forwarded = f"203.0.113.{number}, 198.51.100.1"
            _sign_in(app, f"somebody-{number}@one.example", **{"X-Forwarded-For": forwarded})
        again = {"X-Forwarded-For": "203.0.113.99, 198.51.100.1"}
        assert _sign_in(app, "else@one.example", **again).status_code == 429
        assert _sign_in(app, "else@one.example", **{"X-Forwarded-For": "198.51.100.2"}).status_code == 422


def test_a_whole_network_of_version_six_is_one_address() -> None:
    assert limits._network("2001:db8:1:2::1") == limits._network("2001:db8:1:2:ffff::9")
    assert limits._network("2001:db8:1:3::1") != limits._network("2001:db8:1:2::1")
    assert limits._network("::ffff:192.0.2.1") == limits._network("192.0.2.1")


class TestWithoutRedis:
    @pytest.fixture
    def settings_values(self, tmp_path: object) -> dict[str, object]:
        return {"redis_url": f"unix://{tmp_path}/nobody.sock"}

    def test_nobody_is_let_in_and_the_page_says_why(self, app: Flask, somebody: None) -> None:
        answer = _sign_in(app, "ann@one.example", PASSWORD)
        assert answer.status_code == 503
        assert "nobody is let in" in answer.text

    def test_a_link_with_a_secret_is_not_opened_either(self, app: Flask, somebody: None) -> None:
        assert app.test_client().get("/reset-password/secret").status_code == 503
        assert app.test_client().get("/invitation/secret").status_code == 503


@pytest.mark.parametrize("path", ["/reset-password/guess-{}", "/invitation/guess-{}"])
def test_links_are_not_guessed_either(app: Flask, ann: Person, path: str) -> None:
    client = app.test_client()
    for number in range(20):
        assert client.get(path.format(number)).status_code == 404
    assert client.get(path.format("last")).status_code == 429


def test_the_set_up_code_is_not_guessed_either(app: Flask, settings: Settings) -> None:
    (settings.studio_data_dir / "setup-code").write_text("ABCD-EFGH")
    client = app.test_client()
    form = {"code": "wrong", "email": "ann@one.example", "password": PASSWORD, "name": "Ann", "organisation": "One"}
    form["csrf_token"] = csrf_of(client.get("/setup").text)
    for _ in range(20):
        assert client.post("/setup", data=form).status_code == 422
    assert client.post("/setup", data=form | {"code": "ABCD-EFGH"}).status_code == 429


def test_no_e_mail_address_stands_in_redis(app: Flask, redis_url: str) -> None:
    _guess("somebody@one.example")
    keys = Redis.from_url(redis_url).keys("*")
    assert keys
    assert not any(b"somebody" in key for key in keys)
