"""The library in a real browser: by keyboard alone, by hand, with uploads, and as axe-core sees it."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import CDPSession, Locator, Page, expect

from tests.browser.library import lines, openers, out_of_sight, picture, says, tiles
from tests.browser.test_accessibility import SCHEMES, findings, still_page
from tests.browser.windows import Scheme, Windows
from tests.running_studio import Studio, json_of
from tests.waiting import eventually


@pytest.fixture(scope="module")
def pictures(studio: Studio, api: requests.Session) -> list[str]:
    """Six pictures of one job, by id; the grid begins with them."""
    made = json_of(
        api.post(f"{studio.url}/api/v1/images/generate", json={"prompt": "violet dunes", "provider": "local", "n": 6})
    )

    def ended() -> Any:
        job = json_of(api.get(f"{studio.url}/api/v1/jobs/{made['id']}"))
        return job if job["finished_at"] else None

    return [image["id"] for image in eventually(ended)["images"]]


@pytest.fixture
def library(windows: Windows, pictures: list[str]) -> Page:
    """The library, searched for these pictures."""
    page = windows.open("/library?q=violet+dunes")
    # One of them may have been deleted for ever by now.
    expect(tiles(page)).not_to_have_count(0)
    return page


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_the_whole_library_by_keyboard_alone(windows: Windows, pictures: list[str]) -> None:
    """From the page's top to the trash and back: nothing here is pointed at."""
    page = windows.open("/library", viewport={"width": 1440, "height": 900})
    press(page, "/")
    page.keyboard.type("violet dunes")
    expect(page).to_have_url(re.compile(r"q=violet(\+|%20)dunes"))
    press(page, "Tab")
    expect(page.locator("#upload")).to_be_focused()
    press(page, "Tab", "Enter", "Tab", "Tab")  # the button of the filters, and into their panel past its first field
    expect(page.locator("#wish :focus")).to_have_count(1)
    page.get_by_label("Until", exact=True).focus()
    page.keyboard.type("01012099")
    expect(page.get_by_role("link", name="Remove: Until Jan 1, 2099")).to_be_attached()
    expect(page.locator("#wish")).to_be_visible()
    press(page, "Escape")
    expect(page.get_by_role("button", name="Filter 1")).to_be_focused()
    press(page, "/", "ArrowDown")
    first, second, third = (tiles(page).nth(n).locator(".tile__open") for n in range(3))
    expect(first).to_be_focused()

    press(page, "Enter")
    drawer = page.locator("#drawer [data-facts]")
    expect(drawer).to_have_attribute("data-facts", id_of(first))
    press(page, "ArrowRight")
    expect(drawer).to_have_attribute("data-facts", id_of(second))
    star = tiles(page).nth(1).get_by_role("button", name="Star")
    press(page, "s")
    expect(star).to_have_attribute("aria-pressed", "true")
    press(page, "s")
    expect(star).to_have_attribute("aria-pressed", "false")
    press(page, "Escape")
    expect(drawer).to_have_count(0)

    press(page, "ArrowLeft", "Shift+ArrowRight", "Shift+ArrowRight")
    expect(third).to_be_focused()
    expect(page.locator(".bulk__count")).to_have_text("3 selected")
    press(page, "t")
    expect(page.locator("#bulk-tags")).to_be_focused()
    page.keyboard.type("Dusk, Sand")
    press(page, "Enter")
    says(page, "3 pictures are tagged “Dusk, Sand”.")

    gone = [id_of(each) for each in (first, second, third)]
    tiles(page).nth(2).locator(".tile__open").focus()
    press(page, "Delete")
    says(page, "3 pictures are in the trash.")
    for each in gone:
        expect(page.locator(f"#tile-{each}")).to_have_count(0)
    press(page, "Control+z")
    says(page, "3 pictures are back in the library.")
    for place, each in enumerate(gone):
        expect(tiles(page).nth(place)).to_have_id(f"tile-{each}")
    press(page, "?")
    expect(page.get_by_role("dialog", name="Keys of the library")).to_be_visible()


def id_of(link: Locator) -> str:
    return link.get_attribute("data-picture") or ""


