"""The library as a person uses it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import requests
from PIL import Image as Pixels
from playwright.sync_api import Locator, Page, expect

from tests.running_studio import Studio, json_of

# What a form that wants a picture has.
_ADD_CHOOSER = """() => document.querySelector("main").insertAdjacentHTML("afterbegin",
  '<button id="chooser" type="button" data-pick-image="#chosen" data-pick-url="/library/picker">Choose</button>'
  + '<input id="chosen" aria-label="Chosen">')"""


def tiles(page: Page) -> Locator:
    """Return the pictures of the grid, in order."""
    return page.locator("#grid .thumb")


def openers(page: Page) -> Locator:
    """Return the links of the pictures of the grid, which take the focus, in order."""
    return page.locator("#grid .thumb .tile__open")


@contextmanager
def out_of_sight(page: Page) -> Iterator[None]:
    """Have the grid far down the page within; what holds the focus must not be in it."""
    page.locator("#found").evaluate(
        """found => {
          found.before(Object.assign(document.createElement("p"), {id: "spacer", innerHTML: "<br>".repeat(600)}));
          scrollTo(0, 0);
        }"""
    )
    expect(openers(page)).to_have_count(0)
    yield
    page.locator("#spacer").evaluate("spacer => spacer.remove()")


def lines(page: Page, state: str) -> Locator:
    """Return the lines of the uploads that stand like this: added, known, refused, broken, canceled, …"""
    return page.locator(f".tray__line[data-state={state}]")


def says(page: Page, text: str) -> None:
    """Wait for a message at the foot of the page."""
    expect(page.locator(".toast", has_text=text)).to_be_visible()


def picture(folder: Path, name: str, colour: str | tuple[int, ...], size: tuple[int, int] = (640, 480)) -> Path:
    """Write a picture of one colour."""
    path = folder / name
    Pixels.new("RGB", size, colour).save(path)
    return path


def bring(studio: Studio, api: requests.Session, paths: Iterable[Path]) -> list[str]:
    """Put pictures into the library by API and return their ids, in order."""

    def put(path: Path) -> str:
        with path.open("rb") as file:
            return str(json_of(api.post(f"{studio.url}/api/v1/images/upload", files={"file": file}))["id"])

    with ThreadPoolExecutor(max_workers=4) as several:
        return list(several.map(put, paths))


def open_chooser(page: Page) -> Locator:
    """Add what a form that wants a picture has to a page, and return the dialog that opens from it."""
    page.evaluate(_ADD_CHOOSER)
    page.locator("#chooser").click()
    dialog = page.get_by_role("dialog", name="Choose a picture")
    expect(dialog).to_be_visible()
    return dialog
