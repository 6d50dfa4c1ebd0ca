"""What people write about a picture, in a real browser: it is not lost on the way, and shown where the picture is."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.library import bring, openers, picture
from tests.browser.windows import Windows
from tests.running_studio import Studio, json_of
from tests.waiting import eventually

NOT_SAVED = re.compile("Not saved yet")


@pytest.fixture(scope="module")
def pair(studio: Studio, api: requests.Session, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two pictures."""
    folder = tmp_path_factory.mktemp("worded")
    return bring(studio, api, [picture(folder, f"worded-{n}.png", (90 * n, 31, 163)) for n in range(2)])


@pytest.fixture
def library(windows: Windows, pair: list[str]) -> Page:
    """Both of them, where there is room for the drawer."""
    windows.expect("ERR_INTERNET_DISCONNECTED|ERR_FAILED|Failed to fetch|503|422")
    page = windows.open("/library?q=worded", viewport={"width": 1440, "height": 900})
    expect(openers(page)).to_have_count(2)
    return page


def drawer(page: Page, image_id: str) -> Locator:
    """Show a picture in the drawer."""
    page.locator(f"#tile-{image_id} .tile__open").click()
    expect(page.locator(f"#drawer [data-facts='{image_id}']")).to_be_visible()
    return page.locator("#drawer")


def field(facts: Locator, name: str) -> Locator:
    return facts.locator(f".words [name={name}]")


def write(facts: Locator, name: str, text: str) -> None:
    """Write into a field and leave it."""
    field(facts, name).fill(text)
    field(facts, name).press("Tab")


def title_of(studio: Studio, api: requests.Session, image_id: str) -> str:
    return str(json_of(api.get(f"{studio.url}/api/v1/images/{image_id}"))["title"])


def test_what_was_written_without_a_line_says_so_and_is_sent_once_the_line_is_back(
    library: Page, pair: list[str], studio: Studio, api: requests.Session
) -> None:
    facts = drawer(library, pair[0])
    library.context.set_offline(True)
    write(facts, "title", "Dusk")
    expect(facts.get_by_role("status")).to_have_text(NOT_SAVED)
    write(facts, "tags", "evening")
    expect(facts.locator("[data-unsaved].input")).to_have_count(2)
    library.context.set_offline(False)
    expect(facts.get_by_role("status")).to_have_text("Saved")
    expect(facts.locator("[data-unsaved]")).to_have_count(0)
    assert title_of(studio, api, pair[0]) == "Dusk"


def test_what_was_written_is_sent_again_though_its_form_is_gone(
    library: Page, pair: list[str], studio: Studio, api: requests.Session
) -> None:
    facts = drawer(library, pair[0])
    library.context.set_offline(True)
    write(facts, "title", "Dawn")
    expect(facts.get_by_role("status")).to_have_text(NOT_SAVED)
    library.locator("[data-close-drawer]").click()
    library.context.set_offline(False)
    eventually(lambda: title_of(studio, api, pair[0]) == "Dawn")
    expect(field(drawer(library, pair[0]), "title")).to_have_value("Dawn")


def test_what_the_studio_did_not_take_is_there_again_with_its_picture(
    library: Page, pair: list[str], studio: Studio, api: requests.Session
) -> None:
    def busy(route: Route) -> None:
        route.fulfill(status=503, body="")

    library.route("**/words", busy)
    facts = drawer(library, pair[0])
    write(facts, "alt_text", "A hill")
    expect(facts.get_by_role("status")).to_have_text(NOT_SAVED)
    drawer(library, pair[1])
    expect(field(facts, "alt_text")).to_have_value("")
    drawer(library, pair[0])
    expect(facts.get_by_role("status")).to_have_text(NOT_SAVED)
    expect(field(facts, "alt_text")).to_have_value("A hill")
    library.unroute("**/words", busy)
    field(facts, "title").focus()
    library.keyboard.press("Tab")
    expect(facts.get_by_role("status")).to_have_text("Saved")
    expect(field(facts, "alt_text")).to_have_value("A hill")


def test_what_a_picture_is_called_now_is_said_by_its_tile_and_by_the_large_view(
    library: Page, pair: list[str], studio: Studio
) -> None:
    facts = drawer(library, pair[1])
    write(facts, "title", "Quiet hill")
    tile = library.locator(f"#tile-{pair[1]}")
    expect(tile.get_by_role("img", name="Quiet hill", exact=True)).to_be_attached()
    expect(tile.get_by_role("link", name="Open: Quiet hill")).to_be_attached()
    expect(tile.get_by_role("checkbox", name="Select: Quiet hill")).to_be_attached()
    facts.get_by_role("link", name="Open large").click()
    heading = library.locator("#lightbox header [data-prompt]")
    expect(heading).to_have_text("Quiet hill")

    library.keyboard.press("i")
    large = library.locator("#lightbox-facts")
    write(large, "alt_text", "A hill at dawn")
    expect(heading).to_have_text("A hill at dawn · Quiet hill")
    expect(field(facts, "alt_text")).to_have_value("A hill at dawn")  # else the drawer would send the old one
    write(large, "alt_text", "")
    expect(heading).to_have_text("Quiet hill")
    expect(library.locator("#lightbox img[data-large]")).to_have_attribute("alt", "Quiet hill")


def test_what_somebody_else_has_written_meanwhile_stays(
    library: Page, pair: list[str], studio: Studio, api: requests.Session
) -> None:
    facts = drawer(library, pair[0])
    json_of(api.patch(f"{studio.url}/api/v1/images/{pair[0]}", json={"title": "Elsewhere", "tags": ["sea"]}))
    write(facts, "alt_text", "Waves")
    expect(facts.get_by_role("status")).to_have_text("Saved")
    expect(field(facts, "title")).to_have_value("Elsewhere")
    image = json_of(api.get(f"{studio.url}/api/v1/images/{pair[0]}"))
    assert (image["title"], image["alt_text"], image["tags"]) == ("Elsewhere", "Waves", ["sea"])


def test_what_was_refused_is_sent_again_with_all_that_was_written(
    library: Page, pair: list[str], studio: Studio, api: requests.Session
) -> None:
    facts = drawer(library, pair[0])
    field(facts, "title").fill("Refused with its tags")
    write(facts, "tags", "x" * 61)
    expect(facts.locator(".field__error")).to_be_visible()
    write(facts, "tags", "short")
    expect(facts.get_by_role("status")).to_have_text("Saved")
    assert title_of(studio, api, pair[0]) == "Refused with its tags"
