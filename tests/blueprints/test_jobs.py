"""Jobs: the list, one job, and what a page is given while its stream fails."""

from __future__ import annotations

import pytest
from flask import Flask

from imagegen.models.states import JobStatus
from tests.conftest import Person
from tests.web.browsers import Page
from tests.web.rows import make_job

PARTIAL = {"HX-Request-Type": "partial"}
OF_STATUS = {
    "succeeded": ("succeeded",),
    "partial": ("succeeded", "failed"),
    "failed": ("refused",),
    "canceled": ("canceled",),
    "running": ("running", "waiting"),
    "queued": ("waiting",),
}


def prompts(page: Page) -> list[str]:
    return [row.text.strip() for row in page.all("h2") if any(each.tag == "li" for each in row.parents)]


@pytest.fixture
def one_of_each(ann: Person) -> None:
    for status, states in OF_STATUS.items():
        make_job(ann, prompt=status, states=states)


@pytest.mark.parametrize("status", list(JobStatus))
def test_the_list_is_narrowed_to_a_state(ann: Person, one_of_each: None, status: JobStatus) -> None:
    assert prompts(Page(ann.client.get(f"/jobs?status={status}").text)) == [status]


def test_the_list_shows_all_and_says_when_nothing_is_like_that(ann: Person, one_of_each: None, eve: Person) -> None:
    assert prompts(Page(ann.client.get("/jobs").text)) == list(OF_STATUS)[::-1]
    assert "No jobs yet" in eve.client.get("/jobs").text
    assert "No job is like that" in eve.client.get("/jobs?status=failed").text
    wrong = ann.client.get("/jobs?status=<b>")
    assert wrong.status_code == 422 and "<b>" not in wrong.text


def test_the_list_goes_on_where_it_ended_with_its_filter(ann: Person) -> None:
    for number in range(22):
        make_job(ann, prompt=f"good {number}")
        make_job(ann, prompt=f"bad {number}", states=("failed",))
    first = Page(ann.client.get("/jobs?status=succeeded").text)
    rest = Page(ann.client.get(first.one("li", class_="grid__more")["hx-get"], headers=PARTIAL).text)
    assert prompts(first) + prompts(rest) == [f"good {number}" for number in range(21, -1, -1)]


def test_a_job_shows_every_picture_its_story_and_how_it_stands(ann: Person) -> None:
    states = ("succeeded", "failed", "unknown", "waiting", "running")
    made = make_job(ann, states=states, error_message="No such luck.")
    page = Page(ann.client.get(f"/jobs/{made.job}").text)
    assert not page.faults()
    tiles = [page.one("article", id=f"shot-{made.job}-{slot}") for slot in range(len(states))]
    assert [tile["data-state"] for tile in tiles] == list(states)
    assert "No such luck." in tiles[1].text
    assert all(page.one("ol", id=f"timeline-{made.job}-{slot}") for slot in range(len(states)))


def test_without_javascript_an_unfinished_job_is_read_again_and_a_finished_one_is_not(ann: Person) -> None:
    unfinished, finished = make_job(ann, states=("running",)), make_job(ann)
    refresh = '<noscript><meta http-equiv="refresh" content="3"></noscript>'
    assert refresh in ann.client.get(f"/jobs/{unfinished.job}").text
    assert refresh not in ann.client.get(f"/jobs/{finished.job}").text


def test_the_piece_for_a_page_whose_stream_fails_holds_all_that_the_page_shows(ann: Person) -> None:
    """Every part that says how things stand is in it, each to be put over the one on the page."""
    made = make_job(ann, states=("succeeded", "running", "waiting"))
    whole = Page(ann.client.get(f"/jobs/{made.job}").text)
    polled = whole.one("p", class_="job__status")["data-poll"]
    piece = Page(ann.client.get(polled, headers=PARTIAL).text)
    roots = [element for element in piece.elements if not element.parents]
    assert all("hx-swap-oob" in root.attributes for root in roots) and not piece.faults(whole=False)
    names = {root["id"] for root in roots}
    expected = {f"{part}-{made.job}-{slot}" for slot in range(3) for part in ("shot", "timeline")}
    assert names >= expected | {f"job-status-{made.job}", "jobs-ring"}
    assert names <= {element.attributes.get("id") for element in whole.elements}


def test_what_is_done_to_a_job_is_done_by_htmx_and_without(ann: Person) -> None:
    """Deleting leads away: a piece of the page that is open would be the wrong place for another page."""
    one, two = make_job(ann), make_job(ann)
    answer = ann.post(f"/jobs/{one.job}/delete", partial=True)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/jobs")
    assert ann.post(f"/jobs/{two.job}/delete").location == "/jobs"
    for made in (one, two):
        assert ann.client.get(f"/jobs/{made.job}").status_code == 404
        assert ann.client.get(f"/library/{made.images[0]}").status_code == 200, "its pictures stay"


def test_a_finished_job_is_not_asked_for_any_more(ann: Person) -> None:
    made = make_job(ann)
    page = Page(ann.client.get(f"/jobs/{made.job}").text)
    assert "data-poll" not in page.one("p", class_="job__status").attributes


def test_a_colleague_may_look_at_a_job_but_has_it_not_in_the_list(app: Flask, ann: Person, eve: Person) -> None:
    made = make_job(ann, prompt="Ann's own")
    assert "Ann&#39;s own" in eve.client.get(f"/jobs/{made.job}").text
    assert "Ann&#39;s own" not in eve.client.get("/jobs").text
