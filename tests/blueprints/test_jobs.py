"""Jobs: the list, one job, and what a page is given while its stream fails."""

from __future__ import annotations

import pytest
from flask import Flask

from imagegen.extensions import db
from imagegen.models import Job, Shot, organisation_scope, system_scope, unit_of_work
from imagegen.models.states import JobStatus
from imagegen.services.library import delete_for_ever, put_into_trash
from imagegen.web import verbs
from tests.conftest import MakePerson, Person
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


def test_a_picture_that_was_thrown_away_is_no_failure(ann: Person) -> None:
    """Its tile says where it is, and is no error without words."""
    made = make_job(ann)
    path, tile = f"/jobs/{made.job}", f"shot-{made.job}-0"

    with organisation_scope(ann.organisation.id):
        put_into_trash(public_ids=made.images)
    thrown = Page(ann.client.get(path).text).one("article", id=tile)
    with organisation_scope(ann.organisation.id):
        delete_for_ever(public_ids=made.images)
    gone = Page(ann.client.get(path).text).one("article", id=tile)

    assert ("In the trash." in thrown.text, "Deleted." in gone.text) == (True, True)
    assert "Change it" not in thrown.text + gone.text


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
    beside = {f"job-{part}-{made.job}" for part in ("status", "actions", "facts", "troubles", "place")}
    assert names >= expected | beside | {"jobs-ring"}
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


def search(person: Person, query: str) -> Page:
    """Return what the page puts in place of its list when somebody types."""
    answer = person.client.get(f"/jobs?{query}", headers=PARTIAL)
    assert answer.status_code == 200
    piece = Page(answer.text)
    assert [element["id"] for element in piece.elements if not element.parents] == ["jobs-found"]
    return piece


def test_a_search_keeps_the_filters_and_the_filters_keep_the_search(ann: Person) -> None:
    make_job(ann, prompt="amber dunes")
    make_job(ann, prompt="amber waves", states=("failed",))
    found = search(ann, "q=amber&status=failed&provider=&style=&whose=mine&from=&to=")
    assert prompts(found) == ["amber waves"]
    done = next(chip for chip in found.all("a", class_="chip") if chip.text == "Done")
    assert done["href"] == "/jobs?status=succeeded&q=amber"
    assert prompts(Page(ann.client.get(done["href"]).text)) == ["amber dunes"]


def test_the_address_of_a_search_holds_what_was_chosen_and_nothing_else(ann: Person) -> None:
    answer = ann.client.get("/jobs?q=amber&status=&provider=&whose=mine&from=2026-01-01&to=", headers=PARTIAL)
    assert answer.headers["HX-Replace-Url"] == "/jobs?q=amber&from=2026-01-01"
    page = Page(ann.client.get(answer.headers["HX-Replace-Url"]).text)
    assert page.one("input", name="q")["value"] == "amber" and page.one("input", name="from")["value"] == "2026-01-01"


def test_the_button_of_the_filters_says_how_many_are_on(ann: Person) -> None:
    for query, count in ("q=amber&status=failed&whose=mine", ""), ("provider=local&from=2026-01-01&whose=all", "3"):
        found = search(ann, query)
        assert found.one("button", popovertarget="jobs-filters").text.removeprefix("Filter").strip() == count


def test_everybodys_jobs_are_listed_for_who_asks_and_for_who_makes_none(
    ann: Person, eve: Person, ben: Person, make_person: MakePerson
) -> None:
    make_job(ann, prompt="of Ann")
    make_job(eve, prompt="of Eve")
    make_job(ben, prompt="of Ben, elsewhere")
    assert prompts(Page(ann.client.get("/jobs?whose=all").text)) == ["of Eve", "of Ann"]
    viewer = make_person("viewer@one.example", "One", role="viewer")
    assert prompts(Page(viewer.client.get("/jobs").text)) == ["of Eve", "of Ann"]


@pytest.mark.parametrize("query", ["status=x", "whose=theirs", "from=yesterday", "to=2026-13-01", "cursor=x"])
def test_what_is_no_choice_is_said(ann: Person, query: str) -> None:
    assert ann.client.get(f"/jobs?{query}").status_code == 422


EVERY_STATE = ("succeeded", "failed", "unknown", "refused", "canceled", "waiting", "running")


@pytest.mark.parametrize("role", ["viewer", "approver"])
def test_who_may_change_nothing_is_offered_nothing(ann: Person, make_person: MakePerson, role: str) -> None:
    made = [make_job(ann, states=(state,)) for state in EVERY_STATE]
    looker = make_person("looker@one.example", "One", role=role)
    for path in ("/jobs", *(f"/jobs/{one.job}" for one in made)):
        for headers in ({}, PARTIAL):
            page = Page(looker.client.get(path, headers=headers).text)
            asked = [e.attributes.get("hx-post") or e.attributes.get("action", "") for e in page.elements]
            assert not [address for address in asked if address.startswith("/jobs/")], path
            assert not [address for address in asked if address.endswith("/star")], path
            assert not [link for link in page.all("a") if "/generate?again" in link.attributes.get("href", "")]


