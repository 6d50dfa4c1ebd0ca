"""The journal of answers: what a provider has told us outlives the process that was told."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from imagegen.engine import attempts, claims, journal, sweep
from imagegen.engine.claims import Claim
from imagegen.extensions import db, runtime
from imagegen.models import Image, Shot, unit_of_work
from imagegen.models.columns import db_now
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

    for _ in range(journal.MOST_TRIES):
        assert journal.adopt(fail) == 0

    assert journal.adopt(attempts.put_away) == 0
    assert len(list(answers.iterdir())) == 1


def test_what_nobody_put_away_within_a_day_goes(left: Claim, answers: Path) -> None:
    for path in answers.iterdir():
        os.utime(path, (time.time() - journal.KEPT_SECONDS - 1,) * 2)

    assert journal.adopt(attempts.put_away) == 0
    assert list(answers.iterdir()) == []


def test_half_an_answer_is_never_read(ann: Member, answers: Path) -> None:
    (answers / "7-0.begun").write_bytes(b'{"claim"')

    assert journal.adopt(attempts.put_away) == 0


def test_what_is_no_answer_stops_nobody(left: Claim, answers: Path) -> None:
    (answers / ".answer").touch()
    (answers / "a-b.answer").touch()

    assert journal.adopt(attempts.put_away) == 1
