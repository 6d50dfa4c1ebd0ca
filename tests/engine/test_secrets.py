"""The provider's key reaches the provider, and nothing else: no row, no file, no log, no message in Redis."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from imagegen.extensions import db, runtime
from imagegen.models import Shot
from imagegen.settings import Settings
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything", "quick_retries")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the studio writes about itself."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    return written


@pytest.fixture
def settings_values(log: io.StringIO, openai: OpenAIServer) -> dict[str, object]:
    """A provider that quotes the key in its errors; everything is logged, where the test can read it."""
    return {
        "openai_api_key": openai.key,
        "openai_base_url": openai.base_url,
        "provider_timeout_seconds": 1,
        "log_level": "DEBUG",
    }


def test_the_key_is_nowhere_after_everything_that_can_go_wrong(
    ann: Member,
    openai: OpenAIServer,
    work: Work,
    settings: Settings,
    log: io.StringIO,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    quoting = [
        {"kind": kind, "message": f"Bad key {{authorization}}, and {openai.key} again."}
        for kind in ("401", "403", "400", "400_moderation", "429_quota", "404_model")
    ]
    openai.script(*quoting, "500", "cut", "broken_base64")

    submit(ann, provider="openai", quality="low", n=9)
    work()

    check_invariants()
    statuses = set(db.session.scalars(select(Shot.status)))
    assert {"failed", "refused", "unknown", "succeeded"} >= statuses >= {"failed", "refused", "unknown"}
    assert openai.requests[0].headers["authorization"] == f"Bearer {openai.key}"
    places = {
        "the log": log.getvalue() + caplog.text,
        "the database": "\n".join(_rows()),
        "Redis": "".join(repr(runtime.redis.dump(key)) for key in runtime.redis.scan_iter()),
    }
    assert "attempt.failed" in places["the log"]
    for place, text in places.items():
        assert openai.key not in text, place
    assert _files_with(openai.key.encode(), settings.studio_data_dir) == []


def _rows() -> list[str]:
    """Return every row of every table as text."""
    return [str(tuple(row)) for table in db.metadata.sorted_tables for row in db.session.execute(select(table))]


def _files_with(needle: bytes, folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if needle in path.read_bytes()]
