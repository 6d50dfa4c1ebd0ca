"""The journal of answers: what a provider has told us outlives the process that was told."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from imagegen.core.clock import now
from imagegen.engine import attempts, claims, fleet, journal, sweep
from imagegen.engine.claims import Claim
from imagegen.engine.invariants import check
from imagegen.extensions import db, runtime
from imagegen.models import Image, Shot, unit_of_work
from imagegen.models.columns import db_now
from imagegen.services import kept_answers
from imagegen.services.cleaning import files, reports
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, submit

pytestmark = [pytest.mark.usefixtures("everything"), pytest.mark.databases("sqlite")]


class Died(BaseException):
    """Stands for a process that is gone."""


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    return {"openai_api_key": openai.key, "openai_base_url": openai.base_url}


@pytest.fixture
def answers() -> Path:
    folder = runtime.settings.studio_data_dir / "answers"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def left(ann: Member, answers: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Claim]:
    """A call whose answer was heard by a process that died before it could put it away."""
    submit(ann, provider="openai", quality="low")
    claim = claims.claim(owner="dead", lease_seconds=60, lone_only=False)
    assert claim is not None

    def die(*_: object) -> None:
        # A real death takes the file's lock with it and leaves the file.
        for path in answers.iterdir():
            path.with_suffix(".saved").write_bytes(path.read_bytes())
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(attempts, "put_away", die)
        with pytest.raises(Died):
            attempts.run(claim)
    for path in answers.glob("*.saved"):
        path.rename(path.with_suffix(".answer"))
    yield claim


def pictures() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Image.id))) or 0


def test_it_is_put_away_by_the_next_process_and_bought_once(left: Claim, answers: Path, openai: OpenAIServer) -> None:
    assert journal.adopt(attempts.put_away) == 1

    check_invariants()
    assert pictures() == 1
    assert db.session.scalars(select(Shot.status)).one() == "succeeded"
    assert len(openai.requests) == 1
    assert list(answers.iterdir()) == []
    assert journal.adopt(attempts.put_away) == 0


def test_it_is_put_away_after_its_lease_has_run_out_too(left: Claim, openai: OpenAIServer) -> None:
    with unit_of_work() as uow:
        uow.execute(Shot.__table__.update().values(lease_until=db_now(-1)))
    sweep.sweep()
    assert db.session.scalars(select(Shot.status)).one() == "unknown"

    journal.adopt(attempts.put_away)

    check_invariants()
    assert db.session.scalars(select(Shot.status)).one() == "succeeded"
    assert len(openai.requests) == 1


def test_what_a_living_process_was_told_is_left_to_it(ann: Member, answers: Path) -> None:
    found: list[int] = []
    submit(ann, provider="openai", quality="low")
    claim = claims.claim(owner="alive", lease_seconds=60, lone_only=False)
    assert claim is not None
    put_away = attempts.put_away

    def meanwhile(claim: Claim, result: object) -> None:
        found.append(len(list(answers.glob("*.answer"))))
        found.append(journal.adopt(put_away))
        put_away(claim, result)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempts, "put_away", meanwhile)
        attempts.run(claim)

    assert found == [1, 0]
    assert pictures() == 1
    assert list(answers.iterdir()) == []


def test_an_answer_that_brings_its_readers_down_is_given_up(left: Claim, answers: Path) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake in the studio")

    for _ in range(kept_answers.MOST_TRIES):
        assert journal.adopt(fail) == 0

    assert journal.adopt(attempts.put_away) == 0
    assert len(list(answers.iterdir())) == 1


def aged(folder: Path, age: timedelta) -> None:
    """Let all in `folder` have been written so long ago."""
    for path in folder.iterdir():
        os.utime(path, (time.time() - age.total_seconds() - 1,) * 2)


@pytest.fixture
def given_up(left: Claim, answers: Path) -> Path:
    """An answer that nobody tries to put away any more."""
    (path,) = answers.iterdir()
    return path.rename(kept_answers.path_of(left.attempt_id, tries=kept_answers.MOST_TRIES))


def test_one_that_is_given_up_is_shown_to_operators_and_said(
    given_up: Path, left: Claim, caplog: pytest.LogCaptureFixture
) -> None:
    journal.adopt(attempts.put_away)

    assert "journal.left_to_people" in caplog.text
    assert str(given_up) in caplog.text
    assert [one.attempt_id for one in fleet.look().answers] == [left.attempt_id]
    (broken,) = check(only=["I7"])
    assert broken.where == f"answer to attempt {left.attempt_id}"
    assert str(given_up) in broken.sentence
    assert [(found.kept, found.bytes > 0) for found in files.find_answers(now())] == [(True, True)]


def test_one_that_waits_for_its_host_is_said_to_after_a_day(left: Claim, answers: Path) -> None:
    assert (check(only=["I7"]), fleet.look().answers) == ([], ())
    aged(answers, timedelta(days=1))
    assert len(check(only=["I7"])) == len(fleet.look().answers) == 1


def test_one_whose_host_was_down_for_days_is_put_away(left: Claim, answers: Path) -> None:
    aged(answers, timedelta(days=9))

    assert journal.adopt(attempts.put_away) == 1
    assert pictures() == 1


def test_after_a_month_it_goes_and_that_is_said(left: Claim, answers: Path, caplog: pytest.LogCaptureFixture) -> None:
    aged(answers, kept_answers.LONGEST_KEPT)

    assert journal.adopt(attempts.put_away) == 0
    assert list(answers.iterdir()) == []
    assert "journal.forgotten" in caplog.text


def test_the_cleaning_lets_it_go_after_a_month_too(given_up: Path, answers: Path) -> None:
    aged(answers, kept_answers.LONGEST_KEPT)
    report = reports.clean_now(dry_run=False, only="answers")

    (result,) = reports.results_of(report)
    assert (result.found, result.removed, result.kept) == (1, 1, 0)
    assert not given_up.exists()


def test_half_an_answer_is_never_read_and_goes_after_a_day(ann: Member, answers: Path) -> None:
    (answers / "7-0.begun").write_bytes(b'{"claim"')

    assert journal.adopt(attempts.put_away) == 0
    assert len(list(answers.iterdir())) == 1
    aged(answers, timedelta(days=1))
    journal.adopt(attempts.put_away)
    assert list(answers.iterdir()) == []


def test_what_is_no_answer_stops_nobody(left: Claim, answers: Path) -> None:
    (answers / ".answer").touch()
    (answers / "a-b.answer").touch()

    assert journal.adopt(attempts.put_away) == 1
