"""Whether this process lives (`/healthz`), and whether it can do its work (`/readyz`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import structlog
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from imagegen.core.ids import new_id
from imagegen.extensions import db, runtime
from imagegen.settings import PROJECT_ROOT
from imagegen.web import access

log = structlog.get_logger(__name__)

blueprint = Blueprint("health", __name__)

MIGRATIONS = PROJECT_ROOT / "migrations"


class NotReady(Exception):
    """Something that the studio works with is missing; the text says what."""


@blueprint.get("/healthz")
@access.infrastructure
def healthz() -> ResponseReturnValue:
    """Answer: this process lives. Nothing else is asked, so that a busy database restarts no web server."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@access.infrastructure
def readyz() -> ResponseReturnValue:
    """Answer 200 if database, Redis and storage can be worked with, else 503; say which can and which cannot."""
    checks = {name: _outcome(name, check) for name, check in CHECKS.items()}
    ready = all(outcome == "ok" for outcome in checks.values())
    return jsonify(status="ok" if ready else "unavailable", checks=checks), 200 if ready else 503


def _outcome(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as reason:
        return str(reason)
    except Exception as error:
        # The answer is public: what the driver says (hosts, paths, names) is for the log alone.
        log.warning("readyz.failed", check=name, error=str(error))
        return "unavailable"
    return "ok"


def _database() -> None:
    """Check that the database answers and has the tables that this code was written for."""
    found = MigrationContext.configure(db.session.connection()).get_current_heads()
    if set(found) != _newest_revisions(MIGRATIONS):
        raise NotReady("migrations are missing")


@cache
def _newest_revisions(folder: Path) -> frozenset[str]:
    return frozenset(ScriptDirectory(str(folder)).get_heads())


def _redis() -> None:
    runtime.redis.ping()


def _storage() -> None:
    """Check that the place where pictures are put together takes a file."""
    with runtime.storage.workspace() as folder:
        (folder / new_id()).write_bytes(b"ready")


CHECKS: dict[str, Callable[[], None]] = {"database": _database, "redis": _redis, "storage": _storage}
