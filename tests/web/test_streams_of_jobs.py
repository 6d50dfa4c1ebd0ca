"""Streams of the list of jobs and of one job: everybody's events, each reader's rights, drawn once for all alike."""

from __future__ import annotations

import pytest

from imagegen.web import job_rows
from tests.conftest import MakePerson, Person
from tests.web.listening import Server, open_stream
from tests.web.rows import make_job, say


def test_a_list_of_everybodys_jobs_hears_of_others_and_one_of_ones_own_does_not(
    server: Server, ann: Person, eve: Person
) -> None:
    evas = make_job(eve, states=("running", "waiting"))
    of_all, of_mine = (open_stream(server, ann, f"/jobs/stream?list={whose}") for whose in ("all", "mine"))
    say(eve, evas)
    assert f'id="job-row-{evas.job}"' in of_all.next().data
    heard = of_mine.next().data
    assert f'id="job-row-{evas.job}"' not in heard
    assert f'id="job-place-{evas.job}"' in heard, "what others do moves places in line"


def test_one_jobs_page_hears_of_it_whosever_it_is_and_of_its_own_persons_ring(
    server: Server, ann: Person, eve: Person
) -> None:
    evas, anns = make_job(eve, states=("running",)), make_job(ann, states=("running",))
    page = open_stream(server, ann, f"/jobs/stream?jobs={evas.job}")
    say(eve, evas)
    heard = page.next().data
    assert all(f'id="job-{part}-{evas.job}"' in heard for part in ("status", "actions", "facts", "troubles"))
    assert 'id="jobs-ring"' not in heard
    say(ann, anns, type="job.queued")
    heard = page.next().data
    assert 'id="jobs-ring"' in heard and f'id="job-status-{anns.job}"' not in heard


@pytest.mark.parametrize("query", ["list=all", "jobs={job}"])
def test_a_reader_is_offered_in_the_stream_what_their_role_allows(
    server: Server, ann: Person, make_person: MakePerson, query: str
) -> None:
    viewer = make_person("viewer@one.example", "One", role="viewer")
    made = make_job(ann, states=("failed", "succeeded"))
    path = f"/jobs/stream?{query.format(job=made.job)}"
    looking, owning = open_stream(server, viewer, path), open_stream(server, ann, path)
    say(ann, made)
    assert f"/jobs/{made.job}/retry" in owning.next().data
    heard = looking.next().data
    assert made.job in heard and "<form" not in heard and "hx-post" not in heard.replace("data-star", "")


def test_the_list_is_drawn_once_for_all_who_may_do_the_same(
    server: Server, ann: Person, make_person: MakePerson, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    real = job_rows.rows
    monkeypatch.setattr(job_rows, "rows", lambda found, **known: drawn.append(len(found)) or real(found, **known))
    owners = [ann, *(make_person(f"owner{number}@one.example", "One") for number in range(3))]
    made = make_job(ann, states=("running",))
    tabs = [open_stream(server, person, "/jobs/stream?list=all") for person in owners]
    say(ann, made)
    assert all(f'id="job-row-{made.job}"' in tab.next().data for tab in tabs)
    assert drawn == [1]