def offered(person: Person, job: str) -> set[str]:
    """Return the verbs that a job's page offers."""
    page = Page(person.client.get(f"/jobs/{job}").text)
    actions = page.one("div", id=f"job-actions-{job}")
    return {form["action"].rpartition("/")[2] for form in page.all("form") if actions in form.parents}


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        (("waiting",), {"pause", "front", "cancel"}),
        (("running",), {"cancel"}),
        (("succeeded",), {"again", "delete"}),
        (("succeeded", "failed"), {"retry", "again", "delete"}),
        (("succeeded", "refused"), {"retry", "again", "delete"}),
        (("refused", "refused"), {"again", "delete"}),
        (("canceled",), {"retry", "again", "delete"}),
        (("unknown",), {"again"}),
    ],
)
def test_what_is_offered_is_what_can_be_done(ann: Person, states: tuple[str, ...], wanted: set[str]) -> None:
    made = make_job(ann, states=states)
    assert offered(ann, made.job) == wanted
    for name in wanted & {verb.name for verb in verbs.CHANGES}:
        assert ann.post(f"/jobs/{make_job(ann, states=states).job}/{name}").status_code == 303, name


def test_a_refused_job_says_what_to_change(ann: Person) -> None:
    made = make_job(ann, states=("refused", "refused"), error_message="Violence is not drawn.")
    page = Page(ann.client.get(f"/jobs/{made.job}").text)
    troubles = page.one("div", id=f"job-troubles-{made.job}")
    assert "2 pictures were refused" in troubles.text and "Violence is not drawn." in troubles.text
    assert "Change the words, or try another model." in troubles.text
    assert "Try the rest again" not in page.text


def test_a_call_of_unknown_fate_is_explained_with_what_can_be_checked(ann: Person) -> None:
    made = make_job(ann, states=("unknown",))
    with system_scope(), unit_of_work() as uow:
        shot = uow.scalars(db.select(Shot).where(Shot.job_id == made.job_key)).one()
        shot.attempts[0].provider_request_id = "req_4711"
        shot.estimated_micro = 41_000
    page = Page(ann.client.get(f"/jobs/{made.job}").text)
    troubles = page.one("div", id=f"job-troubles-{made.job}")
    for words in ("may have drawn the picture and billed it", "req_4711", "$0.041", "Look later"):
        assert words in troubles.text
    choices = [button["value"] for button in page.all("button", name="resolution") if troubles in button.parents]
    assert choices == ["billed", "not_billed"]
    assert not page.faults()


def test_a_stand_in_is_named_with_the_reason(ann: Person) -> None:
    made = make_job(ann)
    with system_scope(), unit_of_work() as uow:
        shot = uow.scalars(db.select(Shot).where(Shot.job_id == made.job_key)).one()
        shot.model = shot.attempts[0].model = "other-model"
    page = Page(ann.client.get(f"/jobs/{made.job}").text)
    assert "Drawn by other-model, because Studio drawings could not" in page.text


def test_the_same_again_is_one_new_job_however_often_one_clicks(ann: Person) -> None:
    made = make_job(ann, request={"prompt": "a violet wave", "n": 2, "seed": 7, "aspect_ratio": "1:1"})
    with system_scope(), unit_of_work() as uow:
        job = uow.get_one(Job, made.job_key)
        job.model = "local-studio"
    page = Page(ann.client.get(f"/jobs/{made.job}").text)
    key = page.one("input", name="key")["value"]
    answers = [ann.post(f"/jobs/{made.job}/again", key=key) for _ in range(2)]
    assert answers[0].status_code == 303 and answers[0].location == answers[1].location
    with organisation_scope(ann.organisation.id):
        new = db.session.scalars(db.select(Job).order_by(Job.id.desc()).limit(1)).one()
        assert (new.prompt, new.total, "seed" in new.request) == ("a violet wave", 2, False)


def test_all_of_ones_own_unfinished_jobs_are_canceled_at_once(ann: Person, eve: Person) -> None:
    mine = [make_job(ann, states=("waiting",)), make_job(ann, states=("waiting", "succeeded"))]
    evas, done = make_job(eve, states=("waiting",)), make_job(ann)
    assert "Cancel your 2 unfinished jobs?" in ann.client.get("/jobs").text
    assert ann.post("/jobs/all/cancel").status_code == 303
    with system_scope():
        status = {job.public_id: job.status for job in db.session.scalars(db.select(Job))}
    assert [status[one.job] for one in mine] == ["canceled", "partial"]
    assert (status[evas.job], status[done.job]) == ("queued", "succeeded")


def test_a_line_of_the_list_is_asked_for_alone_while_the_stream_fails(ann: Person) -> None:
    made = make_job(ann, states=("running", "waiting"))
    row = Page(ann.client.get("/jobs").text).one("li", id=f"job-row-{made.job}")
    piece = Page(ann.client.get(row["data-poll"], headers=PARTIAL).text)
    roots = {element["id"] for element in piece.elements if not element.parents}
    assert roots == {f"job-row-{made.job}", "jobs-ring"}


def test_the_list_has_no_fault(ann: Person) -> None:
    for state in EVERY_STATE:
        make_job(ann, states=(state,))
    assert not Page(ann.client.get("/jobs").text).faults()
