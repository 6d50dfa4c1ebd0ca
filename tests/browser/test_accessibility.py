"""Every page as axe-core sees it, in both colour schemes."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.conftest import HERE, OpenWindows
from tests.browser.windows import Scheme, Windows
from tests.fakes.openai_server import OpenAIServer
from tests.running_studio import Studio, json_of
from tests.waiting import eventually

AXE = (HERE / "vendor" / "axe.min.js").read_text("utf-8")
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
COLOUR_RULES = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
"""In the dark a page is the same but for its colours: all else is looked at by light."""


def still_page(windows: Windows, scheme: Scheme, **options: Any) -> Page:
    """Return a page in which nothing fades, for what is half transparent has no contrast, and axe-core may run."""
    return windows.context(color_scheme=scheme, reduced_motion="reduce", bypass_csp=True, **options).new_page()


def findings(page: Page) -> list[str]:
    """Return what axe-core finds on a page, one line each."""
    page.evaluate(AXE)
    dark = page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    found: Any = page.evaluate("rules => axe.run(document, rules)", COLOUR_RULES if dark else RULES)
    return [
        f"{page.url} {violation['id']} ({violation['impact']}): {node['html'][:300]} {node['failureSummary'][:300]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@pytest.fixture(scope="module")
def places(studio: Studio, api: requests.Session, openai_server: OpenAIServer) -> dict[str, str]:
    """Addresses of every kind of page, by name; there are pictures, and one that failed."""
    openai_server.reset()
    drawn = _job(studio, api, {"prompt": "a calm lake", "provider": "local", "n": 2})
    openai_server.script("400_moderation")
    failed = _job(studio, api, {"prompt": "a lighthouse", "provider": "openai"})
    return {
        "generator": "/generate",
        "jobs": "/jobs",
        "no such jobs": "/jobs?status=partial",
        "job": f"/jobs/{drawn['id']}",
        "failed job": f"/jobs/{failed['id']}",
        "library": "/library",
        "picture": f"/library/{drawn['images'][0]['id']}",
        "tokens": "/settings/tokens",
        "reference of the API": "/api/v1/docs",
        "nothing": "/no-such-page",
    }


def _job(studio: Studio, api: requests.Session, wish: dict[str, object]) -> Any:
    made = json_of(api.post(f"{studio.url}/api/v1/images/generate", json=wish))

    def ended() -> Any:
        job = json_of(api.get(f"{studio.url}/api/v1/jobs/{made['id']}"))
        return job if job["finished_at"] else None

    return eventually(ended)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_on_any_page_behind_the_sign_in(
    scheme: Scheme, places: dict[str, str], windows: Windows
) -> None:
    windows.expect("no-such-page")
    page = still_page(windows, scheme)
    found = []
    for path in places.values():
        page.goto(path)
        found += findings(page)
    assert found == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_in_what_opens_over_a_page(
    scheme: Scheme, places: dict[str, str], windows: Windows
) -> None:
    page = still_page(windows, scheme)
    page.goto(places["job"])
    page.get_by_role("link", name="Open picture 1 of 2").click()
    lightbox = page.get_by_role("dialog", name="Picture")
    expect(lightbox).to_be_visible()
    found = findings(page)
    page.keyboard.press("i")
    expect(lightbox.locator(".facts-panel")).to_be_visible()
    found += findings(page)
    page.keyboard.press("Escape")
    page.goto(places["generator"])
    for opener in ("button.account", "#model"):
        page.locator(opener).click()
        found += findings(page)
        page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    assert found + findings(page) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_at_the_door(scheme: Scheme, windows: Windows) -> None:
    windows.expect("/sign-in: .* 422")
    page = still_page(windows, scheme, anonymous=True)
    page.goto("/sign-in")
    found = findings(page)
    page.get_by_label("E-mail").fill("nobody@example.org")
    page.get_by_label("Password").fill("wrong wrong wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert found + findings(page) == []


def test_axe_finds_nothing_on_the_set_up_page(site: str, windows_on: OpenWindows) -> None:
    windows = windows_on(site)
    found = []
    for scheme in SCHEMES:
        page = still_page(windows, scheme)
        page.goto("/")
        assert page.url.endswith("/setup")
        found += findings(page)
    assert found == []
