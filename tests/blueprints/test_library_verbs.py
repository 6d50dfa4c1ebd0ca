"""The library's pages: what is done to many at once, what is written, what is taken along."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from PIL import Image as Pixels
from werkzeug.test import TestResponse

from imagegen.blueprints.library import forms
from imagegen.extensions import db
from imagegen.models import organisation_scope
from imagegen.services import library
from imagegen.services.library import collections
from tests.conftest import Person
from tests.services.test_library_paging import selects
from tests.web.browsers import Page
from tests.web.rows import Made, make_job

PARTIAL = {"HX-Request-Type": "partial"}


@pytest.fixture
def made(ann: Person) -> Made:
    return make_job(ann, states=("succeeded",) * 3)


def shown(ann: Person, query: str = "") -> list[str]:
    page = Page(ann.client.get(f"/library{query}").text)
    assert page.faults() == []
    return [link["data-picture"] for link in page.all("a", class_="tile__open")]


def post(ann: Person, path: str, form: dict[str, object] | None = None, partial: bool = False) -> TestResponse:
    return ann.post(path, partial=partial, **(form or {}))


def done(ann: Person, verb: str, **form: str) -> Page:
    answer = post(ann, f"/library/bulk/{verb}", form, partial=True)
    assert answer.status_code == 200, answer.text
    assert json.loads(answer.headers["HX-Trigger"])["library:changed"]["verb"] == verb
    return Page(answer.text)


VERBS = {
    "star": ({}, "?filter=favourites"),
    "tag": ({"tags": "Dusk, Sea"}, "?tag=sea"),
    "trash": ({}, "?filter=trash"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_done_is_undone_by_the_button_that_comes_with_it(ann: Person, made: Made, verb: str) -> None:
    form, where = VERBS[verb]
    page = done(ann, verb, ids=",".join(made.images[:2]), **form)
    assert set(shown(ann, where)) == set(made.images[:2])
    undo = next(button for button in page.all("button") if "hx-vals" in button.attributes)
    answer = post(ann, undo["hx-post"], json.loads(undo["hx-vals"]), partial=True)
    assert answer.status_code == 200 and shown(ann, where) == [] and len(shown(ann)) == 3


def undo(ann: Person, page: Page) -> Page:
    """Press the button that takes back what was done."""
    button = next(each for each in page.all("button") if "hx-vals" in each.attributes)
    answer = post(ann, button["hx-post"], json.loads(button["hx-vals"]), partial=True)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def test_an_undo_gives_no_picture_a_tag_that_it_never_had_and_takes_none_that_it_had(ann: Person, made: Made) -> None:
    first, second, third = made.images
    done(ann, "tag", ids=first, tags="Dusk")
    done(ann, "tag", ids=second, tags="Sea")
    before = {"?tag=dusk": {first}, "?tag=sea": {second}}
    after = {"?tag=dusk": {first, second, third}, "?tag=sea": {first, second, third}}

    def stands(expected: dict[str, set[str]]) -> None:
        assert {where: set(shown(ann, where)) for where in expected} == expected

    tagged = done(ann, "tag", ids=",".join(made.images), tags="Dusk, SEA")
    stands(after)
    untagged = undo(ann, tagged)
    stands(before)
    undo(ann, untagged)
    stands(after)
    undo(ann, tagged)
    taken = done(ann, "untag", ids=",".join(made.images), tags="dusk, sea")
    stands({"?tag=dusk": set(), "?tag=sea": set()})
    undo(ann, taken)
    stands(before)


@pytest.mark.parametrize("exactly", ["", "[]", "7", '{"Dusk": 7}', '{"": []}', "[" * 100_000])
def test_an_undo_that_makes_no_sense_changes_nothing(ann: Person, made: Made, exactly: str) -> None:
    answer = post(ann, "/library/bulk/tag", {"exactly": exactly, "tags": "Dusk"}, partial=True)
    assert answer.status_code in {200, 422} and shown(ann, "?tag=dusk") == []


def test_an_undo_takes_no_more_than_one_click_may(ann: Person, made: Made) -> None:
    many = [f"00000000-0000-7000-8000-{n:012x}" for n in range(forms.MOST_AT_A_TIME + 1)]
    answer = post(ann, "/library/bulk/untag", {"exactly": json.dumps({"Dusk": many}), "tags": "Dusk"}, partial=True)
    assert answer.status_code == 422 and "That is too many at once" in answer.text


def test_all_that_match_but_some(ann: Person, made: Made) -> None:
    make_job(ann, prompt="another thing")
    done(ann, "star", all="1", q="another thing")
    assert len(shown(ann, "?filter=favourites")) == 1
    done(ann, "star", all="1", **{"except": made.images[0]})
    assert len(shown(ann, "?filter=favourites")) == 3 and made.images[0] not in shown(ann, "?filter=favourites")


@pytest.mark.parametrize("form", [{"all": "1"}, {"ids": "those"}])
def test_many_are_changed_a_few_at_a_time_and_others_have_their_turn(
    ann: Person, made: Made, form: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "AT_A_TIME", 2)
    heard: list[int | str] = []
    star_all = library.star_all

    def star(public_ids: list[str], on: bool) -> list[str]:
        heard.append(len(public_ids))
        return star_all(public_ids=public_ids, on=on)

    monkeypatch.setattr(forms.time, "sleep", lambda _seconds: heard.append("others"))
    monkeypatch.setattr(library, "star_all", star)
    page = done(ann, "star", **({"ids": ",".join(made.images)} if "ids" in form else form))
    assert [one for one in heard if one != "others"] == [2, 1] and "others" in heard[heard.index(2) : heard.index(1)]
    assert "3 pictures" in page.text and len(shown(ann, "?filter=favourites")) == 3


def test_the_header_of_what_has_changed_is_short_however_many_they_are(ann: Person, made: Made) -> None:
    """A proxy that takes 4 kB of headers would answer 502, and nobody could undo what was done."""
    headers = [
        post(ann, "/library/bulk/star", {"ids": ",".join(ids)}, partial=True).headers["HX-Trigger"]
        for ids in (made.images[:1], made.images[1:])
    ]
    assert headers[0] == headers[1]


def test_ticked_boxes_are_enough_without_javascript(ann: Person, made: Made) -> None:
    answer = post(ann, "/library/bulk/trash", {"ids": made.images[:2], "back": "/library?sort=name"})
    assert (answer.status_code, answer.location) == (303, "/library?sort=name")
    assert shown(ann) == made.images[2:]


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/library//evil.example", "/\\evil"])
def test_nobody_is_led_away(ann: Person, made: Made, back: str) -> None:
    assert post(ann, "/library/bulk/star", {"ids": made.images[0], "back": back}).location == "/library"


def test_who_comes_late_is_told_and_hears_what_is_gone(ann: Person, made: Made) -> None:
    done(ann, "trash", ids=made.images[0])
    page = done(ann, "trash", ids=",".join(made.images[:2]))
    toast = page.one("div", class_="toast")
    assert (toast["data-changed"], toast["data-missed"]) == (made.images[1], made.images[0])
    assert "1 picture is in the trash." in page.text
    again = done(ann, "trash", ids=",".join(made.images[:2]))
    assert "Nothing has changed: it was so already." in again.text and "Undo" not in again.text


def test_nothing_chosen_too_much_chosen_and_no_such_verb_are_sentences(ann: Person, made: Made) -> None:
    assert "Choose at least one picture." in post(ann, "/library/bulk/star", {}, partial=True).text
    many = ",".join(f"00000000-0000-7000-8000-{n:012x}" for n in range(forms.MOST_AT_A_TIME + 1))
    assert post(ann, "/library/bulk/star", {"ids": many}, partial=True).status_code == 422
    assert post(ann, "/library/bulk/burn", {"ids": made.images[0]}, partial=True).status_code == 404
    assert post(ann, "/library/bulk/tag", {"ids": made.images[0], "tags": " , "}, partial=True).status_code == 422


def test_a_collection_is_made_on_the_way(ann: Person, made: Made) -> None:
    done(ann, "collect", ids=made.images[0], name="Autumn")
    with organisation_scope(ann.organisation.id):
        autumn = collections.all_collections()[0].public_id
    assert shown(ann, f"?collection={autumn}") == [made.images[0]]
    done(ann, "uncollect", ids=made.images[0], to=autumn)
    assert "Nothing in this collection yet" in ann.client.get(f"/library?collection={autumn}").text


def test_an_address_that_leads_to_a_deleted_collection_says_so(ann: Person, made: Made) -> None:
    done(ann, "collect", ids=made.images[0], name="Autumn")
    with organisation_scope(ann.organisation.id):
        autumn = collections.all_collections()[0].public_id
    post(ann, f"/library/collections/{autumn}/delete")
    page = Page(ann.client.get(f"/library?collection={autumn}").text)
    assert "This collection is gone" in page.text and "Nothing in this collection yet" not in page.text
    assert "Remove: A deleted collection" in {link.attributes.get("aria-label") for link in page.all("a")}
    for part, offered in (("lists", True), ("shelves", False), ("collect", False)):
        menu = ann.client.get(f"/library/choices/{part}?collection={autumn}").text
        assert ("A deleted collection" in menu) is offered


def test_somebody_who_has_left_is_not_called_by_a_number(ann: Person, made: Made) -> None:
    page = ann.client.get("/library?person=00000000-0000-7000-8000-000000000000").text
    assert "Remove: Somebody who has left" in page


@pytest.mark.parametrize("ids", ["", "00000000-0000-7000-8000-000000000000"])
def test_no_collection_is_left_behind_of_pictures_that_are_not_there(ann: Person, made: Made, ids: str) -> None:
    answer = post(ann, "/library/bulk/collect", {"ids": ids, "name": "Press"}, partial=True)
    assert answer.status_code == 422 and "Choose at least one picture." in answer.text
    answer = post(ann, "/library/bulk/collect", {"all": "1", "q": "no such words", "name": "Press"}, partial=True)
    assert answer.status_code == 422
    with organisation_scope(ann.organisation.id):
        assert collections.all_collections() == []


def test_deleting_for_ever_asks_first_and_takes_only_what_is_in_the_trash(ann: Person, made: Made) -> None:
    form = {"ids": ",".join(made.images[:2])}
    done(ann, "trash", ids=made.images[0])
    asked = post(ann, "/library/delete", form, partial=True)
    assert "Delete 2 pictures for ever?" in asked.text and shown(ann, "?filter=trash") == [made.images[0]]
    assert "Their files go too." in asked.text
    assert "Its file goes too." in post(ann, "/library/delete", {"ids": made.images[0]}, partial=True).text
    assert "<html" in post(ann, "/library/delete", form).text
    done(ann, "delete", **form)
    assert shown(ann, "?filter=trash") == [] and set(shown(ann)) == set(made.images[1:])


def test_a_picture_in_the_trash_is_shown_there_and_can_come_back(ann: Person, made: Made) -> None:
    done(ann, "trash", ids=made.images[0])
    page = Page(ann.client.get(f"/library/{made.images[0]}").text)
    assert "This picture is in the trash." in page.text and page.faults() == []
    picture = next(image["src"] for image in page.all("img") if "/media/" in image["src"])
    assert ann.client.get(picture).status_code == 200
    assert ann.client.get(picture.replace("trashed=1", "")).status_code == 404


def test_the_address_follows_what_is_shown_and_typing_makes_one_step(ann: Person, made: Made) -> None:
    ask = PARTIAL | {"HX-Source": "input#q"}
    first = ann.client.get("/library?q=wa&tag=&sort=newest&filter=ai_generated", headers=ask)
    assert first.headers["HX-Push-Url"] == "/library?filter=ai_generated&q=wa"
    ask["HX-Current-URL"] = "http://localhost/library?filter=ai_generated&q=wa"
    assert "HX-Replace-Url" in ann.client.get("/library?q=wav&filter=ai_generated", headers=ask).headers
    other = ask | {"HX-Source": "a"}
    assert "HX-Push-Url" in ann.client.get("/library?q=wav", headers=other).headers


def test_what_a_search_finds_has_its_stars_where_they_belong(ann: Person, made: Made) -> None:
    """A star that says it belongs elsewhere would be taken out of its tile."""
    page = Page(ann.client.get("/library?q=", headers=PARTIAL).text)
    stars = [button for button in page.all("button") if button.attributes.get("id", "").startswith("star-")]
    assert len(stars) == 3 and not any("hx-swap-oob" in star.attributes for star in stars)


def test_what_is_new_is_drawn_alone(ann: Person, made: Made) -> None:
    page = Page(ann.client.get("/library/newest", headers=PARTIAL).text)
    assert [tile["data-id"] for tile in page.all("li") if "data-id" in tile.attributes] == made.images[::-1]
    assert not page.all("li", class_="grid__more")
    page = Page(ann.client.get("/library/newest?filter=uploaded", headers=PARTIAL).text)
    assert not page.all("li", class_="thumb")


def test_a_stack_shows_one_and_opens_to_the_others(ann: Person, made: Made) -> None:
    for verb in ("trash", "restore"):  # either way the stack is counted anew
        done(ann, verb, ids=made.images[2])
    assert shown(ann, "?stack=1") == [made.images[0]]
    page = Page(ann.client.get(f"/library/{made.images[0]}/stack", headers=PARTIAL).text)
    assert [link["data-picture"] for link in page.all("a", class_="tile__open")] == made.images[1:]
    assert len(Page(ann.client.get(f"/library/{made.images[0]}/stack").text).all("a", class_="tile__open")) == 3


def test_words_are_kept_field_by_field_and_too_long_ones_refused_beside_their_field(ann: Person, made: Made) -> None:
    path = f"/library/{made.images[0]}/words"
    post(ann, path, {"title": "Dusk", "tags": "sea, Sea , salt"}, partial=True)
    post(ann, path, {"alt_text": "Waves at dusk"}, partial=True)
    db.session.rollback()
    with organisation_scope(ann.organisation.id):
        row = library.get_image(made.images[0])
        assert (row.title, row.alt_text) == ("Dusk", "Waves at dusk")
        assert library.tags_of([row.id])[row.id] == ["salt", "sea"]
    refused = post(ann, path, {"title": "x" * 201}, partial=True)
    field = Page(refused.text).one("input", name="title")
    assert refused.status_code == 422 and field["aria-invalid"] == "true" and field["value"] == "x" * 201


@pytest.mark.parametrize(("format_name", "kind"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_a_picture_is_saved_in_a_format_and_a_size(ann: Person, made: Made, format_name: str, kind: str) -> None:
    answer = ann.client.get(f"/library/{made.images[0]}/download?format={format_name}&width=32")
    with Pixels.open(io.BytesIO(answer.data)) as picture:
        assert (picture.format, picture.size) == (kind, (32, 40))
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert int(answer.headers["Content-Length"]) == len(answer.data)


@pytest.mark.parametrize(
    "query", ["format=bmp", "width=0", "width=-1", "width=99999", "width=x", "width=1e3", "width=00000000099999"]
)
def test_what_cannot_be_saved_is_said(ann: Person, made: Made, query: str) -> None:
    assert ann.client.get(f"/library/{made.images[0]}/download?{query}").status_code == 422


def test_a_zip_holds_every_file_once_and_says_its_length_before(ann: Person, made: Made) -> None:
    answer = post(ann, "/library/download", {"ids": ",".join(made.images)})
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        names = archive.namelist()
        assert len({name.lower() for name in names}) == 3 and archive.testzip() is None


def test_searches_and_shelves_are_put_in_order(ann: Person, made: Made) -> None:
    answer = post(ann, "/library/searches", {"name": "Blue", "colour": "blue"}, partial=True)
    assert "The search is kept." in answer.text
    page = Page(ann.client.get("/library/choices/shelves", headers=PARTIAL).text)
    assert [link.text.strip() for link in page.all("a", href="/library?colour=blue")] == ["Blue"]
    shelves = Page(ann.client.get("/library/shelves").text)
    rename = next(form["action"] for form in shelves.all("form") if form["action"].endswith("/rename"))
    assert "Sea" in post(ann, rename, {"name": "Sea"}, partial=True).text
    post(ann, rename.replace("/rename", "/delete"), partial=True)
    assert not Page(ann.client.get("/library/shelves").text).all("input", value="Sea")


def test_the_chooser_says_how_often_a_picture_was_used(ann: Person, made: Made) -> None:
    assert Page(ann.client.get("/library/picker", headers=PARTIAL).text).faults(whole=False) == []
    found = Page(ann.client.get("/library/picker/pictures?q=nothing+at+all", headers=PARTIAL).text)
    assert "Nothing found" in found.text
    assert "never used" in ann.client.get(f"/library/picker/{made.images[0]}", headers=PARTIAL).text


def test_recall_fills_the_form_in_part_or_whole(ann: Person) -> None:
    asked = {"prompt": "a calm lake at dawn", "n": 4, "aspect_ratios": ["16:9"]}
    made = make_job(ann, prompt="a calm lake at dawn", states=["succeeded"] * 4, request=asked)

    def form(recall: str) -> dict[str, list[str]]:
        return Page(ann.client.get(f"/generate?like={made.images[0]}&recall={recall}").text).form()

    with organisation_scope(ann.organisation.id):
        seed = library.get_image(made.images[0]).seed
    assert form("prompt")["prompt"] == ["a calm lake at dawn"]
    assert form("seed")["prompt"] == [""]
    settings = form("settings")
    assert settings["prompt"] == [""]
    assert settings["variants"] == ["4"]
    assert settings["aspect_ratios"] == ["16:9"]
    drawer = Page(ann.client.get(f"/library/{made.images[0]}", headers=PARTIAL).text)
    assert [link["href"] for link in drawer.all("a") if "recall=settings" in link["href"]]
    everything = form("everything")
    assert everything["prompt"] == ["a calm lake at dawn"]
    if seed is not None and "seed" in everything:
        assert everything["seed"] == [str(seed)]


# What there is to choose


def test_lists_come_when_somebody_looks_and_with_the_page_for_who_has_no_javascript(ann: Person, made: Made) -> None:
    done(ann, "tag", ids=made.images[0], tags="Dusk")
    done(ann, "collect", ids=made.images[0], name="Autumn")
    with organisation_scope(ann.organisation.id):
        autumn = collections.all_collections()[0].public_id

    page = Page(ann.client.get("/library").text)
    assert not page.all("option", value=autumn)
    later = [each["hx-get"] for each in page.elements if "data-later" in each.attributes]
    answers = [Page(ann.client.get(path, headers=PARTIAL).text) for path in later]
    whole = Page(ann.client.get(page.all("a", class_="link unscripted")[0]["href"]).text)

    assert len(later) == 3
    for found in (answers, [whole]):
        assert sum(len(each.all("option", value=autumn)) for each in found) == 1
        assert sum(len(each.all("button", value=autumn)) for each in found) == 1
        assert sum(len(each.all("option", value="Dusk")) for each in found) == 1
        assert (
            sum(len(each.all("a", class_="menu__item", href=f"/library?collection={autumn}")) for each in found) == 1
        )
    assert whole.faults() == []


def test_what_was_chosen_from_the_lists_stays_chosen_before_and_after_they_come(ann: Person, made: Made) -> None:
    done(ann, "collect", ids=made.images[0], name="Autumn")
    with organisation_scope(ann.organisation.id):
        autumn = collections.all_collections()[0].public_id

    page = Page(ann.client.get(f"/library?collection={autumn}").text)
    (panel,) = page.all("form", id="wish")
    held = [each for each in page.all("input", name="collection") if panel in each.parents]
    assert [each["value"] for each in held] == [autumn]
    (lists,) = (each["hx-get"] for each in page.elements if "/choices/lists" in each.attributes.get("hx-get", ""))
    assert "selected" in Page(ann.client.get(lists, headers=PARTIAL).text).one("option", value=autumn).attributes


def test_a_page_of_the_library_asks_the_database_little(ann: Person, made: Made) -> None:
    for path, most in (("/library", 7), ("/library/grid", 3)):
        ann.client.get(path)
        with selects() as asked:
            ann.client.get(path)
        assert len(asked) <= most, asked
