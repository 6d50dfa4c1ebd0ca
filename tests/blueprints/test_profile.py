"""One's own account: profile, password, and the link to a new one."""

from __future__ import annotations

import queue
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text, update

from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.extensions import db
from imagegen.models import PasswordReset, User, unit_of_work
from imagegen.services import accounts, passwords
from imagegen.services.audit import COMMAND_LINE
from tests.conftest import PASSWORD, MakePerson, Person, csrf_of
from tests.fakes.smtp_server import SmtpServer

NEW = "quite another password"


def _user(person: Person) -> User:
    db.session.rollback()
    return db.session.get_one(User, person.user.id)


def _opens(email: str, password: str) -> bool:
    db.session.rollback()
    try:
        return bool(passwords.authenticate(email=email, password=password, address="192.0.2.9"))
    except StudioError:
        return False


def _choose(app: Flask, secret: str, password: str = NEW):
    client = app.test_client()
    page = client.get(f"/reset-password/{secret}")
    if page.status_code != 200:
        return page
    return client.post(f"/reset-password/{secret}", data={"password": password, "csrf_token": csrf_of(page.text)})


def test_a_profile_keeps_name_zone_and_theme(ann: Person) -> None:
    form = {"name": "Ann Two", "language": "en", "time_zone": "Europe/Berlin", "theme": "dark"}
    assert ann.post("/settings/profile", **form).status_code == 303
    user = _user(ann)
    assert (user.name, user.language, user.time_zone, user.theme) == ("Ann Two", "en", "Europe/Berlin", "dark")
    assert 'data-theme="dark"' in ann.client.get("/settings/profile").text


def test_a_chosen_theme_holds_in_a_browser_that_was_told_nothing(app: Flask, ann: Person) -> None:
    ann.post("/settings/profile", name="Ann", language="", time_zone="", theme="dark")
    ann.client.delete_cookie("theme")
    assert 'data-theme="dark"' in ann.client.get("/settings/profile").text


@pytest.mark.parametrize(
    ("field", "value"), [("name", " "), ("time_zone", "Moon/Base"), ("time_zone", "../etc"), ("theme", "pink")]
)
def test_what_is_wrong_is_refused_and_nothing_is_kept(ann: Person, field: str, value: str) -> None:
    form = {"name": "Other", "language": "en", "time_zone": "UTC", "theme": "light", field: value}
    assert ann.post("/settings/profile", **form).status_code == 422
    assert _user(ann).name == "ann"


def test_the_profile_makes_nobody_more(ann: Person) -> None:
    form = {"name": "Ann", "language": "", "time_zone": "", "theme": "light"}
    ann.post("/settings/profile", **form, is_operator="1", email="x@y.example", enabled="0")
    user = _user(ann)
    assert (user.is_operator, user.email, user.enabled) == (False, "ann@one.example", True)


def test_a_name_is_text_and_nothing_else(ann: Person) -> None:
    evil = '"><script>alert(1)</script>'
    ann.post("/settings/profile", name=evil, language="", time_zone="", theme="light")
    for path in ("/settings/profile", "/admin/people", "/admin/audit"):
        assert "<script>alert" not in ann.client.get(path).text


def test_a_new_password_signs_out_the_other_browsers_and_not_this_one(app: Flask, ann: Person) -> None:
    other = app.test_client()
    form = {"email": "ann@one.example", "password": PASSWORD, "csrf_token": csrf_of(other.get("/sign-in").text)}
    other.post("/sign-in", data=form)
    assert other.get("/settings/profile").status_code == 200
    assert ann.post("/settings/password", current=PASSWORD, password=NEW).status_code == 303
    assert other.get("/settings/profile").status_code == 302
    assert ann.client.get("/settings/profile").status_code == 200
    assert _opens("ann@one.example", NEW) and not _opens("ann@one.example", PASSWORD)


def test_a_password_is_not_changed_without_the_old_one(ann: Person) -> None:
    answer = ann.post("/settings/password", current="wrong", password=NEW)
    assert answer.status_code == 422 and "not your current password" in answer.text
    assert ann.post("/settings/password", current=PASSWORD, password="short").status_code == 422
    assert _opens("ann@one.example", PASSWORD)


def test_a_link_to_a_new_password_works_once_and_ends_every_session(app: Flask, ann: Person) -> None:
    secret = passwords.make_reset(by=COMMAND_LINE, user_id=ann.user.id)
    other = passwords.make_reset(by=COMMAND_LINE, user_id=ann.user.id)
    assert _choose(app, secret).status_code == 303
    assert ann.client.get("/settings/profile").status_code == 302
    assert _opens("ann@one.example", NEW) and not _opens("ann@one.example", PASSWORD)
    assert _choose(app, secret).status_code == 404
    assert _choose(app, other).status_code == 404, "a link that nobody used ends too"


def test_a_short_password_leaves_the_link_as_it_was(app: Flask, ann: Person) -> None:
    secret = passwords.make_reset(by=COMMAND_LINE, user_id=ann.user.id)
    assert _choose(app, secret, "short").status_code == 422
    assert _choose(app, secret).status_code == 303


