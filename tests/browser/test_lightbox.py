"""One picture over the window, in a real browser: on through a grid of which only a part is there."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.browser.library import bring, openers, picture, tiles
from tests.browser.windows import Windows
from tests.running_studio import Studio

A_PAGE = 40
"""So many pictures the library shows before it asks for more."""

MANY = 2 * A_PAGE + 10


@pytest.fixture(scope="module")
def march(studio: Studio, api: requests.Session, tmp_path_factory: pytest.TempPathFactory) -> int:
    """More pictures than two pages show; returns how many."""
    folder = tmp_path_factory.mktemp("march")
    bring(studio, api, [picture(folder, f"march-{n}.png", (2 * n, 90, 30), (640, 400)) for n in range(MANY)])
    return MANY


@pytest.fixture
def library(windows: Windows, march: int) -> Page:
    """The newest of them at the width of a phone, where a picture opens large at once."""
    page = windows.open("/library?q=march", viewport={"width": 360, "height": 740})
    expect(tiles(page)).not_to_have_count(0)
    return page


def count(page: Page) -> Locator:
    return page.locator("#lightbox [data-count]")


def enlarge(page: Page, number: int) -> None:
    """Open a picture large, and wait until it is: its script is fetched for the first one."""
    openers(page).nth(number - 1).click()
    expect(count(page)).to_have_text(re.compile(rf"^{number} / "))


def test_arrows_lead_through_all_of_them_and_the_page_below_comes_along(library: Page, march: int) -> None:
    enlarge(library, 1)
    expect(count(library)).to_have_text(re.compile(r"^1 / \d+\+$"))
    for number in range(2, march + 1):
        library.keyboard.press("ArrowRight")
        if not re.match(rf"{number} /", count(library).inner_text()):  # the next page is on its way
            expect(library.locator(f"#grid .thumb:nth-child({number})")).to_be_attached()
            library.keyboard.press("ArrowRight")
        expect(count(library)).to_have_text(re.compile(rf"^{number} / "))
    expect(count(library)).to_have_text(f"{march} / {march}")
    library.keyboard.press("ArrowLeft")
    expect(count(library)).to_have_text(f"{march - 1} / {march}")

    library.keyboard.press("Escape")
    focused = library.locator("#grid .tile__open:focus")
    expect(focused).to_have_count(1)
    expect(library.locator("#grid .thumb:has(:focus)")).to_be_in_viewport(ratio=1)


def test_the_first_is_no_way_to_a_last_that_is_not_there_yet(library: Page) -> None:
    enlarge(library, 1)
    library.keyboard.press("ArrowLeft")
    expect(count(library)).to_have_text(re.compile(r"^1 / "))


def test_words_are_written_among_the_facts_without_setting_off_its_keys(library: Page) -> None:
    enlarge(library, 2)
    library.keyboard.press("i")
    title = library.locator("#lightbox-facts").get_by_label("Title")
    title.click()
    library.keyboard.type("vivid is dusk")
    library.keyboard.press("ArrowLeft")
    expect(title).to_have_value("vivid is dusk")
    expect(count(library)).to_have_text(re.compile(r"^2 / "))
    library.keyboard.press("Tab")
    expect(library.locator("#lightbox-facts").get_by_role("status")).to_have_text("Saved")
    library.locator("#lightbox-facts").get_by_label("Title").fill("")


@pytest.mark.parametrize("way", ["button", "key"])
def test_one_is_deleted_and_the_next_is_shown_until_that_is_taken_back(library: Page, way: str) -> None:
    names = [opener.get_attribute("data-picture") for opener in openers(library).all()[:4]]
    enlarge(library, 2)
    lightbox = library.get_by_role("dialog", name="Picture")
    if way == "button":
        lightbox.get_by_role("button", name="Delete").click()
    else:
        library.keyboard.press("Delete")
    expect(library.locator(f"#tile-{names[1]}")).to_have_count(0)
    expect(lightbox.locator("[data-large]")).to_have_attribute("src", re.compile(f"/media/{names[2]}/"))
    expect(count(library)).to_have_text(re.compile(r"^2 / "))
    library.locator(".toast").get_by_role("button", name="Undo").last.click()
    expect(library.locator(f"#tile-{names[1]}")).to_be_attached()
    expect(count(library)).to_have_text(re.compile(r"^3 / "))
    library.keyboard.press("ArrowRight")
    expect(count(library)).to_have_text(re.compile(r"^4 / "))
    library.keyboard.press("Escape")
    assert [opener.get_attribute("data-picture") for opener in openers(library).all()[:4]] == names


def test_a_star_that_did_not_arrive_is_not_shown(windows: Windows, library: Page) -> None:
    windows.expect("ERR_FAILED|Failed to fetch")
    enlarge(library, 1)
    star = library.get_by_role("dialog", name="Picture").get_by_role("button", name="Star")
    library.route("**/star", lambda route: route.abort())
    with library.expect_event("requestfailed"):
        star.click()
    expect(star).to_have_attribute("aria-pressed", "false")
    library.unroute("**/star")
    for pressed in ("true", "false"):
        with library.expect_response("**/star"):
            library.keyboard.press("s")
        expect(star).to_have_attribute("aria-pressed", pressed)
        expect(tiles(library).first.locator("[id^=star-]")).to_have_attribute("aria-pressed", pressed)


def test_in_the_trash_nothing_is_deleted_by_the_way(library: Page, studio: Studio, api: requests.Session) -> None:
    image_id = openers(library).nth(5).get_attribute("data-picture")
    api.delete(f"{studio.url}/api/v1/images/{image_id}")
    library.goto("/library?filter=trash")
    openers(library).first.click()
    expect(library.get_by_role("dialog", name="Picture")).to_be_visible()
    expect(library.get_by_role("dialog", name="Picture").get_by_role("button", name="Delete")).to_have_count(0)
    api.post(f"{studio.url}/api/v1/images/{image_id}/restore")


def test_on_a_phone_all_there_is_to_do_with_a_picture_is_two_steps_away(library: Page) -> None:
    enlarge(library, 1)
    library.get_by_role("button", name="Facts (i)").click()
    library.locator("#lightbox-facts").get_by_role("link", name="Open its page").click()
    side = library.get_by_role("region", name="Facts")
    for name in ("Save", "Copy link", "Delete"):
        expect(side.get_by_role("button", name=name, exact=True).first).to_be_visible()


def test_space_opens_a_picture_as_a_whole_each_time(windows: Windows, march: int) -> None:
    page = windows.open("/generate")
    page.get_by_label("Describe the picture").fill("a march at dawn")
    page.locator("#generate").click()
    link = page.locator("#jobs .tile[data-state=succeeded] .tile__open").first
    lightbox = page.get_by_role("dialog", name="Picture")
    for _ in range(3):
        link.focus()
        page.keyboard.press("Space")
        expect(lightbox).to_be_visible()
        expect(page.locator("#lightbox[data-zoom]")).to_have_count(0)
        page.keyboard.press("Escape")
        expect(lightbox).to_be_hidden()
