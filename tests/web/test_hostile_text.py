"""Text of strangers: shown letter by letter everywhere, and nowhere more than text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from imagegen.core.clock import now
from imagegen.core.text import clean
from imagegen.extensions import db
from imagegen.models import ApiToken, Event, Organisation, Shot, User, organisation_scope, unit_of_work
from imagegen.services import accounts
from imagegen.web.sse import Stream, draw, message
from tests.blueprints.access_table import CALLS, GONE, Names
from tests.conftest import MakePerson, Person
from tests.web.browsers import Page
from tests.web.listening import parse
from tests.web.rows import Made, make_job

EVIL = """zqx<zqx-a>"'`><svg/onload=zqx()>{{7*7}}${7*7}#{7*7}<%=7*7%>%n%(a)s{0}</textarea></script>"""
"""Breaks out of text, attributes in either quotes, raw text, templates and formats; each piece leaves a trace."""
SHORT = """zqx<zqx-a zqx="'{{7*7}}>"""

PARTIAL = {"HX-Request-Type": "partial"}


@pytest.fixture
def mallory(make_person: MakePerson) -> Person:
    """The owner of an organisation in which every word is evil."""
    person = make_person("mallory@one.example", "Evil", role="owner")
    with unit_of_work() as uow:
        uow.execute(update(User).values(name=EVIL, is_operator=True))
        uow.execute(update(Organisation).values(name=EVIL))
    accounts.create_token(user_id=person.user.id, organisation_id=person.organisation.id, name=SHORT)
    with unit_of_work() as uow:
        uow.execute(update(ApiToken).values(name=SHORT))
    return person


@pytest.fixture
def made(mallory: Person) -> Made:
    return make_job(
        mallory,
        prompt=EVIL,
        states=("succeeded", "refused", "running", "waiting", "succeeded"),
        title=EVIL,
        filename=EVIL,
        model_label=EVIL[:110],
        error_message=EVIL,
        request={"prompt": EVIL, "style": SHORT, "quality": SHORT, "negative_prompt": EVIL, "n": 5},
    )


def assert_inert(html: str) -> Page:
    """Check that nothing of the evil text became more than text."""
    page = Page(html)
    strange = [element for element in page.elements if "zqx" in element.tag or element.tag.startswith("zqx")]
    assert not strange, strange
    for element in page.elements:
        made_of_text = [name for name in element.attributes if "zqx" in name or "<" in name or '"' in name]
        assert not made_of_text, element
        assert element["id"].isascii() if "id" in element.attributes else True
    assert not page.faults(whole="<html" in html)
    assert not re.search(r"""zqx\(\)>49|zqx="'49""", "".join(page.everything_said())), "a template read it"
    return page


def readable(call_path: str, made: Made) -> str:
    return call_path.format_map(Names(job=made.job, image=made.images[0]))


def test_every_page_and_piece_shows_it_as_text(app: Flask, mallory: Person, made: Made) -> None:
    """Walked over the map of addresses, so that a new page is tried too."""
    seen = 0
    for rule in app.url_map.iter_rules():
        call = CALLS[rule.endpoint]
        if "GET" not in rule.methods or call.needs == GONE or rule.endpoint == "jobs.stream":
            continue
        for headers in ({}, PARTIAL):
            answer = mallory.client.get(readable(call.path, made), headers=headers)
            if answer.mimetype == "text/html" and answer.status_code == 200:
                seen += EVIL in "".join(assert_inert(answer.text).everything_said())
    assert seen >= 10, "the evil text stood in so many answers, whole"


PARAMETERS = ("prompt", "again", "like", "next", "filter", "status", "cursor", "before", "day", "q", "model")


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_is_in_an_address_is_never_more_than_text(app: Flask, mallory: Person, made: Made, name: str) -> None:
    visitor = app.test_client()
    for client, path in each_page(mallory.client, visitor, made):
        answer = client.get(path, query_string={name: EVIL})
        if answer.mimetype == "text/html":
            assert_inert(answer.text)


def each_page(client: FlaskClient, visitor: FlaskClient, made: Made) -> Iterator[tuple[FlaskClient, str]]:
    yield visitor, "/sign-in"
    for path in ("/generate", "/generate/form", "/generate/estimate", "/jobs", "/library", "/library/grid"):
        yield client, path
    yield client, f"/library/{made.images[0]}"


def test_a_path_is_never_more_than_text(app: Flask, mallory: Person) -> None:
    for path in (f"/{EVIL}", f"/jobs/{EVIL}", f"/static/{EVIL}/{EVIL}", f"/invitation/{EVIL}"):
        answer = mallory.client.get(path.replace("%", "%25").replace("?", "%3f").replace("#", "%23"))
        assert answer.status_code == 404
        assert_inert(answer.text)


def test_what_is_typed_comes_back_letter_by_letter(mallory: Person) -> None:
    page = assert_inert(mallory.post("/generate", prompt=EVIL, seed="wrong", negative_prompt=EVIL).text)
    assert page.form()["prompt"] == [EVIL]


@pytest.mark.parametrize(
    "prompt", ["{{7*7}}", "${7*7}", "#{7*7}", "%n%s%(x)s", "{0}{x.__class__}", "\u202egnp.exe", "👩‍🚀", "a\r\nb\n"]
)
def test_no_template_and_no_format_reads_a_prompt(mallory: Person, prompt: str) -> None:
    answer = mallory.post("/generate", prompt=prompt, variants="1")
    assert answer.status_code == 303
    page = Page(mallory.client.get(answer.location).text)
    heading = next(heading for heading in page.all("h2") if heading.attributes.get("id", "").startswith("job-"))
    assert heading.text == clean(prompt).strip()


def test_a_streams_message_is_inert_and_is_one_message(app: Flask, mallory: Person, made: Made) -> None:
    stream = Stream(organisation_id=mallory.organisation.id, user_id=mallory.user.id)
    with app.test_request_context(), organisation_scope(mallory.organisation.id):
        mine = {"organisation_id": mallory.organisation.id, "user_id": mallory.user.id, "job_id": made.job_key}
        shots = db.session.scalars(db.select(Shot.id))
        told_of = [Event(organisation_seq=7, shot_id=shot, seq=1, type="shot.running", **mine) for shot in shots]
        ((seq, chunk),) = draw(told_of, stream)
        (told,) = parse(chunk.decode())
    assert seq == 7
    page = assert_inert(told.data)
    assert EVIL in "".join(page.everything_said()) and "tile__sentence" in told.data


def test_evil_in_an_event_stays_one_line_of_json(app: Flask) -> None:
    stream = Stream(organisation_id=1, user_id=1, format="json", job_id=1)
    said = {"said": "a\n\nevent: bye\r\rdata: x\u2028"}
    event = Event(organisation_seq=1, seq=1, type="shot.failed", data=said, created_at=now())
    ((_seq, chunk),) = draw([event], stream)
    (told,) = parse(chunk.decode())
    assert told.event == "message" and json.loads(told.data)["said"] == said["said"]
    assert chunk == message(told.data, id=1)


def test_the_api_gives_it_back_exactly(mallory: Person, made: Made) -> None:
    answer = mallory.client.get(f"/api/v1/images/{made.images[0]}")
    assert answer.get_json()["prompt"] == EVIL and answer.mimetype == "application/json"
    job = mallory.client.get(f"/api/v1/jobs/{made.job}").get_json()
    assert EVIL in json.dumps(job, ensure_ascii=False).replace('\\"', '"')
