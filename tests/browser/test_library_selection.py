"""What is done to a selection in a real browser: where the keys go on, what menus offer, who may do it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from tests.browser.library import bring, lines, open_chooser, openers, out_of_sight, picture, says, tiles
from tests.browser.windows import PASSWORD, Windows, sign_in
from tests.running_studio import Studio, json_of
from tests.waiting import eventually

VIEWER = "viewer@example.org"


@pytest.fixture(scope="module")
def herd(studio: Studio, api: requests.Session, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Some pictures, one after the other: ids by names."""
    folder = tmp_path_factory.mktemp("herd")
    paths = [picture(folder, f"herd-{n}.png", (120, 40 * n, 200)) for n in range(5)]
    return {path.name: bring(studio, api, [path])[0] for path in paths}


@pytest.fixture
def names(studio: Studio, api: requests.Session, herd: dict[str, str]) -> list[str]:
    """Their names, the newest first; none of them is in the trash."""
    for image_id in herd.values():
        api.post(f"{studio.url}/api/v1/images/{image_id}/restore")
    return list(reversed(herd))


@pytest.fixture
def library(windows: Windows, names: list[str]) -> Page:
    page = windows.open("/library?q=herd", viewport={"width": 1440, "height": 900})
    expect(tiles(page)).to_have_count(len(names))
    return page


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def press_on(page: Page, name: str) -> None:
    """Press a button by the keyboard."""
    page.get_by_role("button", name=name, exact=True).last.focus()
    page.keyboard.press("Enter")


def expect_at(page: Page, name: str) -> None:
    """Expect the focus on this picture of the grid."""
    expect(page.locator("#grid .tile__open:focus")).to_have_accessible_name(f"Open: {name}")


def test_the_keys_go_on_beside_what_was_done(library: Page, names: list[str]) -> None:
    openers(library).nth(2).focus()
    press(library, "x")
    press_on(library, "Clear the selection")
    expect_at(library, names[2])
    press(library, "x")
    press_on(library, "Delete")
    says(library, "1 picture is in the trash.")
    expect_at(library, names[3])
    press_on(library, "Undo")
    says(library, "1 picture is back in the library.")
    expect_at(library, names[2])
    openers(library).last.focus()
    press(library, "Delete")
    expect_at(library, names[-2])
    press(library, "Control+z")
    expect_at(library, names[-1])


def test_the_keys_go_on_beside_what_the_drawer_showed(library: Page, names: list[str]) -> None:
    openers(library).nth(1).click()
    library.locator("#drawer").get_by_role("button", name="Delete").focus()
    press(library, "Enter")
    expect_at(library, names[2])
    press(library, "Control+z")
    expect_at(library, names[1])


def test_a_filter_that_is_taken_away_leaves_the_focus_at_the_filters(library: Page) -> None:
    library.goto("/library?q=herd&orientation=landscape")
    library.get_by_role("link", name="Remove: Landscape").focus()
    press(library, "Enter")
    expect(library.get_by_role("button", name="Filter")).to_be_focused()
    assert "q=herd" in library.url


def collect(page: Page) -> None:
    openers(page).first.focus()
    press(page, "x")
    page.get_by_role("button", name="Collection", exact=True).click()


def test_a_collection_that_was_just_made_is_offered_and_left_where_it_is_shown(library: Page) -> None:
    collect(library)
    library.get_by_label("A new collection").fill("Herds")
    press(library, "Enter")
    says(library, "1 picture is in “Herds” now.")
    collect(library)
    menu = library.locator("#bulk-collect")
    expect(menu.get_by_role("button", name="Herds")).to_be_visible()
    expect(menu.get_by_role("button", name="Take out of this collection")).to_have_count(0)
    press(library, "Escape", "Escape")

    library.get_by_role("button", name="Filter").click()
    library.locator("#wish").get_by_label("Collection").select_option("Herds")
    expect(tiles(library)).to_have_count(1)
    press(library, "Escape")
    collect(library)
    menu.get_by_role("button", name="Take out of this collection").click()
    says(library, "1 picture was taken out of “Herds”.")
    expect(tiles(library)).to_have_count(0)


