"""The generator as a person uses it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

MODEL = "gpt-image-2"


def open_generator(page: Page, *, variants: int = 1, model: str = f"openai:{MODEL}") -> None:
    """Go to the generator, set to a model and a number of variants."""
    page.goto(f"/generate?model={model}&variants={variants}")


def generate(page: Page, prompt: str = "a lighthouse in fog") -> Locator:
    """Ask for pictures and return their job, once it is in the feed."""
    newest = page.locator("#jobs .job").first
    before = newest.get_attribute("id") if newest.count() else None
    page.get_by_label("Describe the picture").fill(prompt)
    with page.expect_response(lambda answer: answer.request.method == "POST" and answer.url.endswith("/generate")):
        page.locator("#generate").click()
    # Another test may have asked for the same: the answer has come, its card is drawn a moment later.
    expect(newest).not_to_have_id(before or "")
    expect(newest.get_by_role("heading")).to_have_text(prompt)
    return page.locator(f"#{newest.get_attribute('id')}")


def id_of(job: Locator) -> str:
    """Return the id of a job in the feed."""
    return (job.get_attribute("id") or "").removeprefix("job-")


def expect_all_drawn(job: Locator, count: int, within: float = 40) -> None:
    """Wait until a job shows exactly `count` tiles, each with its picture, and says so in its line."""
    expect(job.locator(".tile[data-state=succeeded] img.tile__picture")).to_have_count(count, timeout=1000 * within)
    expect(job.locator(".tile")).to_have_count(count)
    expect(job.locator(".job__status")).to_contain_text(f"{count} picture")
    ids = [tile.get_attribute("id") for tile in job.locator(".tile").all()]
    assert len(set(ids)) == count