def test_a_link_to_a_new_password_ends_after_an_hour(app: Flask, ann: Person) -> None:
    secret = passwords.make_reset(by=COMMAND_LINE, user_id=ann.user.id)
    with unit_of_work() as uow:
        uow.execute(update(PasswordReset).values(expires_at=PasswordReset.created_at))
    assert _choose(app, secret).status_code == 404
    assert timedelta(hours=1) == passwords.RESET_FOR and now()


def test_the_secret_of_a_link_is_stored_nowhere(app: Flask, ann: Person) -> None:
    secret = passwords.make_reset(by=COMMAND_LINE, user_id=ann.user.id)
    with unit_of_work() as uow:
        rows = [str(row) for row in uow.execute(text("SELECT * FROM password_resets"))]
    assert rows and not any(secret in row for row in rows)


def test_the_secret_of_a_link_stands_in_no_log_line(
    app: Flask, ann: Person, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def break_down(secret: str) -> None:
        raise RuntimeError

    monkeypatch.setattr(passwords, "reset_of", break_down)
    assert app.test_client().get("/reset-password/canary-secret").status_code == 500
    lines = capfd.readouterr().err
    assert "request.failed" in lines and "canary" not in lines


def test_without_letters_the_page_says_who_can_help(app: Flask, ann: Person) -> None:
    page = app.test_client().get("/forgot-password")
    assert "Ask an admin of your organisation" in page.text and 'name="email"' not in page.text


def _ask(app: Flask, email: str, host: str = "studio.example"):
    client, base = app.test_client(), f"http://{host}"
    token = csrf_of(client.get("/forgot-password", base_url=base).text)
    return client.post("/forgot-password", data={"email": email, "csrf_token": token}, base_url=base)


class TestByLetter:
    @pytest.fixture
    def smtp(self) -> Iterator[SmtpServer]:
        with SmtpServer() as server:
            yield server

    @pytest.fixture
    def settings_values(self, smtp: SmtpServer) -> dict[str, object]:
        return {"smtp_url": smtp.url, "trusted_hosts": ("studio.example", "localhost")}

    def test_the_letter_brings_a_link_that_works(self, app: Flask, ann: Person, smtp: SmtpServer) -> None:
        assert _ask(app, "Ann@one.example ").status_code == 200
        letter = smtp.letter()
        found = re.search(r"http://studio\.example/reset-password/(\S+)", letter.text)
        assert letter.to == "ann@one.example" and found
        assert _choose(app, found[1]).status_code == 303

    def test_the_answer_is_the_same_for_an_address_that_nobody_has(
        self, app: Flask, ann: Person, smtp: SmtpServer
    ) -> None:
        known, unknown = _ask(app, "ann@one.example"), _ask(app, "nobody@one.example")
        assert known.status_code == unknown.status_code == 200
        assert known.text == unknown.text
        assert smtp.letter().to == "ann@one.example"
        with pytest.raises(queue.Empty):
            smtp.letter(timeout=0.3)

    def test_nobody_gets_more_than_five_letters_an_hour(self, app: Flask, ann: Person, smtp: SmtpServer) -> None:
        made = [passwords.forgotten(email="ann@one.example", secret=str(n), address="") for n in range(7)]
        assert [user is not None for user in made] == [True] * 5 + [False] * 2

    def test_a_strange_host_name_gets_no_letter_sent(self, app: Flask, ann: Person, smtp: SmtpServer) -> None:
        assert app.test_client().get("/forgot-password", base_url="http://evil.example").status_code == 400
        answer = app.test_client().get("/forgot-password", headers={"X-Forwarded-Host": "evil.example"})
        assert answer.status_code == 200 and "evil.example" not in answer.text


class TestByLetterWhereNobodySaidWhatTheStudioIsCalled:
    @pytest.fixture
    def smtp(self) -> Iterator[SmtpServer]:
        with SmtpServer() as server:
            yield server

    @pytest.fixture
    def settings_values(self, smtp: SmtpServer) -> dict[str, object]:
        return {"smtp_url": smtp.url}

    def test_no_letter_leads_to_a_host_that_the_asker_chose(self, app: Flask, ann: Person, smtp: SmtpServer) -> None:
        page = app.test_client().get("/forgot-password", base_url="http://evil.example")
        assert "Ask an admin of your organisation" in page.text
        client = app.test_client()
        token = csrf_of(client.get("/sign-in", base_url="http://evil.example").text)
        form = {"email": "ann@one.example", "csrf_token": token}
        client.post("/forgot-password", data=form, base_url="http://evil.example")
        with pytest.raises(queue.Empty):
            smtp.letter(timeout=0.3)


def test_commands_make_a_link_and_switch_an_account_off(app: Flask, ann: Person, make_person: MakePerson) -> None:
    run = app.test_cli_runner()
    link = run.invoke(args=["users", "reset-link", "--email", "ann@one.example"]).output.split()[-1]
    assert link.startswith("http://127.0.0.1:8000/reset-password/")
    assert _choose(app, link.rsplit("/", 1)[1]).status_code == 303
    assert run.invoke(args=["users", "disable", "--email", "ann@one.example"]).exit_code == 0
    assert not _opens("ann@one.example", NEW)
    assert run.invoke(args=["users", "disable", "--email", "nobody@one.example"]).exit_code == 1
    assert accounts.find_user(email="ann@one.example")
