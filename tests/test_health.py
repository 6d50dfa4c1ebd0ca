"""Whether the studio lives and is ready: two questions, answered without a session."""

from __future__ import annotations

import pytest
from flask import Flask
from redis import RedisError
from sqlalchemy import event

from imagegen.blueprints.health import routes
from imagegen.extensions import db, runtime
from imagegen.models import unit_of_work
from imagegen.storage.errors import StorageFull
from tests.conftest import Person


def test_a_process_that_answers_lives_and_asks_nobody(app: Flask) -> None:
    asked: list[str] = []

    def note(*found: object) -> None:
        asked.append(str(found[2]))

    event.listen(db.engine, "before_cursor_execute", note)
    response = app.test_client().get("/healthz")
    event.remove(db.engine, "before_cursor_execute", note)

    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})
    assert asked == []


def test_a_studio_with_all_it_needs_is_ready_before_anybody_is_there(app: Flask) -> None:
    response = app.test_client().get("/readyz")

    assert response.status_code == 200
    assert response.get_json() == {"status": "ok", "checks": {"database": "ok", "redis": "ok", "storage": "ok"}}


def test_it_is_ready_after_the_set_up_too(app: Flask, ann: Person) -> None:
    assert app.test_client().get("/readyz").status_code == 200


def test_a_database_without_its_migrations_is_not_ready(app: Flask) -> None:
    with unit_of_work() as uow:
        uow.connection().exec_driver_sql("UPDATE alembic_version SET version_num = 'before'")

    response = app.test_client().get("/readyz")

    assert response.status_code == 503
    assert response.get_json()["checks"]["database"] == "migrations are missing"


@pytest.mark.parametrize(
    ("name", "target", "method", "error"),
    [
        ("redis", "redis", "ping", RedisError("no server at /secret/path")),
        ("storage", "storage", "workspace", StorageFull("There is no space left on the studio's disk.")),
    ],
)
def test_what_is_missing_is_named_without_its_whereabouts(
    app: Flask, monkeypatch: pytest.MonkeyPatch, name: str, target: str, method: str, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(getattr(runtime, target)), method, fail)

    response = app.test_client().get("/readyz")

    assert response.status_code == 503
    assert response.get_json()["status"] == "unavailable"
    assert response.get_json()["checks"][name] == "unavailable"
    assert "secret" not in response.text
    assert app.test_client().get("/healthz").status_code == 200


def test_a_database_that_is_gone_is_not_ready(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("disk gone at /secret/path")

    monkeypatch.setitem(routes.CHECKS, "database", fail)

    response = app.test_client().get("/readyz")

    assert (response.status_code, response.get_json()["checks"]["database"]) == (503, "unavailable")


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_the_answer_is_never_kept(app: Flask, address: str) -> None:
    assert "no-store" in app.test_client().get(address).headers["Cache-Control"]
