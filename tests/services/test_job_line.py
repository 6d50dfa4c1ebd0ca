"""Places in line: what they say is the order in which workers claim."""

from __future__ import annotations

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from imagegen.engine import claims, control
from imagegen.extensions import db
from imagegen.models import Job, Shot, organisation_scope, system_scope
from imagegen.services import job_line
from imagegen.services.job_line import Line, Place
from tests.models.rows import Member, add_member, submit


@pytest.fixture
def ann(app: Flask) -> Member:
    """A member of the organisation One."""
    return add_member()


@st.composite
def lines(draw: st.DrawFn) -> list[Place]:
    count = draw(st.integers(1, 6))
    small = st.integers(0, 4)
    return [Place(number, draw(st.integers(0, 2)), draw(small), draw(st.integers(1, 5))) for number in range(count)]


def claimed_in_order(places: list[Place]) -> list[int]:
    """Return the jobs in the order in which one worker after the other claims a shot of them, until none waits."""
    running = {place.job_id: place.running for place in places}
    waiting = {place.job_id: place.waiting for place in places}
    priority = {place.job_id: place.priority for place in places}
    order = []
    while open_jobs := [job_id for job_id, left in waiting.items() if left]:
        chosen = min(open_jobs, key=lambda job_id: (-priority[job_id], running[job_id], job_id))
        running[chosen] += 1
        waiting[chosen] -= 1
        order.append(chosen)
    return order


@given(lines())
def test_a_place_is_the_number_of_claims_before_it(places: list[Place]) -> None:
    line, order = Line(places), claimed_in_order(places)
    for place in places:
        turns = [number for number, job_id in enumerate(order) if job_id == place.job_id]
        assert [line.before(place.job_id, nth=nth) for nth in range(place.waiting)] == turns
    first_turns = sorted(places, key=lambda place: order.index(place.job_id))
    assert set(line.next_jobs(99)) == {place.job_id for place in first_turns}
    assert line.next_jobs(1) == [order[0]]


def test_the_workers_claim_in_the_order_that_the_line_says(ann: Member) -> None:
    jobs = [submit(ann, n=n) for n in (4, 1, 3)]
    with organisation_scope(ann.organisation_id):
        control.to_the_front(jobs[2].public_id)
    with organisation_scope(ann.organisation_id):
        line = job_line.line()
        said = {line.before(job.id, nth=nth): job.id for job in jobs for nth in range(job.total)}
    with system_scope():
        claimed = []
        while claim := claims.claim(owner="test", lease_seconds=60, lone_only=False):
            claimed.append(db.session.scalars(select(Shot.job_id).where(Shot.id == claim.shot_id)).one())
            db.session.rollback()
    assert [said[number] for number in range(len(claimed))] == claimed


def test_a_lone_picture_is_not_behind_the_whole_of_a_large_job(ann: Member) -> None:
    submit(ann, n=10)
    with system_scope():
        for _ in range(4):
            claims.claim(owner="test", lease_seconds=60, lone_only=False)
    lone = submit(ann, n=1)
    with organisation_scope(ann.organisation_id):
        assert job_line.line().before(lone.id) == 0


def test_who_is_paused_or_elsewhere_is_not_in_line(ann: Member) -> None:
    elsewhere = add_member("bob", "Two")
    theirs = submit(elsewhere, n=9)
    paused, waits = submit(ann, n=2), submit(ann, n=2)
    with organisation_scope(ann.organisation_id):
        control.pause(paused.public_id)
    with organisation_scope(ann.organisation_id):
        line = job_line.line()
        assert (line.before(paused.id), line.before(theirs.id), line.before(waits.id)) == (None, None, 0)
        assert paused.id not in line and waits.id in line
        assert db.session.get_one(Job, waits.id).n_waiting == 2
