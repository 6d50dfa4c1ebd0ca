"""Collections, tags and searches put in order in a real browser: whoever does it by keys stays where they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.windows import Windows

NAMES = ("Shelf a", "Shelf b", "Shelf c")


@pytest.fixture
def shelves(windows: Windows) -> Iterator[Page]:
    """The page, with three collections that nothing else has made; it says yes to every question."""
    page = windows.open("/library/shelves")
    page.on("dialog", lambda dialog: dialog.accept())
    for name in NAMES:
        page.get_by_label("A new collection").fill(name)
        page.keyboard.press("Enter")
        expect(button(page, name)).to_be_visible()
    yield page
    for name in (*NAMES, "Shelf z"):
        while button(page, name).count():
            button(page, name).click()
            expect(button(page, name)).to_have_count(0)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=f"Delete “{name}”", exact=True)


def test_the_next_row_is_gone_on_with_after_one_was_deleted(shelves: Page) -> None:
    for name, next_one in (("Shelf a", "Shelf b"), ("Shelf b", "Shelf c")):
        button(shelves, name).focus()
        shelves.keyboard.press("Enter")
        expect(button(shelves, name)).to_have_count(0)
        expect(button(shelves, next_one)).to_be_focused()


def test_who_renames_by_tab_goes_on_in_the_same_row_wherever_it_stands_now(shelves: Page) -> None:
    shelves.get_by_label("Name of “Shelf a”").fill("Shelf z")
    shelves.keyboard.press("Tab")
    expect(button(shelves, "Shelf z")).to_be_visible()
    expect(shelves.get_by_role("link", name="Show “Shelf z”")).to_be_focused()


def test_a_name_that_is_refused_is_told_once_and_seen_not_to_be_the_name(windows: Windows, shelves: Page) -> None:
    windows.expect("/rename: .* 409")
    field = shelves.get_by_label("Name of “Shelf a”")
    field.fill("SHELF B")
    shelves.keyboard.press("Enter")
    expect(shelves.locator(".toast")).to_contain_text("There is a collection of that name already.")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_value("SHELF B")
    border = "field => getComputedStyle(field).borderColor"
    assert field.evaluate(border) != shelves.get_by_label("Name of “Shelf c”").evaluate(border)
    shelves.wait_for_timeout(500)
    expect(shelves.locator(".toast")).to_have_count(1)
    field.press("Escape")
    expect(field).to_have_value("Shelf a")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    field.fill("Shelf z")
    shelves.keyboard.press("Enter")
    expect(button(shelves, "Shelf z")).to_be_visible()


def test_another_is_made_at_once_after_one(shelves: Page) -> None:
    shelves.get_by_label("A new collection").fill("Shelf z")
    shelves.keyboard.press("Enter")
    expect(button(shelves, "Shelf z")).to_be_visible()
    expect(shelves.get_by_label("A new collection")).to_be_focused()
    expect(shelves.get_by_label("A new collection")).to_have_value("")