def test_all_that_matched_one_search_is_not_all_that_matches_the_next(library: Page, names: list[str]) -> None:
    openers(library).first.focus()
    press(library, "Control+a")
    expect(library.locator(".bulk__count")).to_have_text(f"All {len(names)} selected")
    press(library, "x")
    expect(library.locator(".bulk__count")).to_have_text(f"{len(names) - 1} selected")
    library.locator("#q").fill("png")
    expect(library).to_have_url(re.compile(r"q=png\b"))
    expect(library.locator(".bulk")).to_be_hidden()
    expect(library.locator("#grid [name=ids]:checked")).to_have_count(0)


def test_an_undo_puts_back_whole_what_was_taken_out_while_far_away(library: Page, names: list[str]) -> None:
    """Pictures far out of sight hold nothing, so that they are taken out empty."""
    for number in (0, 1):
        openers(library).nth(number).focus()
        press(library, "x")
    library.get_by_role("button", name="Clear the selection").focus()
    with out_of_sight(library):
        press_on(library, "Delete")
        says(library, "2 pictures are in the trash.")
    expect(openers(library)).to_have_count(len(names) - 2)
    press_on(library, "Undo")
    says(library, "2 pictures are back in the library.")
    expect(openers(library)).to_have_count(len(names))
    expect_at(library, names[0])


def test_the_number_of_all_that_match_is_that_of_the_last_search(library: Page, names: list[str]) -> None:
    late: list[Route] = []
    library.route("**/library/count?q=herd", lambda route: late.append(route))
    openers(library).first.focus()
    with library.expect_request("**/library/count?q=herd"):
        press(library, "Control+a")
    library.locator("#q").fill("herd-1")
    expect(tiles(library)).to_have_count(1)
    openers(library).first.focus()
    press(library, "Control+a")
    expect(library.locator(".bulk__count")).to_have_text("All 1 selected")
    with library.expect_response("**/library/count?q=herd"):
        late[0].continue_()
    library.evaluate("() => new Promise((done) => setTimeout(done, 100))")  # the page has read it by then
    expect(library.locator(".bulk__count")).to_have_text("All 1 selected")


def test_what_is_left_out_of_all_is_taken_off_their_number_where_that_is_known(library: Page) -> None:
    library.route("**/library/count*", lambda route: route.fulfill(body="2,977"))
    openers(library).first.focus()
    press(library, "Control+a", "x")
    expect(library.locator(".bulk__count")).to_have_text("2,976 selected")
    library.route("**/library/count*", lambda route: route.fulfill(body="more than 10,000"))
    press(library, "Control+a", "x")
    expect(library.locator(".bulk__count")).to_have_text("All more than 10,000 selected (\N{MINUS SIGN}1)")


def test_a_range_whose_beginning_is_gone_begins_anew(
    library: Page, names: list[str], studio: Studio, api: requests.Session, herd: dict[str, str]
) -> None:
    openers(library).first.focus()
    press(library, "x")
    api.delete(f"{studio.url}/api/v1/images/{herd[names[0]]}")
    library.locator("#q").fill("herd-")
    expect(tiles(library)).to_have_count(len(names) - 1)
    for tile in (0, 2):
        openers(library).nth(tile).click(modifiers=["Shift"])
    expect(library.locator("#grid [name=ids]:checked")).to_have_count(3)


@pytest.fixture(scope="module")
def viewer(studio: Studio) -> str:
    """The address of somebody who may only look."""
    studio.flask(
        *("users", "create", "--email", VIEWER, "--organisation", "My studio", "--role", "viewer"), typed=PASSWORD
    )
    return VIEWER


@pytest.fixture
def looked_at(windows: Windows, viewer: str, names: list[str]) -> Iterator[Page]:
    page = windows.open("/sign-in", anonymous=True, viewport={"width": 1440, "height": 900})
    sign_in(page, viewer)
    page.goto("/library?q=herd")
    yield page


