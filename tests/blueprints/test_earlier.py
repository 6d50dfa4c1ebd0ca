"""What is there already: an offer beside the button that costs nothing, and similar pictures to look at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from imagegen.extensions import db
from imagegen.models import Image, Job, Shot, organisation_scope, system_scope, unit_of_work
from imagegen.models.budgets import Per
from imagegen.services import budgets, reuse
from imagegen.services.audit import Actor
from imagegen.services.generation import GenerationRequest, plan, stored
from tests.conftest import MakePerson, Person
from tests.web.browsers import Page

Work = Callable[[], None]
WISH = {"prompt": "A violet wave at dusk", "variants": "2", "aspect_ratios": "4:5", "model": "local:local-studio"}
DEAR = WISH | {"model": "openai:gpt-image-1.5"}


@pytest.fixture
def settings_values() -> dict[str, object]:
    """With a provider that costs money, and that cannot be reached."""
    return {"openai_api_key": SecretStr("sk-never-called"), "openai_base_url": "http://127.0.0.1:9/v1"}


def offer(person: Person, wish: dict[str, str] = WISH) -> Page:
    answer = person.post("/generate/earlier", partial=True, **wish)
    assert answer.status_code == 200, answer.text
    page = Page(answer.text)
    assert not page.faults(whole=False)
    return page


def text(page: Page) -> str:
    return " ".join(page.one(id="earlier").text.split())


def make(person: Person, work: Work, wish: dict[str, str] = WISH) -> Job:
    assert person.post("/generate", **wish).status_code == 303
    work()
    return newest_job()


def newest_job() -> Job:
    db.session.rollback()
    with system_scope():
        return db.session.scalars(db.select(Job).order_by(Job.id.desc()).limit(1)).one()


def as_if_by(model: str) -> None:
    """Let the pictures that the studio drew be answers to the same request to a model that costs money."""
    asked = GenerationRequest(prompt=WISH["prompt"], n=1, aspect_ratios=("4:5",), provider="openai", model=model)
    planned = plan(asked)
    digest = reuse.digest(provider="openai", model=planned.spec.id, asked=stored(planned.shots[0]))
    with system_scope(), unit_of_work() as uow:
        uow.execute(db.update(Image).values(request_digest=digest))


def test_nothing_is_offered_where_nothing_is_there(ann: Person) -> None:
    page = offer(ann)
    assert not page.all("button") and not page.all("img")
    assert {element["id"] for element in page.elements if not element.parents} == {"earlier", "similar"}


def test_the_same_request_is_offered_and_a_click_uses_it_without_a_call(ann: Person, work: Work) -> None:
    first = make(ann, work)
    page = offer(ann)
    assert text(page) == "You have 2 of these already: use them (free)"
    button = page.one("button", id="reuse")
    assert (button["name"], button["value"], button["type"]) == ("reuse", "exact", "submit")

    answer = ann.post("/generate", partial=True, **WISH, reuse="exact", reuse_new="0")

    job = newest_job()
    assert answer.status_code == 200 and job.id != first.id
    assert (job.status, job.n_succeeded, job.actual_micro) == ("succeeded", 2, 0)
    tiles = [tile for tile in Page(answer.text).all("article") if tile["id"].startswith("shot-")]
    assert len(tiles) == 2 and all(tile["data-state"] == "succeeded" for tile in tiles)
    assert len(Page(answer.text).all("a", class_="tile__open")) == 2
    assert "used again, free" in answer.text
    with system_scope():
        assert db.session.scalar(db.select(db.func.count(Image.id))) == 2


def test_without_javascript_the_offer_stands_in_the_page_and_leads_to_the_job(ann: Person, work: Work) -> None:
    first = make(ann, work)
    page = Page(ann.client.get(f"/generate?again={first.public_id}").text)
    assert "You have 2 of these already" in page.one(id="earlier").text
    form = {name: values[0] for name, values in page.form().items()}
    answer = ann.client.post("/generate", data=form | {"reuse": "exact"})
    job = newest_job()
    assert (answer.status_code, answer.location) == (303, f"/jobs/{job.public_id}")
    assert job.wholly_reused
    assert Page(ann.client.get(answer.location).text).all("img", class_="tile__picture")


@pytest.mark.parametrize(
    "other",
    [{"prompt": "No violet wave at dusk"}, {"aspect_ratios": "1:1"}, {"style": "modern"}, {"output_format": "webp"}],
)
def test_another_request_is_not_offered_the_pictures(ann: Person, work: Work, other: dict[str, str]) -> None:
    make(ann, work)
    assert not offer(ann, WISH | other).all("button", id="reuse")


def test_a_click_on_the_other_button_makes_new_ones(ann: Person, work: Work) -> None:
    make(ann, work)
    job = make(ann, work, WISH | {"reuse_new": "0"})
    assert not job.wholly_reused
    with system_scope():
        assert db.session.scalar(db.select(db.func.count(Image.id))) == 4


def test_where_some_are_missing_the_button_says_what_the_others_cost(ann: Person, work: Work) -> None:
    make(ann, work)
    as_if_by("gpt-image-1.5")
    assert text(offer(ann, DEAR)) == "You have 2 of these already: use them (free)"
    page = offer(ann, DEAR | {"variants": "4"})
    assert text(page).startswith("You have 2 of these already: use them and make 2 new (≈ $")
    assert page.one("input", name="reuse_new")["value"] == "2"


def test_nobody_pays_for_more_than_the_button_named(ann: Person, work: Work) -> None:
    make(ann, work)
    as_if_by("gpt-image-1.5")
    page = offer(ann, DEAR)
    promised = page.one("input", name="reuse_new")["value"]
    with system_scope(), unit_of_work() as uow:
        uow.execute(db.update(Image).where(Image.id == 1).values(deleted_at=db.func.now()))
    before = newest_job()
    answer = ann.post("/generate", partial=True, **DEAR, reuse="exact", reuse_new=promised)
    assert answer.status_code == 409 and "not all there any more" in answer.text
    assert newest_job().id == before.id


def test_a_used_up_budget_forbids_new_ones_and_not_those_that_are_there(ann: Person, work: Work) -> None:
    make(ann, work)
    as_if_by("gpt-image-1.5")
    by = Actor(organisation_id=ann.organisation.id, user_id=ann.user.id)
    with organisation_scope(ann.organisation.id):
        budgets.set_budget(by=by, organisation_id=ann.organisation.id, per=Per.MONTH, cap=0, hard=True)
    assert ann.post("/generate", partial=True, **DEAR).status_code == 402
    assert text(offer(ann, DEAR)).endswith("use them (free)")
    assert not offer(ann, DEAR | {"variants": "4"}).all("button", id="reuse"), "the rest has no room"
    assert ann.post("/generate", partial=True, **DEAR, reuse="exact", reuse_new="0").status_code == 200
    job = newest_job()
    assert (job.status, job.estimated_micro, job.actual_micro) == ("succeeded", 0, 0)
    usage = ann.client.get("/usage").text
    assert "Saved with earlier pictures" in usage
    with system_scope():
        saved = db.session.scalar(db.select(db.func.sum(Shot.estimated_micro)).where(Shot.reused))
    assert saved > 0


def test_nothing_is_offered_or_shown_of_another_organisation(
    ann: Person, work: Work, make_person: MakePerson
) -> None:
    make(ann, work)
    bob = make_person("bob@two.example", "Two")
    page = offer(bob)
    assert not page.all("button") and not page.all("img")


def test_a_viewer_sees_similar_pictures_and_no_offer(ann: Person, work: Work, make_person: MakePerson) -> None:
    make(ann, work)
    eye = make_person("eye@one.example", "One", role="viewer")
    page = offer(eye)
    assert page.all("img") and not page.all("button")


@pytest.mark.parametrize(
    "wrong",
    [{"variants_exact": "99"}, {"seed": "x"}, {"model": "x:y"}, {"prompt": ""}, {"reuse": "x"}],
)
def test_what_cannot_be_asked_for_is_offered_nothing(ann: Person, wrong: dict[str, str]) -> None:
    assert not offer(ann, WISH | wrong).all("button")


# Similar pictures


def shown(page: Page) -> list[str]:
    return [image["alt"] for image in page.one(id="similar").all("img")] if page.all("img") else []


def test_similar_words_show_one_picture_of_each_the_most_alike_first(ann: Person, work: Work) -> None:
    for prompt in ("Lacquered spheres, amber and coral", "A violet wave at night", "A violet wave at dusk"):
        make(ann, work, WISH | {"prompt": prompt})
    assert [image["alt"] for image in offer(ann).all("img")] == ["A violet wave at night"], "the same is offered"
    page = offer(ann, WISH | {"prompt": "A violet wave at dusk, calm"})
    assert [image["alt"] for image in page.all("img")] == ["A violet wave at dusk", "A violet wave at night"]
    assert all(link["href"].startswith("/library/") for link in page.all("a"))


def test_at_most_six_are_shown_and_a_few_letters_show_none(ann: Person, work: Work) -> None:
    for number in range(8):
        make(ann, work, WISH | {"prompt": f"A violet wave at dusk, number {number}", "variants": "1"})
    assert len(offer(ann, WISH | {"prompt": "A violet wave at dusk, number"}).all("img")) == 6
    assert not offer(ann, WISH | {"prompt": "A vio"}).all("img")


def test_what_lies_in_the_trash_is_not_shown(ann: Person, work: Work) -> None:
    make(ann, work)
    with system_scope(), unit_of_work() as uow:
        uow.execute(db.update(Image).values(deleted_at=db.func.now()))
    page = offer(ann)
    assert not page.all("img") and not page.all("button")


def test_similar_words_are_never_used_by_themselves(ann: Person, work: Work) -> None:
    make(ann, work)
    ann.post("/generate", **WISH | {"prompt": "A violet wave at dusk!"}, reuse="exact")
    assert newest_job().n_succeeded == 0


@pytest.mark.parametrize("prompt", ["<script>alert(1)</script>", "山" * 5000, "a" * 90_000, "\ud800 lone"])
def test_any_words_are_compared(ann: Person, work: Work, prompt: str) -> None:
    make(ann, work)
    assert "<script>" not in str(offer(ann, WISH | {"prompt": prompt.encode("utf-8", "replace").decode()}).text)
