"""The command line: makes people and tokens, tells what is set, needs nothing but the database."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from argon2 import PasswordHasher
from click.testing import Result
from flask import Flask
from pydantic import SecretStr

from imagegen.core.clock import now
from imagegen.core.secrets import is_token
from imagegen.extensions import db, runtime
from imagegen.models import ApiToken, Organisation, User
from imagegen.services import accounts, passwords
from imagegen.settings import PROJECT_ROOT, Settings
from imagegen.supervisor.data_folder import SETUP_CODE, setup_code
from tests.conftest import PASSWORD, Person

SECRETS = {
    "secret_key": SecretStr("canary-of-sessions"),
    "openai_api_key": SecretStr("sk-canary-of-openai"),
    "redis_url": "redis://someone:canary-of-redis@cache.example/0",
    "studio_admin_email": "boss@one.example",
    "studio_admin_password": SecretStr("canary-of-the-boss"),
}


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real hash takes a tenth of a second and 64 MB, by design."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def run(app: Flask, command: str, *words: str, given: str | bytes | None = None) -> Result:
    return app.test_cli_runner().invoke(args=[*command.split(), *words], input=given)


def make(app: Flask, email: str = "ann@one.example", *words: str, given: str | bytes = PASSWORD + "\n") -> Result:
    organisation = () if "--organisation" in words else ("--organisation", "One")
    role = () if "--role" in words else ("--role", "editor")
    return run(app, "users create", "--email", email, *organisation, *role, *words, given=given)


def the_user(email: str = "ann@one.example") -> User:
    db.session.rollback()
    return accounts.find_user(email=email)


# People


def test_a_person_is_made_with_the_password_from_standard_input(app: Flask) -> None:
    made = make(app, "Ann@One.example", "--name", "Ann <i>")
    assert made.exit_code == 0 and PASSWORD not in made.output
    user = passwords.authenticate(email="ann@one.example", password=PASSWORD, address="")
    assert (user.name, user.memberships[0].role, user.memberships[0].organisation.name) == (
        "Ann <i>",
        "editor",
        "One",
    )


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nmore lines\n"])
def test_the_password_is_the_first_line_without_its_end(app: Flask, end: str) -> None:
    make(app, given=" spaces within and around " + end)
    assert passwords.authenticate(email="ann@one.example", password=" spaces within and around ", address="")


def test_the_first_person_looks_after_the_installation_and_the_next_does_not(app: Flask) -> None:
    make(app)
    make(app, "eve@one.example")
    assert (the_user().is_operator, the_user("eve@one.example").is_operator) == (True, False)


def test_once_somebody_was_made_no_start_asks_for_a_set_up(app: Flask) -> None:
    folder = runtime.settings.studio_data_dir
    assert setup_code(folder)
    assert make(app).exit_code == 0
    assert setup_code(folder) is None and not (folder / SETUP_CODE).exists()


def test_an_organisation_is_found_by_name_or_id_and_made_if_there_is_none(app: Flask) -> None:
    make(app)
    make(app, "eve@one.example", "--organisation", the_user().memberships[0].organisation.public_id)
    make(app, "ben@two.example", "--organisation", "Two")
    assert sorted(db.session.scalars(db.select(Organisation.name))) == ["One", "Two"]


@pytest.mark.parametrize(
    ("words", "given", "sentence"),
    [
        (
            ("--role", "god"),
            PASSWORD,
            "There is no such role. Choose one of: owner, admin, editor, approver, viewer.",
        ),
        (("--organisation", " "), PASSWORD, "Give it a name."),
        ((), "short\n", "Choose a password of at least 10 characters."),
        ((), "", "Choose a password of at least 10 characters."),
        ((), b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\xff\xfe\n", "The password on standard input is not text in UTF-8."),
    ],
)
def test_what_is_wrong_is_one_sentence_and_makes_nobody(
    app: Flask, words: tuple[str, ...], given: str | bytes, sentence: str
) -> None:
    made = make(app, "ann@one.example", *words, given=given)
    assert made.exit_code == 1 and made.output == f"Error: {sentence}\n"
    assert not accounts.anybody_here()


def test_nobody_is_made_twice(app: Flask) -> None:
    make(app)
    again = make(app, "ANN@one.example ")
    assert again.exit_code == 1 and "There is a person with this e-mail address already." in again.output


class TestWithAnAdminInTheSettings:
    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return {"studio_admin_email": "boss@one.example", "studio_admin_password": SecretStr("the boss's password")}

    def test_whoever_is_made_first_by_hand_is_not_first(self, app: Flask) -> None:
        make(app)
        assert the_user("boss@one.example").is_operator and not the_user().is_operator

    def test_a_token_can_be_made_before_the_server_has_started(self, app: Flask) -> None:
        made = run(app, "tokens create", "--email", "boss@one.example", "--name", "first")
        assert made.exit_code == 0 and is_token(made.output.split()[-1])


# Tokens


def the_token() -> ApiToken:
    db.session.rollback()
    return db.session.scalars(db.select(ApiToken)).one()


def test_a_token_is_the_last_word_and_opens_the_api(app: Flask, ann: Person) -> None:
    made = run(app, "tokens create", "--email", "ANN@one.example", "--name", "For <scripts>")
    secret = made.output.split()[-1]
    assert made.exit_code == 0 and made.output.endswith(f"{secret}\n")
    answer = app.test_client().get("/api/v1/models", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    row = the_token()
    assert (row.name, row.scopes, row.organisation_id) == ("For <scripts>", ["read", "write"], ann.organisation.id)
    assert secret not in repr(vars(row)) and timedelta(364) < row.expires_at - now() <= timedelta(365)


def test_it_is_for_one_organisation_and_what_it_may_do_is_said(app: Flask, ann: Person) -> None:
    made = run(
        app, "tokens create", "--email", ann.user.email, "--name", "x", "--organisation", "One", "--scope", "read"
    )
    assert made.exit_code == 0 and the_token().scopes == ["read"]
    for words in (("--organisation", "Two"), ("--scope", "all"), ("--scope", ","), ("--name", " ")):
        refused = run(
            app,
            "tokens create",
            "--email",
            ann.user.email,
            *(("--name", "x") if "--name" not in words else ()),
            *words,
        )
        assert refused.exit_code == 1 and refused.output.startswith("Error: ") and "igs_" not in refused.output
    assert run(app, "tokens create", "--email", "nobody@one.example", "--name", "x").exit_code == 1


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90d", datetime(2027, 2, 18, 12, tzinfo=UTC)),
        ("12h", datetime(2026, 11, 21, 0, tzinfo=UTC)),
        ("30m", datetime(2026, 11, 20, 12, 30, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-01-31T10:00+02:00", datetime(2027, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_it_ends_when_it_is_told_to(app: Flask, text: str, moment: datetime) -> None:
    make(app)
    with time_machine.travel(datetime(2026, 11, 20, 12, tzinfo=UTC), tick=False):
        made = run(app, "tokens create", "--email", "ann@one.example", "--name", "x", "--expires", text)
    assert made.exit_code == 0 and the_token().expires_at == moment


@pytest.mark.parametrize("text", ["soon", "-1d", "2020-01-01", "0d", "90", "", "99999999d"])
def test_an_end_that_is_none_is_refused(app: Flask, text: str) -> None:
    make(app)
    made = run(app, "tokens create", "--email", "ann@one.example", "--name", "x", "--expires", text)
    assert made.exit_code != 0 and "Traceback" not in made.output and "igs_" not in made.output
    assert made.exception is None or isinstance(made.exception, SystemExit)


# Settings


class TestConfig:
    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return SECRETS

    def test_every_setting_stands_there_and_no_secret(self, app: Flask) -> None:
        told = run(app, "config")
        assert told.exit_code == 0 and "canary" not in told.output
        names = [line.split()[0] for line in told.output.splitlines()]
        assert names == [name.upper() for name in Settings.model_fields]
        assert "redis://someone:********@cache.example/0" in told.output


def test_it_works_where_no_redis_and_no_server_is(data_folder: Path) -> None:
    """As a person calls it: in a process of its own."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(data_folder), "STUDIO_DATA_DIR": str(data_folder)}

    def flask(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", *words],
            cwd=PROJECT_ROOT,
            env=environ,
            input=PASSWORD,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    flask("users", "create", "--email", "a@b.example", "--organisation", "One", "--role", "owner")
    assert is_token(flask("tokens", "create", "--email", "a@b.example", "--name", "x").split()[-1])
