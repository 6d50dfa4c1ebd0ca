"""Promises of the settings: where a value comes from, what is refused and how, and what is never shown."""

from __future__ import annotations

import base64
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from imagegen.settings import PROJECT_ROOT, Origin, Settings, SettingsError

FIRST_KEY, SECOND_KEY = (base64.urlsafe_b64encode(bytes([byte] * 32)).decode() for byte in (1, 2))


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STUDIO_DATA_DIR", str(tmp_path / "data"))


def _origins(settings: Settings) -> dict[str, Origin]:
    return {row.name: row.origin for row in settings.in_force()}


def _values(settings: Settings) -> dict[str, str]:
    return {row.name: row.value for row in settings.in_force()}


# Where a value comes from


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PORT=9001\nWORKERS=3\n")
    monkeypatch.setenv("PORT", "9002")
    settings = Settings.load(env_file=tmp_path / ".env")
    assert (settings.port, settings.workers, settings.host) == (9002, 3, "127.0.0.1")
    origins = _origins(settings)
    assert origins["PORT"] is Origin.ENVIRONMENT
    assert origins["WORKERS"] is Origin.ENV_FILE
    assert origins["HOST"] is Origin.DEFAULT
    assert origins["SECRET_KEY"] is Origin.DATA_FOLDER


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("PORT", "")
    settings = Settings.load(env_file=None)
    assert settings.redis_url is None
    assert settings.port == 8000


def test_the_constructor_sees_nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9002")
    assert Settings().port == 8000


def test_other_lines_in_the_file_disturb_nobody(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SOMETHING_ELSE=1\n# PORT=1\n")
    assert Settings.load(env_file=tmp_path / ".env").port == 8000


def test_a_relative_data_folder_is_the_same_wherever_a_command_is_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings().studio_data_dir == PROJECT_ROOT / "instance"
    assert Settings(studio_data_dir=Path("../data")).studio_data_dir == PROJECT_ROOT.parent / "data"


# The database


def test_the_database_is_in_the_data_folder_unless_told_otherwise(tmp_path: Path) -> None:
    assert Settings(studio_data_dir=tmp_path).database_url == f"sqlite:///{tmp_path}/studio.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_reached_by_the_driver_that_is_installed(scheme: str) -> None:
    settings = Settings(database_url=f"{scheme}://u:p@db/studio")
    assert settings.database_url == "postgresql+psycopg://u:p@db/studio"
    assert settings.uses_postgresql


def test_a_relative_database_file_starts_in_the_project() -> None:
    assert Settings(database_url="sqlite:///x.db").database_url == f"sqlite:///{PROJECT_ROOT}/x.db"


# The secret key


def test_the_secret_keys_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    first, second = Settings.load(env_file=None), Settings.load(env_file=None)
    assert (first.secret_key, first.encryption_keys) == (second.secret_key, second.encryption_keys)
    assert len(first.secret_key.get_secret_value()) == 64
    assert len(base64.urlsafe_b64decode(first.encryption_keys.get_secret_value())) == 32
    kept = sorted((tmp_path / "data").iterdir())
    assert [file.name for file in kept] == ["encryption-keys", "secret-key"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_processes_that_start_together_agree_on_the_secret_keys(tmp_path: Path) -> None:
    program = (
        "from imagegen.settings import Settings; s = Settings.load(None);"
        "print(s.secret_key.get_secret_value(), s.encryption_keys.get_secret_value())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT_ROOT, stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert len({process.communicate(timeout=30)[0] for process in processes}) == 1


def test_secret_keys_that_are_given_are_used_and_none_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY", "given")
    monkeypatch.setenv("ENCRYPTION_KEYS", FIRST_KEY)
    settings = Settings.load(env_file=None)
    assert settings.secret_key.get_secret_value() == "given"
    assert settings.encryption_keys.get_secret_value() == FIRST_KEY
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "given"), [("SECRET_KEY", {"ENCRYPTION_KEYS": FIRST_KEY}), ("ENCRYPTION_KEYS", {"SECRET_KEY": "given"})]
)
def test_postgresql_wants_the_secret_keys(monkeypatch: pytest.MonkeyPatch, name: str, given: dict[str, str]) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@db/studio")
    for other, value in given.items():
        monkeypatch.setenv(other, value)
    with pytest.raises(SettingsError, match=rf"^{name} must be given when DATABASE_URL is PostgreSQL\.$"):
        Settings.load(env_file=None)


def test_encryption_keys_stand_one_after_the_other_in_either_alphabet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENCRYPTION_KEYS", f" {FIRST_KEY}, {'+/+/' * 10}+/8= ,{SECOND_KEY}")
    settings = Settings.load(env_file=None)
    assert settings.encryption_keys.get_secret_value() == f"{FIRST_KEY},{'-_-_' * 10}-_8=,{SECOND_KEY}"


# What is refused


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "eighty", "PORT must be a whole number."),
        ("PORT", "0", "PORT must be at least 1."),
        ("PORT", "65536", "PORT must be at most 65535."),
        ("WORKERS", "0", "WORKERS must be at least 1."),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'."),
        ("STORAGE_BACKEND", "floppy", "STORAGE_BACKEND must be 'local'."),
        ("REDIS_URL", "localhost:6379", "REDIS_URL must begin with redis://, rediss:// or unix://."),
        (
            "DATABASE_URL",
            "mysql://u:p@db/studio",
            "DATABASE_URL must be sqlite:////path/to/file or postgresql://user:password@host/name.",
        ),
        (
            "DATABASE_URL",
            "sqlite:///:memory:",
            "DATABASE_URL must be sqlite:////path/to/file or postgresql://user:password@host/name.",
        ),
        (
            "OPENAI_BASE_URL",
            "api.openai.com",
            "OPENAI_BASE_URL must be an address that begins with http:// or https://.",
        ),
        (
            "ENCRYPTION_KEYS",
            f"{FIRST_KEY},secret",
            "ENCRYPTION_KEYS must be keys of 32 bytes in base64 (openssl rand -base64 32), separated by commas.",
        ),
        ("HEARTBEAT_SECONDS", "60", "HEARTBEAT_SECONDS must be at most half of LEASE_SECONDS."),
        (
            "STUDIO_ADMIN_EMAIL",
            "a@example.org",
            "STUDIO_ADMIN_EMAIL and STUDIO_ADMIN_PASSWORD must be given together.",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        Settings.load(env_file=None)
    assert str(refused.value) == sentence


def test_of_several_wrong_values_the_first_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "many")
    monkeypatch.setenv("PORT", "eighty")
    with pytest.raises(SettingsError, match=r"^PORT must be a whole number\.$"):
        Settings.load(env_file=None)


