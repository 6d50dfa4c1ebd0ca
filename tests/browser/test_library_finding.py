"""Finding a picture again in a real browser: filters over pages, parts of names, searches that are kept."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.library import bring, open_chooser, openers, picture, says, tiles
from tests.browser.windows import Windows
from tests.running_studio import Studio

A_PAGE = 40
"""So many pictures the library shows before it asks for more."""


@pytest.fixture(scope="module")
def crowd(studio: Studio, api: requests.Session, tmp_path_factory: pytest.TempPathFactory) -> int:
    """More tall pictures than a page shows, some wide ones, and some of another name; returns how many are tall."""
    folder = tmp_path_factory.mktemp("crowd")
    tall, wide = A_PAGE + 3, 3
    # The others are the oldest, so that a page that forgets what was looked for comes upon them.
    others = [picture(folder, f"crowd-{n:06}.png", (n - 900, 60, 90), (500, 400)) for n in range(900, 900 + wide)]
    others += [picture(folder, f"loner-{n}.png", (n, 30, 30), (400, 500)) for n in range(3)]
    bring(studio, api, others)
    bring(studio, api, [picture(folder, f"crowd-{n:06}.png", (n, 90, 60), (400, 500)) for n in range(tall)])
    return tall


@pytest.fixture
def library(windows: Windows, crowd: int) -> Page:
    return windows.open("/library")


def shapes(page: Page) -> set[tuple[str | None, ...]]:
    """Return the widths and heights of the pictures in the grid."""
    return {tuple(link.get_attribute(f"data-{name}") for name in ("width", "height")) for link in openers(page).all()}


def test_filters_are_kept_on_every_page_that_comes_while_one_searches(library: Page, crowd: int) -> None:
    library.locator("#q").press_sequentially("crowd")
    expect(library).to_have_url(re.compile(r"q=crowd\b"))
    library.get_by_role("button", name="Filter").click()
    library.locator("#wish").get_by_text("Portrait").click()
    expect(library.get_by_role("link", name="Remove: Portrait")).to_be_attached()
    library.keyboard.press("Escape")
    for _ in range(8):
        library.keyboard.press("End")
    expect(tiles(library)).to_have_count(crowd)
    assert shapes(library) == {("400", "500")}
    expect(library.locator(".grid__more")).to_have_count(0)


def test_a_line_that_breaks_is_not_the_end_of_the_library(windows: Windows, library: Page, crowd: int) -> None:
    windows.expect("ERR_INTERNET_DISCONNECTED|Failed to fetch")
    library.goto("/library?q=crowd&orientation=portrait")
    for back in ("by itself", "by scrolling", "by its button"):
        library.route("**/library/grid?*", lambda route: route.abort("internetdisconnected"))
        library.reload()
        says(library, "The studio did not answer. Try again in a moment.")
        expect(tiles(library)).to_have_count(A_PAGE)
        library.unroute("**/library/grid?*")
        if back == "by itself":
            library.evaluate("dispatchEvent(new Event('online'))")
        elif back == "by scrolling":
            _leave_and_come_back(library)
        else:
            library.get_by_role("link", name="More pictures").click()
        expect(tiles(library)).to_have_count(crowd)
    assert "cursor" not in library.url


def _leave_and_come_back(page: Page) -> None:
    """Have what brings more pictures far out of sight for a moment."""
    page.locator("#found").evaluate("found => found.before(document.createElement('p'))")
    spacer = page.locator("#found").locator("xpath=preceding-sibling::p[1]")
    spacer.evaluate("p => { p.innerHTML = '<br>'.repeat(600); scrollTo(0, 0); }")
    page.wait_for_timeout(300)
    spacer.evaluate("p => p.remove()")


@pytest.mark.parametrize("typed", ["000902", "902.png", "owd-000902", "CROWD-000902"])
def test_a_part_of_a_files_name_finds_it_as_one_types(library: Page, typed: str) -> None:
    library.locator("#q").press_sequentially(typed)
    expect(tiles(library)).to_have_count(1)
    expect(openers(library)).to_have_accessible_name("Open: crowd-000902.png")
    expect(library.locator("#q")).to_be_focused()


def test_the_chooser_finds_pictures_by_its_own_search_and_filters(windows: Windows, crowd: int) -> None:
    page = windows.open("/generate")
    dialog = open_chooser(page)
    choices = dialog.locator("[data-pick]")
    dialog.get_by_label("Search your pictures").press_sequentially("crowd")
    dialog.get_by_label("Shape").select_option("landscape")
    expect(choices).to_have_count(3)
    dialog.get_by_label("Shape").select_option("portrait")
    expect(choices).to_have_count(A_PAGE)
    choices.last.scroll_into_view_if_needed()
    expect(choices).to_have_count(crowd)
    dialog.get_by_label("Search your pictures").fill("no picture is called so")
    expect(dialog.get_by_role("heading", name="Nothing found")).to_be_visible()
    assert page.url.endswith("/generate")


def test_what_is_clicked_straight_from_the_search_is_chosen(windows: Windows, crowd: int) -> None:
    page = windows.open("/generate")
    dialog = open_chooser(page)
    dialog.get_by_label("Search your pictures").press_sequentially("000902")
    choice = dialog.get_by_role("button", name="crowd-000902.png")
    expect(dialog.locator("[data-pick]")).to_have_count(1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    choice.click()
    expect(dialog.locator("[data-picked]")).to_contain_text("crowd-000902.png")
    expect(choice).to_have_attribute("aria-pressed", "true")
    expect(choice).to_be_focused()
    assert not [url for url in asked if "/picker/pictures" in url]
    dialog.get_by_role("button", name="Use this picture").click()
    expect(page.locator("#chosen")).to_have_value(re.compile("^[0-9a-f-]{36}$"))


def test_a_search_is_kept_by_name_and_found_again(windows: Windows, library: Page, crowd: int) -> None:
    windows.expect("/library/searches: .* 409")
    library.goto("/library?q=crowd&orientation=landscape")
    keep = library.get_by_role("button", name="Save search")
    for sentence in ("The search is kept.", "You have a search of that name already. Choose another name."):
        keep.first.click()
        library.get_by_label("Name of the search").fill("Wide crowds")
        library.keyboard.press("Enter")
        says(library, sentence)
    library.goto("/library")
    library.get_by_role("button", name="Collections").click()
    library.get_by_role("link", name="Wide crowds").click()
    expect(library).to_have_url(re.compile("q=crowd&orientation=landscape"))
    expect(tiles(library)).to_have_count(3)


def test_the_drawer_shows_nothing_that_another_search_has_not_found(windows: Windows, crowd: int) -> None:
    page = windows.open("/library?q=crowd", viewport={"width": 1440, "height": 900})
    openers(page).first.click()
    shown = page.locator("#drawer [data-facts]")
    expect(shown).to_be_visible()
    page.get_by_role("link", name="Uploaded", exact=True).click()
    expect(page).to_have_url(re.compile("filter=uploaded"))
    expect(shown).to_be_visible()
    expect(openers(page).first).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Favourites", exact=True).click()
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    expect(shown).to_have_count(0)