def test_down_and_up_follow_the_rows_as_they_are_drawn(windows: Windows, pictures: list[str]) -> None:
    page = windows.open("/library?q=violet+dunes", viewport={"width": 700, "height": 900})
    tiles(page).nth(0).locator(".tile__open").focus()
    places = [tile.bounding_box() or {} for tile in tiles(page).all()]
    below = next(n for n, place in enumerate(places) if place["y"] > places[0]["y"])
    page.keyboard.press("ArrowDown")
    expect(tiles(page).nth(below).locator(".tile__open")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(tiles(page).nth(0).locator(".tile__open")).to_be_focused()


def test_delete_is_undone_where_it_stood_and_the_focus_stays_in_the_grid(library: Page, pictures: list[str]) -> None:
    page = library
    second = tiles(page).nth(1)
    gone = second.get_attribute("id")
    second.locator(".tile__open").focus()
    page.keyboard.press("Delete")
    says(page, "1 picture is in the trash.")
    expect(page.locator(f"#{gone}")).to_have_count(0)
    expect(tiles(page).nth(1).locator(".tile__open")).to_be_focused()
    page.get_by_role("button", name="Undo").click()
    says(page, "1 picture is back in the library.")
    expect(tiles(page).nth(1)).to_have_id(gone or "")


def test_all_that_match_are_more_than_what_is_loaded_shows(library: Page, pictures: list[str]) -> None:
    library.locator(".tile__open").first.focus()
    library.keyboard.press("Control+a")
    expect(library.locator(".bulk__count")).to_have_text(f"All {len(pictures)} selected")
    tiles(library).nth(0).locator("[name=ids]").uncheck(force=True)
    with library.expect_download() as download:
        library.get_by_role("button", name="Download").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == len(pictures) - 1 and archive.testzip() is None


def test_filters_stay_while_one_searches_and_the_address_leads_to_what_is_shown(library: Page) -> None:
    page = library
    page.get_by_role("link", name="AI-made", exact=True).click()
    expect(page).to_have_url(re.compile("filter=ai_generated"))
    page.locator("#q").fill("dune")
    expect(page).to_have_url(re.compile(r"q=dune\b"))
    assert "filter=ai_generated" in page.url
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("From", exact=True).fill("2020-01-01")
    remove = page.get_by_role("link", name="Remove: From Jan 1, 2020")
    expect(remove).to_be_attached()
    page.keyboard.press("Escape")
    shown = page.url
    remove.click()
    expect(remove).to_have_count(0)
    assert "since" not in page.url and "q=dune" in page.url
    page.go_back()
    expect(page).to_have_url(shown)
    expect(page.get_by_label("From", exact=True)).to_have_value("2020-01-01")


def test_each_file_has_its_own_line_and_its_own_end(windows: Windows, pictures: list[str], tmp_path: Path) -> None:
    windows.expect("/library/upload: .* 4")
    page = windows.open("/library?q=harbour-404")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    good = picture(tmp_path, "harbour-404.png", "teal")
    page.locator("#upload").set_input_files([good, broken])
    expect(lines(page, "added")).to_contain_text("harbour-404.png")
    expect(lines(page, "refused")).to_contain_text("broken.png")
    expect(tiles(page)).to_have_count(1)
    page.locator("#upload").set_input_files([good])
    known = lines(page, "known")
    expect(known).to_contain_text("Already in the library")
    expect(known.get_by_role("link", name="Show it")).to_have_attribute("href", re.compile("/library/"))
    expect(page.locator("[data-tray-says]")).to_contain_text("already in the library")
    expect(tiles(page)).to_have_count(1)


def test_a_picture_of_another_page_appears_on_top(
    windows: Windows, studio: Studio, api: requests.Session, pictures: list[str]
) -> None:
    page = windows.open("/library")
    tiles(page).nth(1).locator("[name=ids]").check(force=True)
    first = tiles(page).first.get_attribute("id")
    api.post(f"{studio.url}/api/v1/images/generate", json={"prompt": "a heron", "provider": "local", "n": 1})
    expect(tiles(page).first).not_to_have_id(first or "")
    expect(page.locator("[name=ids]:checked")).to_have_count(1)


def test_deleting_for_ever_asks_and_goes_no_further_by_itself(library: Page, pictures: list[str]) -> None:
    page = library
    tiles(page).last.locator(".tile__open").focus()
    page.keyboard.press("Delete")
    says(page, "in the trash")
    page.goto("/library?filter=trash")
    tiles(page).first.locator("[name=ids]").check(force=True)
    page.get_by_role("button", name="Delete for ever").click()
    dialog = page.locator("#delete-dialog")
    expect(dialog).to_contain_text("Delete this picture for ever?")
    dialog.get_by_role("link", name="Keep").click()
    expect(tiles(page)).not_to_have_count(0)
    page.get_by_role("button", name="Delete for ever").click()
    dialog.get_by_role("button", name="Delete for ever").click()
    says(page, "1 picture is deleted for ever.")
    expect(dialog).to_be_hidden()


def test_a_stack_opens_where_it_stands_and_closes_again(windows: Windows, pictures: list[str]) -> None:
    page = windows.open("/library?q=violet+dunes&stack=1")
    expect(tiles(page)).to_have_count(1)
    count = page.locator(".tile__count")
    count.click()
    expect(tiles(page)).not_to_have_count(1)
    expect(count).to_have_attribute("aria-expanded", "true")
    count.click()
    expect(tiles(page)).to_have_count(1)


def test_far_pictures_rest_and_come_back_as_they_were(library: Page) -> None:
    """A group that is far out of sight holds no pictures, but knows what is selected when it is seen again."""
    page = library
    tiles(page).first.locator("[name=ids]").check(force=True)
    page.locator("#q").focus()  # what holds the focus stays as it is
    far = page.locator(".grid__group").first
    with out_of_sight(page):
        expect(far.locator("img")).to_have_count(0)
    expect(far.locator("img").first).to_be_visible()
    expect(page.locator("[name=ids]:checked")).to_have_count(1)


def test_a_stack_that_grows_while_it_is_far_away_comes_back_whole(windows: Windows, pictures: list[str]) -> None:
    page = windows.open("/library?q=violet+dunes&stack=1")
    page.locator(".tile__count").evaluate("count => count.remove()")  # as if the others had not come yet
    page.locator("#q").focus()
    with out_of_sight(page), page.expect_response("**/library/newest?**"):
        page.locator("#library-news").evaluate("news => news.setAttribute('value', 'more')")
    expect(page.locator(".tile__count")).to_be_visible()
    expect(openers(page)).to_have_count(1)


@dataclass(frozen=True)
class Finger:
    """One finger on a touch screen, as the browser feels it."""

    session: CDPSession

    def hold(self, tile: Locator) -> None:
        """Press until the picture is selected, and let go."""
        box = tile.bounding_box()
        assert box
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self.session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        expect(tile.locator("[name=ids]")).to_be_checked()
        self.session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_on_a_touch_screen_a_long_press_begins_a_selection(windows: Windows, pictures: list[str]) -> None:
    page = windows.open(
        "/library?q=violet+dunes", viewport={"width": 360, "height": 780}, has_touch=True, is_mobile=True
    )
    count = page.locator(".bulk__count")
    Finger(page.context.new_cdp_session(page)).hold(tiles(page).nth(0))
    expect(count).to_have_text("1 selected")
    expect(page.locator("#lightbox[open]")).to_have_count(0)
    tiles(page).nth(1).locator(".tile__open").tap()
    expect(count).to_have_text("2 selected")
    tiles(page).nth(0).locator(".tile__open").tap()
    expect(count).to_have_text("1 selected")
    page.get_by_role("button", name="All that match").tap()
    expect(count).to_have_text(re.compile(r"All \d+ selected"))
    page.get_by_role("button", name="Clear the selection").tap()
    expect(page.locator(".bulk")).to_be_hidden()
    tiles(page).nth(0).locator(".tile__open").tap()
    expect(page.locator("#lightbox[open]")).to_be_visible()


# The boxes of the tiles of each group, and where the group ends.
ROWS = """() => [...document.querySelectorAll("#grid .grid__tiles")].map((list) => ({
  right: list.getBoundingClientRect().right,
  tiles: [...list.querySelectorAll(".thumb")].map((tile) => tile.getBoundingClientRect().toJSON()),
}))"""
SHAPES = ((900, 600), (480, 640), (500, 500), (1000, 500), (450, 900), (640, 480), (500, 625))


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_rows_are_full_and_of_one_height(windows: Windows, tmp_path: Path, width: int) -> None:
    page = windows.open("/library", viewport={"width": width, "height": 900})
    files = [
        picture(tmp_path, f"row-{width}-{n}.png", (n * 9, width // 8, 30), SHAPES[n % len(SHAPES)]) for n in range(14)
    ]
    page.locator("#upload").set_input_files(files)
    expect(lines(page, "added")).to_have_count(len(files))
    expect(tiles(page).nth(len(files) - 1)).to_be_attached()
    full = 0
    for group in page.evaluate(ROWS):
        rows = [list(row) for _top, row in groupby(group["tiles"], key=lambda tile: round(tile["top"]))]
        for row in rows[:-1]:
            assert row[-1]["right"] == pytest.approx(group["right"], abs=1.5)
            assert max(tile["height"] for tile in row) - min(tile["height"] for tile in row) < 1
            full += 1
    assert full


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_in_the_library(scheme: Scheme, windows: Windows, pictures: list[str]) -> None:
    page = still_page(windows, scheme, viewport={"width": 1440, "height": 900})
    found = []
    for path in ("/library", "/library?filter=trash", "/library?q=none+of+these", "/library/shelves"):
        page.goto(path)
        found += findings(page)
    page.goto("/library?q=violet+dunes")
    tiles(page).last.locator(".tile__open").focus()
    page.keyboard.press("Delete")
    says(page, "in the trash")
    page.goto("/library?filter=trash")
    tiles(page).first.locator("[name=ids]").check(force=True)
    found += findings(page)
    page.get_by_role("button", name="Delete for ever").click()
    expect(page.locator("#delete-dialog")).to_be_visible()
    found += findings(page)
    page.goto("/library?q=violet+dunes&stack=1")
    tiles(page).first.locator("[name=ids]").check(force=True)
    tiles(page).first.locator(".tile__open").click()
    expect(page.locator("#drawer .facts-panel")).to_be_visible()
    expect(page.locator("#drawer [data-alike]")).to_be_visible()
    found += findings(page)
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#wish")).to_be_visible()
    assert found + findings(page) == []
