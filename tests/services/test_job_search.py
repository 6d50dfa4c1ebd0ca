"""Finding jobs again: by every filter, by words, page by page, at a price that does not grow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from imagegen.core.errors import StudioError
from imagegen.extensions import db
from imagegen.models import Job, organisation_scope, unit_of_work
from imagegen.models.states import JobStatus
from imagegen.services import job_search
from imagegen.services.job_search import Standing, Wanted
from tests.models.rows import Member, add_member

LONG_AGO = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def ann(app: Flask) -> Member:
    """A member of the organisation One."""
    return add_member()


def add(member: Member, prompt: str = "a wave", **facts: Any) -> int:
    values = {"status": JobStatus.SUCCEEDED, "n_succeeded": 1, "provider": "local", "request": {}} | facts
    with organisation_scope(member.organisation_id), unit_of_work() as uow:
        job = Job(
            organisation_id=member.organisation_id,
            user_id=member.user_id,
            kind="generate",
            prompt=prompt,
            model="m",
            model_label="M",
            **values,
        )
        uow.add(job)
        uow.flush()
        return job.id


def found(member: Member, **wanted: Any) -> list[int]:
    with organisation_scope(member.organisation_id):
        return [job.id for job in job_search.search(Wanted(**wanted)).items]


def test_each_filter_finds_its_own_and_all_together_narrow(ann: Member) -> None:
    plain = add(ann)
    other = add(ann, "Amber dunes at dawn", provider="openai", request={"style": "vintage"}, created_at=LONG_AGO)
    assert found(ann) == [other, plain]
    assert found(ann, provider="openai") == found(ann, style="vintage") == [other]
    assert found(ann, words="DAWN amber") == [other]
    assert found(ann, words="dawn wave") == []
    assert found(ann, since=LONG_AGO + timedelta(days=1)) == [plain]
    assert found(ann, since=LONG_AGO, until=LONG_AGO + timedelta(seconds=1)) == [other]
    assert found(ann, until=LONG_AGO) == []
    assert found(ann, provider="openai", style="vintage", words="dune", user_id=ann.user_id) == [other]
    assert found(ann, user_id=ann.user_id + 1) == []


@pytest.mark.parametrize(
    ("standing", "facts"),
    [
        (Standing.ACTIVE, {"status": "queued", "n_succeeded": 0, "n_waiting": 1}),
        (Standing.PAUSED, {"status": "running", "n_waiting": 1, "paused_at": LONG_AGO}),
        (Standing.UNCLEAR, {"status": "failed", "n_succeeded": 0, "n_unknown": 1}),
        (Standing.PARTIAL, {"status": "partial", "n_failed": 1}),
        (Standing.CANCELED, {"status": "canceled", "n_succeeded": 0, "n_canceled": 1}),
    ],
)
def test_a_standing_finds_its_own(ann: Member, standing: Standing, facts: dict[str, Any]) -> None:
    add(ann)
    add(ann, **{"status": "succeeded", "paused_at": LONG_AGO} if standing == Standing.PAUSED else {})
    wanted = add(ann, **facts)
    assert found(ann, standing=standing) == [wanted]


@pytest.mark.parametrize("sign", ["%", "_", "\\", "'"])
def test_signs_of_sql_are_words_like_others(ann: Member, sign: str) -> None:
    add(ann, "plain")
    assert found(ann, words=sign) == []
    signed = add(ann, f"with {sign} in it")
    assert found(ann, words=sign) == [signed]


def test_others_are_never_found(ann: Member) -> None:
    add(add_member("bob", "Two"), "secret")
    assert found(ann, words="secret") == found(ann) == []


def pages(member: Member, wanted: Wanted, limit: int) -> tuple[list[int], list[bool]]:
    found, unseen, cursor = [], [], None
    with organisation_scope(member.organisation_id):
        while True:
            page = job_search.search(wanted, cursor=cursor, limit=limit)
            found += [job.id for job in page.items]
            unseen.append(page.unseen)
            cursor = page.next_cursor
            if cursor is None:
                return found, unseen


@pytest.mark.parametrize("limit", [1, 2, 5, 50])
@pytest.mark.parametrize("window", [1, 3, 7, 8, 9, 1000])
def test_a_bounded_search_finds_all_in_the_end(
    ann: Member, monkeypatch: pytest.MonkeyPatch, window: int, limit: int
) -> None:
    """Whatever it looks through at once: nothing twice, nothing missed, newest first."""
    monkeypatch.setattr(job_search, "WINDOW", window)
    with organisation_scope(ann.organisation_id):
        made = [add(ann, "a rare thing" if number in (0, 1, 4) else "common") for number in range(8)]
    wanted = Wanted(words="rare")
    assert pages(ann, wanted, limit)[0] == [made[4], made[1], made[0]]
    assert pages(ann, Wanted(), limit) == (made[::-1], [False] * -(-len(made) // limit))


def test_a_search_that_has_not_looked_everywhere_says_so(ann: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_search, "WINDOW", 3)
    for _ in range(5):
        add(ann)
    assert pages(ann, Wanted(words="nowhere"), 2) == ([], [True, False])


def test_a_page_is_one_query_and_a_search_two_at_most(ann: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_search, "WINDOW", 4)
    for number in range(9):
        add(ann, "even" if number % 2 == 0 else "odd")
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, statement, *_: asked.append(statement))
    for wanted, most in ((Wanted(), 1), (Wanted(standing=Standing.ACTIVE), 1), (Wanted(words="even"), 2)):
        asked.clear()
        found(ann, **vars(wanted))
        assert len([one for one in asked if "FROM jobs" in one or "FROM (SELECT" in one]) <= most, asked


def test_a_strange_cursor_is_refused(ann: Member) -> None:
    with organisation_scope(ann.organisation_id), pytest.raises(StudioError):
        job_search.search(Wanted(), cursor="x")