def test_a_data_folder_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STUDIO_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match=r"^STUDIO_DATA_DIR is .*/file, which cannot be used: .*\.$"):
        Settings.load(env_file=None)


def test_a_file_that_is_no_text_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\n")
    with pytest.raises(SettingsError, match=r"/\.env cannot be read: .*\.$"):
        Settings.load(env_file=tmp_path / ".env")


def test_settings_do_not_change_while_the_studio_runs() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1


# What is never shown


def test_no_secret_and_no_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SECRET_KEY": "canary-1",
        "ENCRYPTION_KEYS": f"{FIRST_KEY},{SECOND_KEY}",
        "DATABASE_URL": "postgresql://user:canary-2@sl/ash@db/studio",
        "REDIS_URL": "redis://:canary-3@cache:6379/0",
        "OPENAI_API_KEY": "canary-4",
        "OPENAI_BASE_URL": "https://user:canary-5@proxy.example/v1",
        "STUDIO_ADMIN_EMAIL": "a@example.org",
        "STUDIO_ADMIN_PASSWORD": "canary-6",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load(env_file=None)
    shown = _values(settings)
    assert "canary" not in str(shown)
    assert FIRST_KEY not in str(shown) + repr(settings) and SECOND_KEY not in str(shown) + repr(settings)
    assert "canary-1" not in repr(settings)
    assert shown["SECRET_KEY"] == "********"
    assert shown["REDIS_URL"] == "redis://:********@cache:6379/0"


def test_a_password_among_an_address_s_parameters_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "given")
    monkeypatch.setenv("ENCRYPTION_KEYS", FIRST_KEY)
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/studio?user=me&password=canary&sslmode=require")
    shown = _values(Settings.load(env_file=None))
    assert shown["DATABASE_URL"] == "postgresql+psycopg://db/studio?user=me&password=********&sslmode=require"


def test_a_refusal_never_repeats_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://user:canary@db/studio")
    with pytest.raises(SettingsError) as refused:
        Settings.load(env_file=None)
    assert "canary" not in str(refused.value)


# What is written about them


def _table_in_readme() -> list[tuple[str, str, str]]:
    text = (PROJECT_ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([A-Z_0-9]+)` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)


def test_the_readme_lists_every_setting_with_its_default_and_its_help() -> None:
    assert _table_in_readme() == [(row.name, row.default, row.help) for row in Settings.documented()]


def test_the_example_file_names_every_setting_and_changes_none() -> None:
    text = (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")
    assert re.findall(r"^# ?([A-Z_0-9]+)=", text, re.MULTILINE) == [row.name for row in Settings.documented()]
    assert all(line.startswith("#") or not line for line in text.splitlines())


def test_every_setting_has_one_line_of_help() -> None:
    for row in Settings.documented():
        assert re.fullmatch(r"[A-Z][^\n|]{10,110}\.", row.help), row.name


def _sources() -> str:
    files = (path for path in (PROJECT_ROOT / "imagegen").rglob("*.py") if path.name != "settings.py")
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_every_setting_is_read_by_something() -> None:
    text = _sources()
    unread = [name for name in Settings.model_fields if not re.search(rf'settings\.{name}\b|"{name}"', text)]
    assert not unread


def test_no_setting_is_read_past_the_settings() -> None:
    read = set(re.findall(r"(?:getenv\(|environ\.get\(|environ\[)\"(\w+)", _sources()))
    assert not read & {name.upper() for name in Settings.model_fields}


def test_the_command_prints_the_values_in_force_and_where_they_came_from(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "config"],
        cwd=PROJECT_ROOT,
        env={**os.environ, "OPENAI_API_KEY": "canary", "WORKERS": "3"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert lines["WORKERS"] == ["3", "environment"]
    assert lines["OPENAI_API_KEY"] == ["********", "environment"]
    assert lines["SECRET_KEY"] == ["********", "data", "folder"]
    assert list(lines) == [row.name for row in Settings.documented()]
    assert "canary" not in result.stdout + result.stderr