def test_who_may_only_look_is_offered_nothing_else_and_no_key_does_more(
    looked_at: Page, names: list[str], tmp_path: Path
) -> None:
    page = looked_at
    expect(tiles(page)).to_have_count(len(names))
    for selector in ("#grid input", "#grid button", "#upload", ".bulk"):
        expect(page.locator(selector)).to_have_count(0)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    openers(page).first.focus()
    press(page, "x", "Space", "s", "t", "Delete", "Shift+ArrowRight", "ArrowRight", "Escape")
    openers(page).nth(3).click(modifiers=["Shift"])
    openers(page).nth(2).click()
    expect(page.locator("#drawer .facts")).to_contain_text(names[2])
    expect(page.locator("#drawer").get_by_placeholder(re.compile("commas|cannot see"))).to_have_count(0)
    openers(page).nth(2).click()
    lightbox = page.get_by_role("dialog", name="Picture")
    expect(lightbox.get_by_role("link", name="Download")).to_be_visible()
    press(page, "v", "Delete", "Backspace")
    for name in ("Variations", "Star", "Delete"):
        expect(lightbox.get_by_text(name, exact=True)).to_have_count(0)
    assert "POST" not in sent


@pytest.mark.parametrize("name", ["Tag", "Collection"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_the_menus_of_the_bar_open_at_their_buttons(
    windows: Windows, names: list[str], name: str, width: int
) -> None:
    page = windows.open("/library?q=herd", viewport={"width": width, "height": 800})
    openers(page).first.focus()
    press(page, "x")
    bar = page.locator(".bulk")
    button = bar.get_by_role("button", name=name, exact=True).first
    button.click()
    menu = page.locator(".bulk__menu:popover-open")
    expect(menu).to_be_in_viewport(ratio=1)
    its, buttons, bars = menu.bounding_box(), button.bounding_box(), bar.bounding_box()
    assert its and buttons and bars
    assert its["x"] <= buttons["x"] + buttons["width"] and buttons["x"] <= its["x"] + its["width"]
    assert 0 <= bars["y"] - (its["y"] + its["height"]) <= 24


def test_what_another_window_has_deleted_goes_at_the_first_try(
    windows: Windows, library: Page, names: list[str]
) -> None:
    other = windows.open("/library?q=herd", viewport={"width": 1440, "height": 900})
    for page, sentence in ((other, "1 picture is in the trash."), (library, "Nothing has changed")):
        openers(page).nth(1).focus()
        press(page, "Delete")
        says(page, sentence)
        expect(tiles(page)).to_have_count(len(names) - 1)
        expect(page.locator(".bulk")).to_be_hidden()
        expect_at(page, names[2])


def test_what_was_selected_in_the_library_is_not_what_is_deleted_in_the_trash(
    library: Page, names: list[str]
) -> None:
    bar = library.locator(".bulk")
    openers(library).nth(2).focus()
    press(library, "x")
    library.get_by_role("link", name="Unused", exact=True).click()
    expect(library).to_have_url(re.compile("filter=unused"))
    expect(bar).to_contain_text("1 selected")
    library.get_by_role("link", name="Trash", exact=True).click()
    expect(library).to_have_url(re.compile("filter=trash"))
    expect(bar).to_be_hidden()


@pytest.fixture
def many_collections(studio: Studio, api: requests.Session) -> Iterator[list[str]]:
    """More collections than a menu has room for, some of long names."""
    url = f"{studio.url}/api/v1/collections"
    names = [f"{n:02} {'Herd ' * 3 if n % 2 else 'H' * 110}" for n in range(20)]
    made = [json_of(api.post(url, json={"name": name})) for name in names]
    yield names
    for collection in made:
        api.delete(f"{url}/{collection['id']}")


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_a_menu_of_many_collections_stays_within_the_window(
    windows: Windows, names: list[str], many_collections: list[str], width: int
) -> None:
    page = windows.open("/library?q=herd", viewport={"width": width, "height": 740})
    openers(page).first.focus()
    press(page, "x")
    page.locator(".bulk").get_by_role("button", name="Collection", exact=True).first.click()
    menu = page.locator(".bulk__menu:popover-open")
    for name in (many_collections[0], many_collections[-1]):
        menu.get_by_role("button", name=name).scroll_into_view_if_needed()
        expect(menu.get_by_role("button", name=name)).to_be_in_viewport(ratio=0.9)
    expect(menu).to_be_in_viewport(ratio=1)
    assert menu.evaluate("menu => menu.scrollWidth <= menu.clientWidth")


@pytest.mark.parametrize("width", [360, 1280])
def test_what_a_filter_is_called_is_cut_where_the_window_ends(
    windows: Windows, many_collections: list[str], width: int
) -> None:
    page = windows.open("/library", viewport={"width": width, "height": 740})
    page.get_by_role("button", name="Collections").click()
    page.get_by_role("link", name=many_collections[0]).click()
    chip = page.get_by_role("link", name=f"Remove: {many_collections[0]}")
    expect(chip).to_be_in_viewport(ratio=1)
    expect(chip.locator(".icon")).to_be_in_viewport(ratio=1)


def test_what_the_chooser_offers_stands_in_one_row_whatever_collections_are_called(
    windows: Windows, many_collections: list[str]
) -> None:
    page = windows.open("/generate", viewport={"width": 1280, "height": 800})
    fields = open_chooser(page).locator(".picker__more select")
    expect(fields).to_have_count(5)
    rows = "fields => new Set(fields.map((field) => Math.round(field.getBoundingClientRect().top))).size"
    eventually(lambda: fields.evaluate_all(rows) == 1)


def test_the_star_of_a_narrow_picture_leaves_its_tick_free(windows: Windows, tmp_path: Path) -> None:
    page = windows.open("/library", viewport={"width": 360, "height": 780}, has_touch=True, is_mobile=True)
    page.locator("#upload").set_input_files(picture(tmp_path, "narrow.png", (9, 99, 199), (400, 1000)))
    expect(lines(page, "added")).to_have_count(1)
    page.goto("/library?q=narrow.png")
    tile = tiles(page).first
    tile.locator("[name=ids]").evaluate("box => box.click()")
    page.locator(".bulk [data-verb=star]").tap()
    says(page, "1 picture has a star now.")
    tick, star = tile.locator(".tile__tick").bounding_box(), tile.get_by_role("button", name="Star").bounding_box()
    assert tick and star
    assert star["y"] >= tick["y"] + tick["height"] or star["x"] >= tick["x"] + tick["width"]


@pytest.mark.parametrize("width", [1280, 1440])
def test_the_bar_stands_beside_the_drawer_with_all_its_verbs_in_longer_words_too(
    windows: Windows, names: list[str], width: int
) -> None:
    page = windows.open("/library?q=herd", viewport={"width": width, "height": 900}, locale="de-DE")
    openers(page).first.click()
    expect(page.locator("#drawer .facts")).to_be_visible()
    openers(page).first.focus()
    press(page, "x")
    bar, drawer = page.locator(".bulk").bounding_box(), page.locator("#drawer").bounding_box()
    assert bar and drawer and bar["x"] + bar["width"] <= drawer["x"]
    expect(page.locator(".bulk").get_by_role("button", name="Löschen")).to_be_in_viewport(ratio=1)
    # What the order is called takes no more room than its words: the filters beside it need it.
    order = page.locator(".wishes__row select").bounding_box()
    assert order and order["width"] < 130


def test_what_happened_to_many_is_seen(
    windows: Windows, studio: Studio, api: requests.Session, tmp_path: Path
) -> None:
    many = 41
    size = (400, 400)
    bring(studio, api, [picture(tmp_path, f"flock-{n}.png", (n, 2 * n, 90), size) for n in range(many)])
    windows.expect("/media/.*404")  # some have not been drawn yet when they are deleted
    page = windows.open("/library?q=flock", viewport={"width": 1440, "height": 900})
    openers(page).first.focus()
    press(page, "Control+a")
    expect(page.locator(".bulk__count")).to_have_text(f"All {many} selected")
    press_on(page, "Delete")
    says(page, f"{many} pictures are in the trash.")
    expect(tiles(page)).to_have_count(0)
    press_on(page, "Undo")
    says(page, f"{many} pictures are back in the library.")
    expect(tiles(page).first).to_be_visible()
