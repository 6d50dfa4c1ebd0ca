"""Reading jobs: lists, shots with their pictures, places in line, events from a number on."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from imagegen.core.errors import NotFound
from imagegen.engine import control, tasks
from imagegen.extensions import db
from imagegen.models import Job, organisation_scope
from imagegen.models.states import JobStatus
from imagegen.services import jobs
from tests.models.rows import Member, add_member, submit


@pytest.fixture
def ann(app: Flask) -> Member:
    """A member of the organisation One."""
    return add_member()


@pytest.fixture
def bob(app: Flask) -> Member:
    """A member of the organisation Two."""
    return add_member("bob", "Two")


def test_a_job_is_found_by_its_id_in_its_own_organisation_alone(ann: Member, bob: Member) -> None:
    public_id = submit(ann).public_id

    with organisation_scope(ann.organisation_id):
        assert jobs.get_job(public_id).public_id == public_id
    for scope, wanted in ((bob, public_id), (ann, "nonsense"), (ann, public_id.upper())):
        with organisation_scope(scope.organisation_id), pytest.raises(NotFound):
            jobs.get_job(wanted)


def test_pages_of_jobs_together_are_all_jobs_newest_first(ann: Member, bob: Member) -> None:
    made = [submit(member).id for _ in range(5) for member in (ann, bob)][::2]

    with organisation_scope(ann.organisation_id):
        found, cursor = [], None
        while True:
            page = jobs.list_jobs(limit=2, cursor=cursor)
            found += [job.id for job in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert found == made[::-1]


def test_a_list_can_be_one_persons_or_of_one_state(ann: Member) -> None:
    done = submit(ann).id
    tasks.work()
    waiting = submit(ann).id

    with organisation_scope(ann.organisation_id):
        assert [job.id for job in jobs.list_jobs(user_id=ann.user_id).items] == [waiting, done]
        assert jobs.list_jobs(user_id=ann.user_id + 1).items == []
        assert [job.id for job in jobs.list_jobs(status=JobStatus.SUCCEEDED).items] == [done]


def test_a_view_has_every_slot_in_order_with_the_picture_that_it_has_by_now(ann: Member) -> None:
    first = submit(ann, n=3).id
    tasks.work()
    second = submit(ann, n=2).id

    with organisation_scope(ann.organisation_id):
        views = jobs.view(jobs.by_ids([first, second]))
    by_id = {view.job.id: view for view in views}
    assert [shown.shot.slot for shown in by_id[first].shots] == [0, 1, 2]
    assert all(shown.image.shot_id == shown.shot.id for shown in by_id[first].shots)
    assert [shown.image for shown in by_id[second].shots] == [None, None]


def test_the_first_pictures_of_jobs_are_those_of_their_first_slots(ann: Member) -> None:
    large, small, waiting = submit(ann, n=5).id, submit(ann).id, 0
    tasks.work()
    waiting = submit(ann).id

    with organisation_scope(ann.organisation_id):
        found = jobs.first_pictures([large, small, waiting], each=2)
        slots = {shown.image.id: shown.shot.slot for shown in jobs.view(jobs.by_ids([large]))[0].shots if shown.image}
        assert [slots[image.id] for image in found[large]] == [0, 1]
        assert (len(found[small]), found[waiting]) == (1, [])
        assert jobs.first_pictures([], each=2) == {}


@pytest.mark.databases("sqlite")  # PostgreSQL reads so few rows from one end to the other
def test_the_first_pictures_of_many_jobs_are_one_query_that_walks_the_index(ann: Member) -> None:
    few, many = [submit(ann, n=2).id for _ in range(2)], [submit(ann).id for _ in range(9)]
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        asked.append((statement, parameters))

    with organisation_scope(ann.organisation_id):
        db.session.rollback()
        event.listen(db.engine, "before_cursor_execute", note)
        try:
            for each in (few, many):
                jobs.first_pictures(each, each=4)
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        found = [(statement, parameters) for statement, parameters in asked if statement.startswith("SELECT")]
        assert len(found) == 2
        for statement, parameters in found:
            plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [str(step[-1]) for step in plan]
            assert any("ix_shots_job_id_slot" in step for step in steps)
            assert not [step for step in steps if step.startswith(("SCAN shots", "SCAN jobs"))], steps


def test_what_a_slot_was_before_is_told_with_its_calls(ann: Member) -> None:
    job = submit(ann, n=2)
    with organisation_scope(ann.organisation_id):
        control.cancel(job.public_id)
        control.retry(job.public_id)
    tasks.work()

    with organisation_scope(ann.organisation_id):
        newest = [shown.shot for shown in jobs.view(jobs.by_ids([job.id]))[0].shots]
        earlier = jobs.earlier(newest)
        assert [[(shot.slot, shot.status) for shot in earlier[one.id]] for one in newest] == [
            [(0, "canceled")],
            [(1, "canceled")],
        ]


def test_progress_counts_the_pictures_of_a_persons_unfinished_jobs(ann: Member) -> None:
    with organisation_scope(ann.organisation_id):
        assert jobs.progress(user_id=ann.user_id) == (0, 0, 0)
    submit(ann)
    tasks.work()
    submit(ann, n=2)
    submit(ann, n=3)

    with organisation_scope(ann.organisation_id):
        assert jobs.progress(user_id=ann.user_id) == (0, 5, 2)


def test_events_from_any_number_on_are_the_rest_of_all_events(ann: Member, bob: Member) -> None:
    job = submit(ann, n=2).id
    submit(bob)
    tasks.work()

    with organisation_scope(ann.organisation_id):
        whole = [event.id for event in jobs.events_after(seq=0)]
        latest = jobs.latest_seq(ann.organisation_id)
        assert len(whole) == latest
        for seen in range(latest + 1):
            assert [event.id for event in jobs.events_after(seq=seen)] == whole[seen:]
        assert [event.id for event in jobs.events_after(seq=0, limit=3)] == whole[:3]
        row = db.session.scalars(select(Job).where(Job.id == job)).one()
        assert [event.seq for event in jobs.job_events(row, after=2)] == list(range(3, row.event_seq + 1))
        assert list(jobs.events_after(seq=0, user_id=bob.user_id)) == []
