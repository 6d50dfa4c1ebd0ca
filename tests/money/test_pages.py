"""Pages and API of money: what they show, who may do what, and what a refusal looks like."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event, select

from imagegen.core.clock import now
from imagegen.extensions import db
from imagegen.models import AuditEntry, Job, organisation_scope, system_scope
from imagegen.models.budgets import BudgetPeriod, Per
from imagegen.services import budgets, jobs
from imagegen.services.audit import COMMAND_LINE
from imagegen.web import live
from tests.conftest import MakePerson, Person
from tests.models.rows import Member
from tests.money.books import EACH, MODEL, ask, settle, take

Work = Callable[[], None]
FORM = {"model": f"openai:{MODEL}", "quality": "medium", "width": "1024", "height": "1024", "prompt": "x"}
DEAR = FORM | {"model": "openai:gpt-image-1.5", "quality": "high"}


def member(person: Person) -> Member:
    return Member(person.user.id, person.organisation.id)


def budget(person: Person, cap: int, *, hard: bool = True) -> str:
    place = person.organisation.id
    with organisation_scope(place):
        made = budgets.set_budget(
            by=COMMAND_LINE.within(place), organisation_id=place, per=Per.MONTH, cap=cap, hard=hard
        )
    return made.public_id


def spend(person: Person, cost: int, **wishes: object) -> None:
    with system_scope():
        ask(member(person), **wishes)
        settle(take(), cost)


def meter(html: str) -> str:
    found = re.search(r'<a class="meter[^>]*>.*?</a>', html, re.S)
    assert found, "the page has no meter"
    return found[0]


@pytest.fixture
def editor(ann: Person, make_person: MakePerson) -> Person:
    return make_person("eve@one.example", "One", role="editor")


# The meter


def test_without_a_budget_the_meter_is_hidden(ann: Person) -> None:
    assert " hidden" in meter(ann.client.get("/library").text)


@pytest.mark.parametrize(("used", "level"), [(7, "ok"), (8, "warn"), (9, "bad"), (10, "bad")])
def test_the_meter_says_how_much_of_the_tightest_budget_is_used(ann: Person, used: int, level: str) -> None:
    budget(ann, 10 * EACH)
    spend(ann, used * EACH)
    shown = meter(ann.client.get("/library").text)

    assert f'data-level="{level}"' in shown
    assert f'<rect width="{used * 10}"' in shown
    assert "of $0.11 this month" in shown


def test_the_meter_costs_a_page_one_query(ann: Person) -> None:
    budget(ann, EACH)
    ann.client.get("/library")
    asked: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, statement, *_: asked.append(statement))
    ann.client.get("/library")

    assert sum("FROM budgets" in statement for statement in asked) == 1


def test_the_meter_of_an_open_page_moves_with_what_happens(app: Flask, ann: Person) -> None:
    budget(ann, 10 * EACH)
    spend(ann, 8 * EACH)
    with app.test_request_context(), organisation_scope(ann.organisation.id):
        streamed = live.pieces(jobs.events_after(seq=0), user_id=ann.user.id)
        for_everybody = live.pieces(jobs.events_after(seq=0), user_id=None)

    assert 'hx-swap-oob="outerMorph" data-level="warn"' in meter(streamed)
    assert 'id="meter"' not in for_everybody


# Asking for pictures


def test_what_does_not_fit_gets_402_with_what_is_left_and_until_when(ann: Person) -> None:
    budget(ann, EACH)
    body = {"prompt": "x", "provider": "openai", "model": MODEL, "quality": "medium", "size": "1024x1024", "n": 2}
    answer = ann.client.post("/api/v1/images/generate", json=body, headers=ann.bearer())

    assert answer.status_code == 402
    problem = answer.get_json()
    assert (problem["kind"], problem["status"]) == ("budget", 402)
    assert problem["detail"].startswith("The organisation's budget for this month has $0.011 left")
    assert "It begins anew on" in problem["detail"]
    assert int(answer.headers["Retry-After"]) > 0


def test_the_page_refuses_in_the_same_words_and_makes_no_job(ann: Person) -> None:
    budget(ann, EACH)
    answer = ann.post("/generate", partial=True, variants="2", **FORM)

    assert answer.status_code == 402
    assert "has $0.011 left" in answer.text
    with system_scope():
        assert db.session.scalars(select(Job)).all() == []


@pytest.mark.parametrize(
    ("pictures", "cap", "says", "rests"),
    [(1, 20, "", False), (4, 5, "80%", False), (4, 4, "100%", False), (4, 3, "left, and this may cost", True)],
)
def test_the_estimate_foretells_what_the_budget_will_say(
    ann: Person, pictures: int, cap: int, says: str, rests: bool
) -> None:
    budget(ann, cap * EACH)
    shown = ann.client.get("/generate/estimate", query_string=FORM | {"variants": pictures}).text

    assert says in shown
    assert ("notice--warn" in shown) == bool(says)
    assert ("disabled" in shown) == rests


def test_near_the_end_a_cheaper_model_is_proposed_with_a_link_that_keeps_the_rest(ann: Person) -> None:
    budget(ann, 140_000)
    shown = ann.client.get("/generate/estimate", query_string=DEAR | {"variants": "1"}).text
    found = re.search(r'<a href="([^"]+)"[^>]*>([^<]+)</a>', shown)

    assert found
    assert "does the same for" in found[2]
    page = ann.client.get(found[1].replace("&amp;", "&")).text
    assert re.search(r'<option value="high"|id="quality-high"', page)


def test_a_person_asks_for_more_and_an_admin_allows_it(ann: Person, editor: Person) -> None:
    public_id = budget(ann, EACH)
    shown = editor.client.get("/generate/estimate", query_string=FORM | {"variants": "2"}).text
    assert f"/budgets/{public_id}/ask" in shown
    assert editor.post(f"/budgets/{public_id}/ask", partial=True, micro=str(EACH)).status_code == 200

    page = ann.client.get("/admin/budgets").text
    assert "eve asks for $0.011 more" in page.replace("&#39;", "'")
    assert ann.post(f"/admin/budgets/{public_id}/grant", usd="0.02").status_code == 303
    with system_scope():
        db.session.rollback()
        period = db.session.scalars(select(BudgetPeriod)).one()
        assert (period.granted_micro, period.asked_micro) == (20_000, None)
        actions = db.session.scalars(select(AuditEntry.action)).all()
    assert "budget_raised" in actions


def test_a_wish_that_is_declined_is_off_the_table_and_in_the_log_once(ann: Person, editor: Person) -> None:
    public_id = budget(ann, EACH)
    assert editor.post(f"/budgets/{public_id}/ask", partial=True, micro=str(EACH)).status_code == 200

    for _ in range(2):
        assert ann.post(f"/admin/budgets/{public_id}/decline").status_code == 303
    assert "asks for" not in ann.client.get("/admin/budgets").text
    with system_scope():
        db.session.rollback()
        declined = select(AuditEntry.facts).where(AuditEntry.action == "budget_declined")
        assert db.session.scalars(declined).all() == [{"usd_micro": EACH, "per": "month"}]


# The page of budgets


def test_an_admin_sets_and_removes_a_budget(ann: Person) -> None:
    assert ann.post("/admin/budgets", who="", per="month", usd="20", kind="hard").status_code == 303
    page = ann.client.get("/admin/budgets").text
    assert "$0.00 of $20.00 this month" in page
    removal = re.search(r'action="(/admin/budgets/[^"]+/remove)"', page)
    assert removal
    ann.post(removal[1])

    assert "No budget yet" in ann.client.get("/admin/budgets").text


@pytest.mark.parametrize(
    "wrong", [{"usd": "a lot"}, {"usd": "-1"}, {"usd": "2000000"}, {"per": "year"}, {"who": "somebody else"}]
)
def test_what_is_wrong_with_a_budget_is_said_and_kept_for_correction(ann: Person, wrong: dict[str, str]) -> None:
    form = {"who": "", "per": "day", "usd": "20", "kind": "soft"} | wrong
    answer = ann.post("/admin/budgets", **form)

    assert answer.status_code == 422
    assert "field__error" in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/budgets"),
        ("POST", "/admin/budgets"),
        ("POST", "/admin/budgets/allowance"),
        ("POST", "/admin/budgets/x/grant"),
        ("POST", "/admin/budgets/x/decline"),
        ("POST", "/admin/budgets/x/remove"),
    ],
)
def test_an_editor_manages_no_budgets(editor: Person, method: str, path: str) -> None:
    answer = editor.client.get(path) if method == "GET" else editor.post(path)
    assert answer.status_code == 403


def test_another_organisation_s_budget_does_not_exist(ann: Person, make_person: MakePerson) -> None:
    public_id = budget(ann, EACH)
    bob = make_person("bob@two.example", "Two")

    for verb in ("grant", "decline", "remove"):
        assert bob.post(f"/admin/budgets/{public_id}/{verb}", usd="1").status_code == 404, verb
    assert bob.post(f"/budgets/{public_id}/ask", micro="1").status_code == 404


# Allowances


def test_an_allowance_ends_with_when_it_goes_on(ann: Person, editor: Person) -> None:
    assert ann.post("/admin/budgets/allowance", pictures="3").status_code == 303
    body = {"prompt": "waves", "provider": "local", "n": 2}
    headers = editor.bearer()
    answers = [editor.client.post("/api/v1/images/generate", json=body, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 429]
    detail = answers[1].get_json()["detail"]
    assert detail.startswith("You have 1 of your 3 pictures left this month. It goes on on ")
    assert int(answers[1].headers["Retry-After"]) > 0
    ann.post("/admin/budgets/allowance", pictures="")
    assert editor.client.post("/api/v1/images/generate", json=body, headers=headers).status_code == 202


# Usage


def test_usage_adds_up_what_the_ledger_says(ann: Person, editor: Person, work: Work) -> None:
    spend(ann, 11_000)
    spend(editor, 5_500)
    with system_scope():
        ask(member(editor), provider="local", model=None, quality=None)
    work()
    api = ann.client.get("/api/v1/usage", headers=ann.bearer()).get_json()

    assert api["whose"] == "all"
    assert api["total"]["cost"] == "0.016500"
    assert api["total"]["images"] == 1
    assert api["total"]["success_rate"] == pytest.approx(1 / 3)
    assert api["total"]["mean_seconds"] > 0
    assert [(row["name"], row["cost"]) for row in api["by_person"]] == [("ann", "0.011000"), ("eve", "0.005500")]
    assert [(row["provider"], row["cost"]) for row in api["by_model"]] == [
        ("openai", "0.016500"),
        ("local", "0.000000"),
    ]
    assert sum(float(day["cost"]) for day in api["by_day"]) == pytest.approx(0.0165)
    page = ann.client.get("/usage").text
    assert "$0.0165" in page
    assert "<rect" in page.split('class="chart"')[1]


def test_whoever_may_not_see_everybody_s_usage_sees_their_own(ann: Person, editor: Person) -> None:
    spend(ann, 11_000)
    spend(editor, 5_500)
    mine = editor.client.get("/api/v1/usage?whose=all", headers=editor.bearer()).get_json()

    assert (mine["whose"], mine["total"]["cost"]) == ("mine", "0.005500")
    assert "0.011" not in editor.client.get("/usage?whose=all").text
    assert "ann@" not in editor.client.get("/usage/usage.csv?whose=all").text


def test_usage_of_another_organisation_is_nowhere(ann: Person, make_person: MakePerson) -> None:
    spend(ann, 11_000)
    bob = make_person("bob@two.example", "Two")

    assert bob.client.get("/api/v1/usage", headers=bob.bearer()).get_json()["total"]["cost"] == "0.000000"
    assert "Nothing was used in these days" in bob.client.get("/usage").text


def test_only_the_days_asked_for_count(ann: Person) -> None:
    spend(ann, 11_000)
    yesterday = (now() - timedelta(days=1)).date()
    answer = ann.client.get(f"/api/v1/usage?since={yesterday}&until={yesterday}", headers=ann.bearer())

    assert answer.get_json()["total"]["cost"] == "0.000000"
    assert [day["day"] for day in answer.get_json()["by_day"]] == [f"{yesterday}"]


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2026-12-01&until=2026-11-01", "since=2020-01-01&until=2026-01-01"]
)
def test_days_that_make_no_sense_are_refused(ann: Person, query: str) -> None:
    assert ann.client.get(f"/usage?{query}").status_code == 422
    assert ann.client.get(f"/api/v1/usage?{query}", headers=ann.bearer()).status_code == 422


def test_the_table_holds_every_cost_and_no_formula(ann: Person) -> None:
    spend(ann, 11_000, prompt="=1+1")
    answer = ann.client.get("/usage/usage.csv")
    rows = list(csv.DictReader(answer.text.splitlines()))

    assert answer.mimetype == "text/csv"
    assert [(row["person"], row["model"], row["cost_usd"]) for row in rows] == [
        ("ann@one.example", MODEL, "0.011000")
    ]
