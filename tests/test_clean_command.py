"""`flask --app wsgi maintenance clean`: tells what it finds, and changes something only without --dry-run."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from imagegen.core.clock import now
from imagegen.extensions import db, runtime
from imagegen.models import Outbox, unit_of_work
from imagegen.services.cleaning.duties import DUTIES


@pytest.fixture(autouse=True)
def long_sent(app: Flask) -> None:
    """Something that may go."""
    old = now() - timedelta(days=30)
    with unit_of_work() as uow:
        uow.add(Outbox(task="work", name="long-sent", sent_at=old, created_at=old))


def run(app: Flask, *arguments: str) -> tuple[int, list[str]]:
    done = app.test_cli_runner().invoke(args=["maintenance", "clean", *arguments])
    return done.exit_code, (done.stdout or done.stderr).splitlines()


def left() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Outbox.name)))


def test_a_dry_run_tells_and_changes_nothing(app: Flask) -> None:
    code, printed = run(app, "--dry-run")
    assert code == 0 and len(printed) == len(DUTIES) + 1
    assert "Sent wake-ups: 1 found" in printed and "  long-sent" in printed
    assert left() == ["long-sent"]


def test_it_cleans_and_then_there_is_nothing_left_to_do(app: Flask) -> None:
    assert run(app, "--only", "outbox") == (0, ["Sent wake-ups: 1 of 1 removed", "  long-sent"])
    assert left() == []
    assert run(app, "--only", "outbox") == (0, ["Sent wake-ups: 0 of 0 removed"])


def test_what_it_could_not_look_at_is_a_failure(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(runtime.storage, "iter_files", broken)
    code, printed = run(app)
    assert code == 1 and any("failed" in line for line in printed)
    assert left() == []


def test_a_duty_that_there_is_not_is_told_at_once(app: Flask) -> None:
    code, printed = run(app, "--only", "everything")
    assert code == 2 and any("orphaned-files" in line for line in printed)
