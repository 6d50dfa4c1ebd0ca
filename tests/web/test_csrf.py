"""Nobody changes anything through somebody else's browser."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from imagegen.extensions import db
from imagegen.models import Image, organisation_scope, system_scope
from tests.blueprints.access_table import CALLS, GONE
from tests.conftest import Person, csrf_of
from tests.web.rows import Made, make_job

SENTENCE = "This page has been open for too long, or was opened elsewhere. Reload it; nothing is lost."


@pytest.fixture
def made(ann: Person) -> Made:
    return make_job(ann)


def starred(person: Person) -> bool:
    db.session.rollback()
    with organisation_scope(person.organisation.id):
        return bool(db.session.scalars(db.select(Image.favourite)).one())


def star(client: FlaskClient, made: Made, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/library/{made.images[0]}/star", headers=named).status_code


def test_with_the_pages_token_it_works(ann: Person, made: Made) -> None:
    assert star(ann.client, made, X_CSRFToken=csrf_of(ann.client.get("/generate").text)) == 303 and starred(ann)


@pytest.mark.parametrize("token", [None, "", "x", "IjEi.aaaa.bbbb", "\u00e9"])
def test_without_or_with_a_made_up_token_nothing_changes(ann: Person, made: Made, token: str | None) -> None:
    headers = {} if token is None else {"X_CSRFToken": token.encode().decode("latin-1")}
    assert star(ann.client, made, **headers) == 400 and not starred(ann)


def test_a_token_of_another_session_opens_nothing(app: Flask, ann: Person, ben: Person, made: Made) -> None:
    nobodys = csrf_of(app.test_client().get("/sign-in").text)
    for token in (ben.csrf(), nobodys):
        assert star(ann.client, made, X_CSRFToken=token) == 400
    assert not starred(ann)


def test_a_token_ends_with_its_session(ann: Person, made: Made) -> None:
    before = ann.csrf()
    form = {"email": ann.user.email, "password": "a long enough password", "csrf_token": before}
    assert ann.client.post("/sign-in", data=form).status_code == 303
    assert star(ann.client, made, X_CSRFToken=before) == 400
    assert star(ann.client, made, X_CSRFToken=ann.csrf()) == 303


def test_another_origin_is_refused_behind_https(ann: Person, made: Made) -> None:
    client, https = ann.client, {"base_url": "https://localhost"}
    token = ann.csrf()
    path = f"/library/{made.images[0]}/star"
    for referer in ({}, {"Referer": "https://evil.example/"}, {"Referer": "http://localhost/"}):
        assert client.post(path, headers={"X-CSRFToken": token, **referer}, **https).status_code == 400
    ours = {"X-CSRFToken": token, "Referer": "https://localhost/library"}
    assert client.post(path, headers=ours, **https).status_code == 303


def test_the_refusal_is_a_sentence_in_a_page_and_in_a_piece(ann: Person, made: Made) -> None:
    path = f"/library/{made.images[0]}/star"
    page = ann.client.post(path)
    assert page.status_code == 400 and SENTENCE in page.text and "<html" in page.text
    piece = ann.client.post(path, headers={"HX-Request-Type": "partial"})
    assert piece.status_code == 400 and SENTENCE in piece.text and "<html" not in piece.text
    assert piece.headers["HX-Trigger"] == "studio:stale"


def test_every_change_by_a_browser_needs_it(app: Flask, ann: Person) -> None:
    """Walked over the map of addresses; the API's too, where a session calls it."""
    for rule in app.url_map.iter_rules():
        call = CALLS[rule.endpoint]
        if "POST" in rule.methods and call.needs != GONE:
            path = call.path.format_map(Anything())
            sent = {"data": call.form} if call.json is None else {"json": call.json}
            refused = 403 if call.needs == "operate" else 400
            assert ann.client.post(path, **sent).status_code == refused, rule.endpoint


class Anything(dict[str, str]):
    """Fills every place of a path with the same id."""

    def __missing__(self, key: str) -> str:
        return "01a1fd00-0000-7000-8000-000000000000"


def test_a_program_with_a_token_needs_none(app: Flask, ann: Person) -> None:
    answer = app.test_client().post("/api/v1/images/generate", json={"prompt": "a wave"}, headers=ann.bearer())
    assert answer.status_code == 202


def test_a_bearer_token_beside_a_session_does_not_lift_it(ann: Person, made: Made) -> None:
    """A page of evil.example cannot add the header; and on pages it counts for nothing."""
    assert star(ann.client, made, **ann.bearer("admin")) == 400


def test_reading_changes_nothing(app: Flask, ann: Person, made: Made) -> None:
    """Every address that is read, read twice with every parameter that forms send: rows stay as they are."""
    make_job(ann, states=("failed", "waiting"))
    before = rows()
    for rule in app.url_map.iter_rules():
        call = CALLS[rule.endpoint]
        if "GET" in rule.methods and call.needs != GONE:
            path = call.path.format_map(Anything(job=made.job, image=made.images[0])).partition("?")[0]
            query = {"prompt": "x", "organisation": "x", "favourite": "1", "name": "x", "idempotency_key": made.job}
            for method in ("GET", "HEAD"):
                ann.client.open(path, method=method, query_string=query).close()
    assert rows() == before


def rows() -> dict[str, list[tuple[object, ...]]]:
    """Return everything in the database."""
    db.session.rollback()
    with system_scope():
        return {
            table.name: [tuple(row) for row in db.session.execute(db.select(table)).all()]
            for table in db.metadata.sorted_tables
        }


def test_an_address_that_changes_things_is_not_read(app: Flask, ann: Person) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if "<path:" not in rule.rule]
    reads = {rule.rule for rule in rules if "GET" in rule.methods}
    for rule in rules:
        if "POST" in rule.methods and rule.rule not in reads and not rule.rule.startswith("/api/"):
            path = rule.rule.replace("<", "").replace(">", "")
            answer = ann.client.get(path)
            # Where its last part could be the name of a picture, there is no such picture.
            gone = answer.status_code == 404 and path.startswith("/library/")
            assert gone or (answer.status_code == 405 and "POST" in answer.headers["Allow"]), path
