"""The operators' page about workers and queues."""

from __future__ import annotations

import pytest
from redis import RedisError

from imagegen.engine import fleet
from imagegen.extensions import runtime
from imagegen.models import ProviderState, unit_of_work
from imagegen.models.columns import db_now
from imagegen.services import kept_answers, people
from imagegen.services.audit import COMMAND_LINE
from tests.conftest import Person
from tests.web.browsers import Page
from tests.web.rows import make_job

PARTIAL = {"HX-Request-Type": "partial"}


@pytest.fixture
def operator(ann: Person) -> Person:
    """Ann, who looks after the installation."""
    people.set_operator(by=COMMAND_LINE, email=ann.user.email, operator=True)
    return ann


def test_the_page_and_the_piece_that_it_asks_for_again(operator: Person) -> None:
    page = Page(operator.client.get("/admin/queue").text)
    assert not page.faults()
    piece = Page(operator.client.get(page.one("div", id="fleet")["data-refresh"], headers=PARTIAL).text)
    assert [element["id"] for element in piece.elements if not element.parents] == ["fleet"]


def test_what_waits_and_who_is_held_back_is_told(operator: Person) -> None:
    make_job(operator, states=("waiting", "waiting", "running"))
    with unit_of_work() as uow:
        uow.add(ProviderState(provider="openai", paused_until=db_now(90), slots=3, failures=0))
    text = Page(operator.client.get("/admin/queue").text).one("div", id="fleet").text
    for words in ("One", "OpenAI", "pauses for another 1 min", "at most 3 calls at once", "no sign of life"):
        assert words in text


def test_the_drain_is_switched_on_and_off(operator: Person) -> None:
    assert operator.post("/admin/queue/drain").location == "/admin/queue"
    assert fleet.draining("any:1")
    assert "Nothing new is begun" in operator.client.get("/admin/queue").text
    assert operator.post("/admin/queue/resume").location == "/admin/queue"
    assert not fleet.draining("any:1")
    assert "Let workers begin nothing more" in operator.client.get("/admin/installation/audit").text


def test_the_page_answers_without_redis_and_says_so(operator: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    token = operator.csrf()

    def gone(*_: object, **__: object) -> None:
        raise RedisError("gone")

    monkeypatch.setattr(runtime.redis, "execute_command", gone)
    monkeypatch.setattr(runtime.redis, "pipeline", gone)
    make_job(operator, states=("waiting",))
    answer = operator.client.get("/admin/queue")
    assert answer.status_code == 200
    assert "Redis does not answer" in answer.text and "Being drawn" in answer.text
    asked = operator.client.post("/admin/queue/tasks/retry", data={"task": "x", "csrf_token": token})
    assert asked.status_code == 503


def test_an_answer_that_nobody_could_put_away_is_shown_with_its_file(operator: Person) -> None:
    assert "could not be put away" not in operator.client.get("/admin/queue").text
    path = kept_answers.path_of(4711, tries=kept_answers.MOST_TRIES)
    path.write_bytes(b"{}\npixels")

    page = Page(operator.client.get("/admin/queue").text)

    assert not page.faults()
    text = page.one("div", id="fleet").text
    for words in ("Answers that could not be put away", "Call 4711", "Tried 3 times", str(path)):
        assert words in text
