"""The library as a person uses it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image as Pixels
from playwright.sync_api import Locator, Page, expect


def tiles(page: Page) -> Locator:
    """Return the pictures of the grid, in order."""
    return page.locator("#grid .thumb")


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
