"""Create: the composer offers what a model can do, loses nothing that was typed, and makes one job of one wish."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from pydantic import SecretStr

from imagegen.core.ids import new_id
from imagegen.extensions import db, runtime
from imagegen.models import Job, organisation_scope
from imagegen.providers.base import Feature, ModelSpec
from tests.conftest import MakePerson, Person
from tests.web.browsers import Page
from tests.web.rows import make_job

PARTIAL = {"HX-Request-Type": "partial"}
WISH = {"prompt": "A violet wave", "variants": "2", "aspect_ratios": "4:5", "model": "local:studio-1"}


@pytest.fixture
def settings_values() -> dict[str, object]:
    """With a key, so that there are models that can do different things."""
    return {"openai_api_key": SecretStr("sk-test-key-of-nobody")}


def jobs_of(person: Person) -> list[Job]:
    db.session.rollback()
    with organisation_scope(person.organisation.id):
        return list(db.session.scalars(db.select(Job).order_by(Job.id)))


def key_of(spec: ModelSpec) -> str:
    return f"{spec.provider}:{spec.id}"


def partial(person: Person, path: str, **query: object) -> Page:
    answer = person.client.get(path, query_string=query, headers=PARTIAL)
    assert answer.status_code == 200
    page = Page(answer.text)
    assert not page.faults(whole=False)
    return page


def local_model() -> str:
    _, spec = runtime.providers.find("local", None)
    return key_of(spec)


# What is offered


def test_a_model_that_its_maker_ends_says_so_where_it_is_chosen(ann: Person) -> None:
    specs = [offer.spec for offer in runtime.providers.models()]
    assert {spec.shutdown_date is None for spec in specs} == {True, False}
    for spec in specs:
        chosen = partial(ann, "/generate/form", model=key_of(spec), prompt="x").one("button", id="model").text
        assert (f"shut down on {spec.shutdown_date}" in chosen) == (spec.shutdown_date is not None)


def test_the_choices_are_what_each_model_can_do_and_nothing_else(ann: Person) -> None:
    offers = runtime.providers.models()
    assert len({offer.provider.id for offer in offers}) > 1
    for offer in offers:
        spec = offer.spec
        page = partial(ann, "/generate/form", model=key_of(spec), prompt="x")
        values = {name: [box["value"] for box in page.all("input", name=name)] for name in ("quality", "background")}
        assert page.one("input", name="model")["value"] == key_of(spec)
        assert values["quality"] == list(spec.qualities)
        assert bool(values["background"]) == (Feature.TRANSPARENT in spec.supports)
        assert bool(page.all("input", name="seed")) == (Feature.SEED in spec.supports)
        assert bool(page.all("textarea", name="negative_prompt")) == (Feature.NEGATIVE_PROMPT in spec.supports)
        assert [box["value"] for box in page.all("input", name="output_format")] == list(spec.output_formats)
        assert page.one(id="counter")["data-limit"] == str(spec.max_prompt_chars)


def test_the_answer_to_another_model_fits_into_the_page(ann: Person) -> None:
    """The choices go where htmx asked for them; counter and button find their own way."""
    page = partial(ann, "/generate/form", model=local_model())
    roots = {element["id"]: element for element in page.elements if not element.parents}
    assert set(roots) == {"choices", "counter", "estimate"}
    assert "hx-swap-oob" not in roots["choices"].attributes
    assert all("hx-swap-oob" in roots[name].attributes for name in ("counter", "estimate"))


def test_what_the_new_model_cannot_do_falls_back_to_what_it_can(ann: Person) -> None:
    odd = {"quality": "unheard of", "background": "<b>", "output_format": "exe", "style": "unheard of"}
    for offer in runtime.providers.models():
        page = partial(ann, "/generate/form", model=key_of(offer.spec), **odd)
        for name in ("quality", "output_format", "aspect_ratios", "variants"):
            boxes = page.all("input", name=name)
            assert not boxes or len([box for box in boxes if "checked" in box.attributes]) == 1, name


def test_a_model_that_nobody_offers_is_passed_over(ann: Person) -> None:
    for odd in ("", "x", ":", "local:", "local:unheard-of", "openai:dall-e-2", "<script>", ":" * 500):
        assert partial(ann, "/generate/form", model=odd).one("input", name="model")["value"]


def test_the_estimate_counts_pictures_and_says_what_they_cost(ann: Person) -> None:
    page = partial(
        ann, "/generate/estimate", model=local_model(), variants=2, aspect_ratios=["1:1", "4:5"], several=1
    )
    assert "Generate 4 pictures" in page.text and "free" in page.text
    priced = next(offer.spec for offer in runtime.providers.models() if offer.provider.id == "openai")
    assert "$" in partial(ann, "/generate/estimate", model=key_of(priced), variants=1).text


@pytest.mark.parametrize(
    "wrong",
    [{"variants_exact": "11"}, {"variants_exact": "0"}, {"seed": "-1"}, {"width": "5"}, {"aspect_ratios": "0:0"}],
)
def test_what_cannot_be_asked_for_rests_the_button_with_a_sentence(ann: Person, wrong: dict[str, str]) -> None:
    page = partial(ann, "/generate/estimate", **{"model": local_model()} | wrong)
    assert "disabled" in page.one("button", id="generate").attributes
    assert page.one("div", class_="generate__note").text.strip()


def test_whole_page_or_piece_from_one_address(ann: Person) -> None:
    make_job(ann)
    for path in ("/generate", "/jobs", "/library"):
        whole = ann.client.get(path)
        boosted = ann.client.get(path, headers={"HX-Request": "true", "HX-Request-Type": "full"})
        assert "<html" in whole.text and "<html" in boosted.text
        assert "HX-Request-Type" in whole.headers["Vary"]
    assert "<html" not in ann.client.get("/jobs", headers=PARTIAL).text


# What is asked for


def test_a_wish_becomes_a_job_at_the_top_of_the_feed(ann: Person) -> None:
    answer = ann.post("/generate", partial=True, **WISH | {"model": local_model()})
    (job,) = jobs_of(ann)
    page = Page(answer.text)
    assert answer.status_code == 200 and not page.faults(whole=False)
    assert [element["id"] for element in page.elements if not element.parents] == [
        f"job-{job.public_id}",
        "jobs-ring",
        "composer-message",
    ]
    assert len([tile for tile in page.all("article") if tile["id"].startswith("shot-")]) == job.total == 2
    assert job.prompt == "A violet wave"


def test_without_javascript_it_leads_to_the_jobs_page(ann: Person) -> None:
    answer = ann.post("/generate", **WISH | {"model": local_model()})
    (job,) = jobs_of(ann)
    assert (answer.status_code, answer.location) == (303, f"/jobs/{job.public_id}")
    assert "A violet wave" in ann.client.get(answer.location).text


WRONG = [
    ({"prompt": "  "}, "prompt", "Write what the picture should show."),
    ({"prompt": "x" * 100_001}, "prompt", "100,000"),
    ({"variants_exact": "11"}, "n", "at most 10"),
    ({"variants_exact": "0"}, "n", "at least 1"),
    ({"seed": "1.5"}, "seed", "whole number"),
    ({"seed": "9" * 10}, "seed", "at most"),
    ({"width": "1024"}, "height", "An exact size needs a width and a height."),
    ({"height": "1024"}, "width", "An exact size needs a width and a height."),
    ({"style": "unheard of"}, "style", ""),
    ({"aspect_ratios": "7:77"}, None, ""),
    ({"width": "0", "height": "0"}, None, ""),
]


@pytest.mark.parametrize(("wrong", "field", "sentence"), WRONG)
def test_a_refused_wish_is_told_in_a_piece_and_makes_no_job(
    ann: Person, wrong: dict[str, str], field: str | None, sentence: str
) -> None:
    answer = ann.post("/generate", partial=True, **WISH | {"model": local_model()} | wrong)
    page = Page(answer.text)
    assert answer.status_code == 422 and not jobs_of(ann)
    message = page.one(id="composer-message")
    assert "hx-swap-oob" in message.attributes and "<html" not in answer.text
    (said,) = page.all("p", class_="field__error")
    assert sentence in said.text and said.text.strip().endswith(".")
    assert field is None or said["data-field"] == field


@pytest.mark.parametrize(("wrong", "field", "sentence"), WRONG)
def test_without_javascript_nothing_typed_is_lost(
    ann: Person, wrong: dict[str, str], field: str | None, sentence: str
) -> None:
    typed = {"prompt": 'A "violet" <wave>\nat dusk', "variants": "8", "aspect_ratios": "16:9", "seed": "77"}
    sent = typed | {"model": local_model(), "style": "vintage", "output_format": "webp"} | wrong
    answer = ann.post("/generate", **sent)
    page = Page(answer.text)
    assert answer.status_code == 422 and not page.faults()
    kept = page.form()
    for name, value in sent.items():
        shown = {"variants_exact", "aspect_ratios", "style"}.isdisjoint({name}) or name not in wrong
        if shown:
            assert kept[name] == [value], name
    assert kept["idempotency_key"][0]


def test_a_retired_models_name_is_answered_with_a_sentence(ann: Person) -> None:
    answer = ann.post("/generate", partial=True, **WISH | {"model": "openai:dall-e-3"})
    assert answer.status_code == 422 and "DALL" in answer.text
    assert not jobs_of(ann)


class TestWithoutAKey:
    """A model that is greyed in the page cannot be reached by hand either."""

    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return {}

    def test_its_card_says_why_and_leads_nowhere(self, ann: Person) -> None:
        page = Page(ann.client.get("/generate").text)
        greyed = [card for card in page.all("div", class_="model-card") if card["aria-disabled"] == "true"]
        assert greyed and all("OPENAI_API_KEY" in card.text for card in greyed)

    def test_a_wish_for_it_is_refused_with_what_to_do(self, ann: Person) -> None:
        spec = next(offer.spec for offer in runtime.providers.models() if not offer.availability.ok)
        answer = ann.post("/generate", partial=True, **WISH | {"model": key_of(spec)})
        assert answer.status_code >= 400 and "OPENAI_API_KEY" in answer.text
        assert not jobs_of(ann)


# One wish, one job


def test_sent_twice_with_one_key_it_is_one_job(ann: Person) -> None:
    wish = WISH | {"model": local_model(), "idempotency_key": new_id()}
    first, second = ann.post("/generate", **wish), ann.post("/generate", **wish)
    assert first.location == second.location and len(jobs_of(ann)) == 1


def test_sent_by_four_at_once_it_is_one_job(app: Flask, ann: Person) -> None:
    wish = WISH | {"model": local_model(), "idempotency_key": new_id()}
    token, cookie = ann.csrf(), ann.client.get_cookie("studio")
    assert cookie is not None
    together = threading.Barrier(4)

    def send(_number: int) -> tuple[int, str | None]:
        client = app.test_client()
        client.set_cookie("studio", cookie.value)
        together.wait()
        answer = client.post("/generate", data=wish, headers={"X-CSRFToken": token})
        return answer.status_code, answer.location

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(send, range(4)))
    (job,) = jobs_of(ann)
    assert answers == {(303, f"/jobs/{job.public_id}")}


def test_one_key_for_two_wishes_is_refused(ann: Person) -> None:
    wish = WISH | {"model": local_model(), "idempotency_key": new_id()}
    ann.post("/generate", **wish)
    answer = ann.post("/generate", partial=True, **wish | {"prompt": "Something else"})
    assert answer.status_code == 409 and "was used for another request" in answer.text
    assert len(jobs_of(ann)) == 1


def test_anothers_key_is_not_in_the_way(ann: Person, ben: Person, eve: Person) -> None:
    key = new_id()
    for person in (ann, eve, ben):
        assert person.post("/generate", **WISH | {"model": local_model(), "idempotency_key": key}).status_code == 303
    assert (len(jobs_of(ann)), len(jobs_of(ben))) == (2, 1)


@pytest.mark.parametrize("key", ["", "x", "A" * 5000, "%"])
def test_what_is_no_key_is_none(ann: Person, key: str) -> None:
    for _ in range(2):
        assert ann.post("/generate", **WISH | {"model": local_model(), "idempotency_key": key}).status_code == 303
    assert len(jobs_of(ann)) == 2


# Again


def test_again_and_variations_fill_in_all_of_a_job_but_its_seed(ann: Person) -> None:
    request = {
        "prompt": "A <violet> wave",
        "aspect_ratios": ["1:1", "16:9"],
        "n": 2,
        "seed": 42,
        "style": "vintage",
        "output_format": "webp",
        "negative_prompt": "",
    }
    made = make_job(ann, prompt=request["prompt"], request=request, model=local_model().partition(":")[2])
    again = Page(ann.client.get(f"/generate?again={made.job}").text).form()
    expected = {
        "prompt": ["A <violet> wave"],
        "aspect_ratios": ["1:1", "16:9"],
        "several": ["1"],
        "variants": ["2"],
        "style": ["vintage"],
        "output_format": ["webp"],
        "model": [local_model()],
    }
    assert expected.items() <= again.items() and again["seed"] == [""]
    like = Page(ann.client.get(f"/generate?like={made.images[0]}").text).form()
    assert expected.items() <= like.items() and like["seed"] == [""]


def test_again_after_a_model_is_gone_offers_another(ann: Person) -> None:
    made = make_job(ann, prompt="Kept", model="retired-model")
    form = Page(ann.client.get(f"/generate?again={made.job}").text).form()
    assert form["prompt"] == ["Kept"] and form["model"][0]


def test_a_link_fills_the_prompt_in(ann: Person) -> None:
    assert Page(ann.client.get("/generate?prompt=A+wave&variants=8").text).form()["prompt"] == ["A wave"]


# The feed


def test_the_feed_goes_on_where_it_ended(ann: Person) -> None:
    made = [make_job(ann, prompt=f"number {number}").job for number in range(15)][::-1]
    page = Page(ann.client.get("/generate").text)
    shown = job_ids(page)
    more = page.one("div", class_="grid__more")["hx-get"]
    rest = ann.client.get(more, headers=PARTIAL).text
    assert shown + job_ids(Page(rest)) == made
    assert "grid__more" not in rest


def job_ids(page: Page) -> list[str]:
    return [each["id"].removeprefix("job-") for each in page.all("article", class_="job")]


def test_ones_feed_is_ones_own_and_the_first_page_shows_how_to_begin(ann: Person, eve: Person) -> None:
    assert "Or begin with one of these." in ann.client.get("/generate").text
    make_job(ann, prompt="Ann's secret")
    assert "Ann&#39;s secret" in ann.client.get("/generate").text
    assert "secret" not in eve.client.get("/generate").text


def test_a_wrong_cursor_is_said_to_be_wrong(ann: Person) -> None:
    for cursor in ("x", "aTE", "aS0x", json.dumps({}), "9" * 500):
        for path in (f"/generate/feed?before={cursor}", f"/jobs?cursor={cursor}", f"/library/grid?cursor={cursor}"):
            answer = ann.client.get(path, headers=PARTIAL)
            assert answer.status_code in (200, 422), path
            assert answer.status_code == 200 or "Start again at the first page." in answer.text


PLACES = ("/library", "/jobs", "/usage", "/settings/profile")


@pytest.mark.parametrize(
    ("role", "begins"), [("editor", "/generate"), ("approver", "/library"), ("viewer", "/library")]
)
def test_who_makes_nothing_begins_at_the_library_and_is_led_to_no_composer(
    ann: Person, make_person: MakePerson, role: str, begins: str
) -> None:
    person = make_person("looker@one.example", "One", role=role)
    assert person.client.get("/").location == begins
    for path in PLACES:
        links = [link.attributes.get("href", "") for link in Page(person.client.get(path).text).all("a")]
        assert any(link.startswith("/generate") for link in links) == (role == "editor"), path
