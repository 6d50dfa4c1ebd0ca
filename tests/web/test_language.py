"""Which language somebody reads, and that it is that one everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import update

from imagegen.core.errors import ADVICE, ErrorKind
from imagegen.core.text import N_
from imagegen.models import Organisation, User, unit_of_work
from imagegen.services import people
from imagegen.web import words
from scripts import messages
from tests.blueprints.access_table import CALLS
from tests.conftest import Person
from tests.web.browsers import Element, Page
from tests.web.rows import make_job

GERMAN = {"Accept-Language": "de-CH,de;q=0.9,en;q=0.5"}
FRENCH = {"Accept-Language": "fr"}
PROMPT = "zwei Reiher im Schilf"
READ_ALOUD = ("aria-label", "title", "placeholder", "alt", "content")
ENGLISH_ON_PURPOSE = {"api-docs.page": "drawn from the API's own words"}


def speaks(person: Person, language: str | None) -> None:
    """Choose a language on the person's profile."""
    people.change_profile(
        user_id=person.user.id, name=person.user.name, language=language, time_zone=None, theme="system"
    )


def organisation_speaks(person: Person, language: str) -> None:
    with unit_of_work() as uow:
        mine = Organisation.id == person.organisation.id
        uow.execute(update(Organisation).where(mine).values(language=language))


def language_of(html: str) -> str:
    return Page(html).one("html")["lang"]


def test_a_person_reads_their_own_language_whatever_the_browser_says(ann: Person) -> None:
    speaks(ann, "de")
    organisation_speaks(ann, "en")
    answer = ann.client.get("/jobs", headers={"Accept-Language": "en"})
    assert language_of(answer.text) == "de"
    assert Page(answer.text).one("h1").text == "Aufträge"


def test_without_a_choice_the_organisations_language_holds(ann: Person) -> None:
    organisation_speaks(ann, "de")
    assert language_of(ann.client.get("/jobs", headers=FRENCH).text) == "de"


def test_without_either_the_browsers_language_holds(ann: Person) -> None:
    assert language_of(ann.client.get("/jobs", headers=GERMAN).text) == "de"


def test_a_browser_that_asks_for_nothing_we_speak_gets_english(ann: Person) -> None:
    assert language_of(ann.client.get("/jobs", headers=FRENCH).text) == "en"
    assert language_of(ann.client.get("/jobs").text) == "en"


def test_what_depends_on_the_browsers_language_says_so_to_caches(ann: Person, app: Flask) -> None:
    assert "Accept-Language" in app.test_client().get("/sign-in").vary
    speaks(ann, "de")
    assert "Accept-Language" not in ann.client.get("/jobs").vary


def test_the_way_in_speaks_the_browsers_language(ann: Person, app: Flask) -> None:
    page = Page(app.test_client().get("/sign-in", headers=GERMAN).text)
    assert page.one("h1").text == "Anmelden"


def test_numbers_are_written_as_the_language_does(ann: Person) -> None:
    speaks(ann, "de")
    assert Page(ann.client.get("/generate").text).one(id="counter").text == "0 / 10.000"


@pytest.mark.parametrize(("language", "said"), [("en", "$1,204.50"), ("de", "1.204,50\N{NO-BREAK SPACE}$")])
def test_money_is_written_as_the_language_does(app: Flask, language: str, said: str) -> None:
    with app.test_request_context(headers={"Accept-Language": language}):
        assert words.money(1_204_500_000) == said


def test_values_that_programs_use_are_said_in_words(app: Flask) -> None:
    with app.test_request_context(headers=GERMAN):
        assert (words.quality("high"), words.style("photo"), words.scope("read")) == ("Hoch", "Foto", "Lesen")
        assert (words.quality("x-new"), words.style("of-old")) == ("x-new", "of-old")


def test_a_sentence_from_below_is_said_in_the_readers_language(ann: Person) -> None:
    message = N_("{model} takes no seed.").format(model="Studio")
    job = make_job(ann, states=("refused",), error_message=message).job
    speaks(ann, "de")
    page = Page(ann.client.get(f"/jobs/{job}").text)
    assert page.one("p", class_="tile__sentence").text == "Studio nimmt keinen Seed."
    speaks(ann, "en")
    assert Page(ann.client.get(f"/jobs/{job}").text).one("p", class_="tile__sentence").text == message


def test_a_program_hears_what_is_wrong_in_its_persons_language(ann: Person) -> None:
    speaks(ann, "de")
    wrong = {"prompt": "", "n": 0}
    answer = ann.client.post("/api/v1/images/generate", json=wrong, headers=ann.bearer())
    said = {problem["field"]: problem["message"] for problem in answer.json["errors"]}
    assert said == {"prompt": "Schreib, was das Bild zeigen soll.", "n": "Das muss mindestens 1 sein."}


def test_a_form_says_what_is_wrong_in_the_readers_language(ann: Person) -> None:
    speaks(ann, "de")
    answer = ann.post("/generate", partial=True, prompt="", variants_exact="99")
    assert answer.status_code == 422
    assert "Schreib, was das Bild zeigen soll." in answer.text
    assert re.search(r"Das darf höchstens \d+ sein\.", answer.text)


