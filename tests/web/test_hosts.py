"""Names and proxies: what is believed about where a request came from and where it was sent."""

from __future__ import annotations

import pytest
from flask import Flask, request

from imagegen.services import accounts
from tests.conftest import PASSWORD, csrf_of

FORWARDED = {
    "X-Forwarded-For": "203.0.113.9, 198.51.100.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "studio.example",
}


@pytest.fixture
def somebody(app: Flask) -> None:
    accounts.create_user(email="ann@one.example", password=PASSWORD, organisation="One", role="owner")


@pytest.fixture
def seen(app: Flask) -> dict[str, object]:
    """What the app believes about the last request."""
    found: dict[str, object] = {}

    @app.before_request
    def note() -> None:
        found.update(address=request.remote_addr, secure=request.is_secure, host=request.host)

    return found


class TestNames:
    """With TRUSTED_HOSTS."""

    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return {"trusted_hosts": ("studio.example", ".parts.example")}

    @pytest.mark.parametrize("host", ["studio.example", "studio.example:8000", "a.parts.example"])
    def test_our_names_are_answered(self, app: Flask, somebody: None, host: str) -> None:
        assert app.test_client().get("/sign-in", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1", "studio.example.evil.example", "evilparts.example"]
    )
    def test_others_are_told_so_in_words(self, app: Flask, somebody: None, host: str) -> None:
        for path in ("/sign-in", "/generate", "/nope", "/static/x/css/base.css", "/healthz", "/setup"):
            answer = app.test_client().get(path, headers={"Host": host})
            assert answer.status_code == 400 and "does not answer to this name" in answer.text
            assert host not in answer.text and "Set-Cookie" not in answer.headers
            assert "Content-Security-Policy" in answer.headers

    def test_the_api_tells_it_as_a_problem(self, app: Flask, somebody: None) -> None:
        answer = app.test_client().get("/api/v1/models", headers={"Host": "evil.example"})
        assert answer.status_code == 400 and answer.mimetype == "application/problem+json"

    def test_a_name_that_a_client_forwards_is_not_believed(self, app: Flask, somebody: None) -> None:
        headers = {"Host": "evil.example", "X-Forwarded-Host": "studio.example"}
        assert app.test_client().get("/sign-in", headers=headers).status_code == 400


@pytest.mark.parametrize("host", ["", "a b", "x\x00y", "[::1", "a" * 3000, "evil.example/path", "user@evil.example"])
def test_a_host_that_is_none_breaks_nothing(app: Flask, somebody: None, host: str) -> None:
    answer = app.test_client().get("/sign-in", environ_overrides={"HTTP_HOST": host})
    assert answer.status_code in (200, 400)
    assert "evil.example" not in answer.text


def test_no_page_names_the_host_that_was_asked_for(app: Flask, somebody: None) -> None:
    """So that none in a cache or a letter leads to a host of the asker's choice."""
    client = app.test_client()
    for path in ("/sign-in", "/nope", "/forgot-password"):
        assert "evil.example" not in client.get(path, headers={"Host": "evil.example"}).text
    assert client.get("/generate", headers={"Host": "evil.example"}).location == "/sign-in?next=/generate"


def test_without_a_proxy_nothing_forwarded_is_believed(app: Flask, somebody: None, seen: dict[str, object]) -> None:
    answer = app.test_client().get("/sign-in", headers=FORWARDED)
    assert seen == {"address": "127.0.0.1", "secure": False, "host": "localhost"}
    assert "Strict-Transport-Security" not in answer.headers


class TestBehindOneProxy:
    """With PROXY_HOPS=1: the last entry is the proxy's own, all before it is hearsay."""

    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return {"proxy_hops": 1}

    def test_only_what_it_added_is_believed(self, app: Flask, somebody: None, seen: dict[str, object]) -> None:
        app.test_client().get("/sign-in", headers=FORWARDED)
        assert seen == {"address": "198.51.100.7", "secure": True, "host": "studio.example"}

    def test_a_form_works_through_it(self, app: Flask, somebody: None) -> None:
        client = app.test_client()
        headers = FORWARDED | {"Referer": "https://studio.example/sign-in"}
        token = csrf_of(client.get("/sign-in", headers=headers).text)
        form = {"email": "ann@one.example", "password": PASSWORD, "csrf_token": token}
        assert client.post("/sign-in", data=form, headers=headers).status_code == 303


class TestBehindTwoProxies:
    """With PROXY_HOPS=2."""

    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return {"proxy_hops": 2}

    def test_the_last_but_one_counts(self, app: Flask, somebody: None, seen: dict[str, object]) -> None:
        headers = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9, 198.51.100.7"}
        app.test_client().get("/sign-in", headers=headers)
        assert seen["address"] == "203.0.113.9"
