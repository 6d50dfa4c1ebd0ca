"""From an empty data folder to a picture: with a browser, with one that runs no scripts, and by API."""

from __future__ import annotations

import io
import re

import requests
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenWindows
from tests.browser.windows import EMAIL, PASSWORD, sign_in
from tests.running_studio import Studio, json_of
from tests.waiting import eventually

PROMPT = "layered paper mountains at dusk, violet and amber"


def set_up(page: Page, code: str) -> None:
    page.get_by_label("Set-up code").fill(code)
    page.get_by_label("Organisation").fill("Ridge & Vale")
    page.get_by_label("Your name").fill("Ann Owner")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Open the studio").click()


def boxes(page: Page) -> list[dict[str, float]]:
    return [tile.bounding_box() or {} for tile in page.locator("#jobs .tile").all()]


def test_a_stranger_sets_the_studio_up_and_sees_pictures_come_without_a_reload(
    fresh_studio: Studio, windows_on: OpenWindows
) -> None:
    windows = windows_on(fresh_studio.url)
    windows.expect(r"/setup: .* 422")
    page = windows.open("/")
    assert page.url.endswith("/setup")
    set_up(page, "wrong-code")
    expect(page.locator(".field__error")).to_be_visible()
    set_up(page, fresh_studio.setup_code)
    page.wait_for_url("**/generate")
    expect(page.locator("#first")).to_be_visible()

    visited: list[str] = []
    page.on("request", lambda sent: sent.is_navigation_request() and visited.append(sent.url))
    page.get_by_label("Describe the picture").fill(PROMPT)
    page.locator("#generate").click()
    tiles = page.locator("#jobs .tile")
    expect(tiles).to_have_count(4)
    shaped = boxes(page)
    expect(page.locator("#jobs .tile[data-state=succeeded] img.tile__picture")).to_have_count(4)
    expect(page.locator("#first")).to_have_count(0)
    expect(page.locator(".job__status")).to_contain_text("4 pictures")
    expect(page.locator("#jobs-ring")).to_be_hidden()
    assert boxes(page) == shaped
    assert all(abs(box["width"] / box["height"] - 4 / 5) < 0.01 for box in shaped)
    assert visited == []

    look_closely(page)
    page.get_by_role("link", name="Library", exact=True).click()
    expect(page.locator(".thumb")).to_have_count(4)
    expect(page.locator(".thumb [aria-pressed=true]")).to_have_count(1)
    assert page.request.get("/setup").status == 404


def look_closely(page: Page) -> None:
    """Open the first picture large, star it, save it, and close it again."""
    page.get_by_role("link", name="Open picture 1 of 4").click()
    lightbox = page.get_by_role("dialog", name="Picture")
    expect(lightbox.locator("[data-large]")).to_have_attribute("src", re.compile(r"/media/.*/file"))
    expect(lightbox.locator("[data-large]")).to_be_in_viewport(ratio=1)
    expect(lightbox.locator(".filmstrip img")).to_have_count(4)
    star = lightbox.get_by_role("button", name="Star")
    with page.expect_response("**/star"):
        star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as saving:
        lightbox.get_by_role("link", name="Download").click()
    with Image.open(saving.value.path()) as picture:
        assert picture.width * 5 == picture.height * 4
        assert picture.format is not None
        assert saving.value.suggested_filename.endswith(f".{picture.format.lower()}")
    page.keyboard.press("Escape")
    expect(lightbox).to_be_hidden()
    expect(page.locator("#jobs .tile").first.get_by_role("button", name="Star")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_without_scripts_links_and_reloads_lead_from_set_up_to_the_picture(
    fresh_studio: Studio, windows_on: OpenWindows
) -> None:
    windows = windows_on(fresh_studio.url)
    windows.expect(r"/sign-in: .* 422")
    page = windows.open("/", java_script_enabled=False)
    set_up(page, fresh_studio.setup_code)
    page.wait_for_url("**/generate")
    page.get_by_label("Describe the picture").fill(PROMPT)
    page.locator("#generate").click()
    page.wait_for_url("**/jobs/*")
    # The page loads itself anew until everything is there.
    expect(page.locator(".tile[data-state=succeeded]")).to_have_count(4)
    page.get_by_role("link", name="Open picture 2 of 4").click()
    page.wait_for_url("**/library/*")
    expect(page.locator(".filmstrip a").nth(1)).to_have_attribute("aria-current", "page")
    shown = page.locator("figure img")
    expect(shown).to_have_js_property("complete", True)
    assert page.request.get(shown.get_attribute("src") or "").headers["content-type"] == "image/webp"
    page.get_by_role("link", name="Library", exact=True).first.click()
    expect(page.locator(".thumb")).to_have_count(4)

    page.locator("button.account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You are signed out.")
    page.goto("/library")
    assert "/sign-in" in page.url
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.goto("/")
    sign_in(page)


def test_the_same_by_api_with_a_token_from_the_command_line(studio: Studio, api: requests.Session) -> None:
    job = json_of(api.post(f"{studio.url}/api/v1/images/generate", json={"prompt": PROMPT, "provider": "local"}))

    def finished() -> dict[str, object] | None:
        now = json_of(api.get(f"{studio.url}/api/v1/images/generate/status/{job['id']}"))
        return now if now["finished_at"] else None

    done = eventually(finished)
    assert done is not None and done["status"] == "succeeded", done
    (image,) = json_of(api.get(f"{studio.url}/api/v1/jobs/{job['id']}"))["images"]
    answer = api.get(studio.url + image["url"])
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert answer.headers["Content-Type"] == Image.MIME[picture.format or ""] == image["mime_type"]
        assert picture.size == (image["width"], image["height"])