class Remains:
    """Recognises the English of messages that German says otherwise."""

    def __init__(self) -> None:
        catalogue = messages.read(messages.catalogues()["de"])
        pairs = [
            pair
            for message in catalogue
            if message.id
            for pair in zip(_forms(message.id), _forms(message.string), strict=True)
        ]
        german = {text for _, text in pairs}
        english = [text for text, translated in pairs if text != translated and text not in german]
        self._plain = {text for text in english if not _PLACE.search(text)}
        self._patterns = [_pattern(text) for text in english if _PLACE.search(text) and _has_words(text)]

    def in_text(self, text: str) -> bool:
        """Tell whether `text` is a message in English."""
        text = " ".join(text.split())
        return text in self._plain or any(pattern.fullmatch(text) for pattern in self._patterns)


_PLACE = re.compile(r"%\(\w+\)[a-z]|\{\w+\}")


def _forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return text if isinstance(text, tuple) else (text,)


def _has_words(text: str) -> bool:
    return len(re.findall(r"[A-Za-z]{2,}", _PLACE.sub(" ", text))) > 0


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".+".join(re.escape(piece) for piece in _PLACE.split(text)))


def texts(page: Page) -> Iterator[str]:
    """Yield what a page shows or reads aloud, piece by piece."""
    for element in page.elements:
        if element.tag in ("script", "style", "head", "html") or is_time_zone(element):
            continue
        if not any(other.parents and other.parents[-1] is element for other in page.elements):
            yield element.text
        yield from own_attributes(element)


def is_time_zone(element: Element) -> bool:
    """Tell whether an element is a choice among the names of places, which are nobody's messages."""
    return element.tag == "option" and "/" in element.attributes.get("value", "")


def own_attributes(element: Element) -> Iterator[str]:
    yield from (element.attributes[name] for name in READ_ALOUD if name in element.attributes)


@pytest.fixture
def things(ann: Person, eve: Person) -> dict[str, str]:
    """Jobs and pictures of Ann's in every state, and her colleague."""
    done = make_job(ann, PROMPT, request={"prompt": PROMPT, "n": 1, "style": "photo", "quality": "high"})
    sentence = N_("OpenAI refused this because of its content rules.")
    ended = ("failed", "refused", "unknown", "canceled", "succeeded")
    return {
        "job": done.job,
        "image": done.images[0],
        "running": make_job(ann, PROMPT, ("running", "waiting")).job,
        "failed": make_job(ann, PROMPT, ended, error_message=sentence).job,
        "person": eve.user.public_id,
        "organisation": ann.organisation.public_id,
    }


def pages(app: Flask, things: dict[str, str]) -> dict[str, str]:
    """Return the addresses of all pages that need nothing but `things`, by name."""
    reading = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    found = {
        endpoint: call.path.format_map(_Known(things))
        for endpoint, call in CALLS.items()
        if endpoint in reading and not call.path.startswith("/api/") and endpoint not in ENGLISH_ON_PURPOSE
    }
    more = {
        "running": f"/jobs/{things['running']}",
        "failed": f"/jobs/{things['failed']}",
        "no such jobs": "/jobs?status=partial&cursor=",
        "nothing": "/no-such-page",
    }
    return {name: path for name, path in (found | more).items() if "{" not in path}


class _Known(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "{" + name + "}"


def test_a_german_page_has_no_english_left(app: Flask, ann: Person, things: dict[str, str]) -> None:
    with unit_of_work() as uow:
        uow.execute(update(User).where(User.id == ann.user.id).values(is_operator=True))
    speaks(ann, "de")
    remains = Remains()
    found = {}
    looked_at = 0
    for name, path in pages(app, things).items():
        answer = ann.client.get(path)
        if answer.mimetype != "text/html" or answer.status_code >= 500:
            assert answer.status_code < 500, f"{name} broke"
            answer.close()
            continue
        looked_at += answer.status_code == 200
        if english := [text for text in texts(Page(answer.text)) if remains.in_text(text)]:
            found[name] = english
    assert looked_at >= 12
    assert found == {}


def test_the_way_in_has_no_english_left(app: Flask, ann: Person) -> None:
    remains = Remains()
    client = app.test_client()
    for path in ("/sign-in", "/forgot-password", "/reset-password/guessed", "/invitations/guessed", "/nothing"):
        page = Page(client.get(path, headers=GERMAN).text)
        assert [text for text in texts(page) if remains.in_text(text)] == []


def test_the_set_up_has_no_english_left(app: Flask) -> None:
    page = Page(app.test_client().get("/setup", headers=GERMAN).text)
    assert page.one("h1").text == "Richte dein Studio ein"
    assert [text for text in texts(page) if Remains().in_text(text)] == []


def test_english_left_on_a_page_would_be_found() -> None:
    remains = Remains()
    assert remains.in_text(ADVICE[ErrorKind.REFUSED])
    assert remains.in_text("Open picture 2 of 7")
    assert remains.in_text(" 3\n pictures ")
    assert not remains.in_text("Bild 2 von 7 öffnen")
