"""Headers of every answer, and pages in which they leave nothing to break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.blueprints.access_table import CALLS, GONE, Names
from tests.conftest import Person
from tests.web.browsers import Page
from tests.web.rows import make_job

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; worker-src blob:; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
)
SANDBOX = "sandbox; default-src 'none'"
PARTIAL = {"HX-Request-Type": "partial"}


@pytest.fixture
def everything(app: Flask, ann: Person) -> dict[str, TestResponse]:
    """What every address that can be read answers to somebody with pictures and jobs of all kinds."""
    states = ("succeeded", "failed", "refused", "unknown", "canceled", "running", "waiting")
    made = make_job(ann, states=states)
    make_job(ann, states=("succeeded", "succeeded"))
    ann.token()
    answers = {}
    for rule in app.url_map.iter_rules():
        call = CALLS[rule.endpoint]
        if "GET" in rule.methods and call.needs != GONE and rule.endpoint not in ("jobs.stream", "api-jobs.events"):
            path = call.path.format_map(Names(job=made.job, image=made.images[0]))
            answers[rule.endpoint] = ann.client.get(path)
    return answers | {"not there": ann.client.get("/nope"), "refused": ann.client.post("/generate")}


def test_every_answer_says_what_it_may_load(everything: dict[str, TestResponse]) -> None:
    odd = {name: answer.headers.get("Content-Security-Policy") for name, answer in everything.items()}
    files = {name for name, policy in odd.items() if policy == SANDBOX}
    assert files == {"media.file", "media.rendition", "library.download", "api-images.file", "api-images.thumbnail"}
    assert {policy for policy in odd.values() if policy != SANDBOX} == {CSP}


def test_every_answer_says_that_nobody_may_frame_guess_or_follow_it(everything: dict[str, TestResponse]) -> None:
    for name, answer in everything.items():
        assert answer.headers["X-Content-Type-Options"] == "nosniff", name
        assert answer.headers["X-Frame-Options"] == "DENY", name
        assert answer.headers["Referrer-Policy"] == "same-origin", name
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", name
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin", name
        assert answer.headers["Permissions-Policy"] == "camera=(), microphone=(), geolocation=()", name


def test_only_what_never_changes_is_kept(everything: dict[str, TestResponse]) -> None:
    kept = {name for name, answer in everything.items() if "no-store" not in answer.headers["Cache-Control"]}
    files = {"media.file", "media.rendition", "library.download", "api-images.file", "api-images.thumbnail"}
    assert kept == files | {"static", "api-openapi.openapi"}
    assert everything["static"].headers["Cache-Control"] == "no-cache", "an address of another version"


def test_a_file_of_the_page_that_is_there_is_kept_for_good(app: Flask, ann: Person) -> None:
    style = next(link["href"] for link in Page(ann.client.get("/jobs").text).all("link", rel="stylesheet"))
    assert "immutable" in ann.client.get(style).headers["Cache-Control"]
    assert ann.client.get(style.replace("css/", "css/../../")).status_code == 404


def test_pages_are_what_the_headers_ask_for(everything: dict[str, TestResponse]) -> None:
    """No code and no style within, ids once, every pointer at something that is there, every form with its token."""
    pages = {name: answer.text for name, answer in everything.items() if answer.mimetype == "text/html"}
    assert len(pages) > 20
    whole = {name: Page(text).faults(whole="<html" in text) for name, text in pages.items() if text.strip()}
    assert not {name: faults for name, faults in whole.items() if faults}


def test_pieces_are_too(app: Flask, ann: Person, everything: dict[str, TestResponse]) -> None:
    for name, answer in everything.items():
        if answer.mimetype == "text/html" and name in CALLS:
            piece = ann.client.get(answer.request.full_path, headers=PARTIAL).text
            assert not piece.strip() or not Page(piece).faults(whole="<html" in piece), name


def test_everything_a_page_needs_is_here(app: Flask, ann: Person, everything: dict[str, TestResponse]) -> None:
    """Every script, style, picture and link leads somewhere, and never to another host."""
    found = {address for answer in everything.values() for address in addresses(answer)}
    assert not {address for address in found if not address.startswith(("/", "#", "?", "data:image/"))}
    for address in sorted(found):
        if address.startswith("/") and not address.startswith("/jobs/stream"):
            status = ann.client.get(address.partition("#")[0]).status_code
            assert status in (200, 302), address


def addresses(answer: TestResponse) -> Iterator[str]:
    if answer.mimetype != "text/html":
        return
    for element in Page(answer.text).elements:
        names = ("href", "src", "action", "hx-get", "data-large", "data-download", "data-stream", "data-poll")
        if element.tag == "form" or (element.tag == "a" and element.attributes.get("rel") == "noreferrer"):
            continue  # sent, and left, only by whoever wants to
        yield from (element[name] for name in names if element.attributes.get(name))
        yield from (part.split()[0] for part in element.attributes.get("srcset", "").split(",") if part.strip())
