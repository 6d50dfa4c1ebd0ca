"""A shot whose picture has to be fetched from an address: what becomes of it, and that nobody gets to know where."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import select

from imagegen.extensions import db, runtime
from imagegen.models import Attempt, Image, LedgerEntry, Shot
from imagegen.providers import downloads
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import SIGNATURE, OpenAIServer
from tests.models.rows import Member, submit

pytestmark = [
    pytest.mark.usefixtures("everything", "quick_retries"),
    pytest.mark.databases("sqlite"),  # what an answer means, the database has no part in
]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "WAITS", (0.01, 0.01))


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    """A provider whose calls may take five seconds."""
    return {"openai_api_key": openai.key, "openai_base_url": openai.base_url, "provider_timeout_seconds": 5}


def draw(member: Member, work: Work, n: int = 1) -> list[Shot]:
    """Have the stand-in draw `n` pictures, and return the shots afterwards."""
    submit(member, provider="openai", quality="low", prompt="a lighthouse in fog", n=n)
    work()
    check_invariants()
    return list(db.session.scalars(select(Shot).order_by(Shot.slot)))


def spent() -> int:
    """Return what the ledger says was spent, in micro-USD."""
    return sum(db.session.scalars(select(LedgerEntry.amount_micro).where(LedgerEntry.account == "spend")))


def test_the_picture_is_in_the_library_and_paid_for_once(ann: Member, openai: OpenAIServer, work: Work) -> None:
    openai.script_downloads("503", "cut")

    shots = draw(ann, work, n=2)

    assert [shot.status for shot in shots] == ["succeeded", "succeeded"]
    assert len(db.session.scalars(select(Image)).all()) == len(openai.requests) == 2
    assert len(openai.fetched) == 4
    assert spent() == openai.bill > 0


@pytest.mark.parametrize("way", ["410", "redirect_private", "html", "svg", "animated", "bomb"])
def test_what_is_no_still_picture_was_billed_and_is_not_drawn_again(
    ann: Member, openai: OpenAIServer, work: Work, way: str
) -> None:
    openai.script_downloads(way)

    (shot,) = draw(ann, work)

    assert (shot.status, shot.error_kind) == ("failed", "bad_answer")
    assert db.session.scalars(select(Attempt.status)).all() == ["billed_no_image"]
    assert (len(openai.requests), len(openai.fetched)) == (1, 1)
    assert spent() == openai.bill > 0
    assert not db.session.scalars(select(Image)).all()


def test_the_address_is_in_no_row_no_log_and_no_message(
    ann: Member, openai: OpenAIServer, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    openai.script_downloads("none", "410", *["500"] * 3, "html", "redirect_private")

    shots = draw(ann, work, n=5)

    assert {shot.status for shot in shots} == {"succeeded", "failed"}
    assert all(seen.path.endswith(SIGNATURE) for seen in openai.fetched)
    rows = [str(tuple(row)) for table in db.metadata.sorted_tables for row in db.session.execute(select(table))]
    places = {
        "the log": caplog.text,
        "the database": "\n".join(rows),
        "Redis": "".join(repr(runtime.redis.dump(key)) for key in runtime.redis.scan_iter()),
    }
    assert "provider.download_failed" in places["the log"]
    assert "/pictures/" in openai.fetched[0].path
    for place, text in places.items():
        assert SIGNATURE not in text, place
        assert openai.fetched[0].path.partition("?")[0] not in text, place
