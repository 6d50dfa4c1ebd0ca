"""A paid provider as a person sees it: pictures with their price, and failures in sentences."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from tests.browser.conftest import DEADLINE, forgive
from tests.browser.generator import MODEL, expect_all_drawn, generate, id_of, open_generator
from tests.browser.windows import Windows
from tests.fakes.openai_server import OpenAIServer
from tests.running_studio import Studio, json_of
from tests.waiting import eventually

NEVER = 3600

FAILURES: dict[str, tuple[list[dict[str, Any]], str, str, str]] = {
    "no answer": ([{"kind": "hang"}], "unknown", "OpenAI did not answer in time", "It may have been billed."),
    "401": ([{"kind": "401"}], "failed", "OpenAI did not accept the key.", "check the provider's key"),
    "moderation": ([{"kind": "400_moderation"}], "refused", "content rules (violence, sexual)", "Change the words"),
    "broken base64": ([{"kind": "broken_base64"}], "failed", "OpenAI", "Try again, or choose another model."),
    "500": ([{"kind": "500"}] * 3, "failed", "OpenAI has a problem of its own.", "Try again in a few minutes"),
    "429": ([{"kind": "429", "retry_after": NEVER}], "failed", "no more requests for the moment", "Wait a little"),
}
"""By name: what the service does, request by request; then the state, words of the sentence and of the advice.

The last one has the studio leave the service alone for a while.
"""


def ask(studio: Studio, api: requests.Session, **wish: object) -> Any:
    wish = {"prompt": "a lighthouse in fog", "provider": "openai", "model": MODEL} | wish
    return json_of(api.post(f"{studio.url}/api/v1/images/generate", json=wish))


@pytest.fixture(scope="module")
def failed(studio: Studio, openai_server: OpenAIServer, api: requests.Session) -> dict[str, str]:
    """One job for each failure, all of them ended: their ids by the failure's name."""
    openai_server.reset()
    forgive(studio)
    jobs: dict[str, str] = {}

    def ended(name: str) -> bool:
        return bool(json_of(api.get(f"{studio.url}/api/v1/jobs/{jobs[name]}"))["finished_at"])

    for name, (faults, *_) in FAILURES.items():
        openai_server.script(*faults)
        jobs[name] = ask(studio, api)["id"]
        if faults[0]["kind"] == "hang":
            eventually(lambda: openai_server.most_busy)
        else:
            eventually(lambda name=name: ended(name))  # type: ignore[misc]
    eventually(lambda: all(map(ended, jobs)), within=DEADLINE + 40)
    forgive(studio)
    return jobs


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_says_what_happened_and_what_to_do(
    name: str, failed: dict[str, str], windows: Windows, studio: Studio, api: requests.Session
) -> None:
    _, state, sentence, advice = FAILURES[name]
    tile = windows.open(f"/jobs/{failed[name]}").locator(".tile")
    expect(tile).to_have_attribute("data-state", state)
    expect(tile.locator(".tile__sentence")).to_contain_text(sentence)
    expect(tile.locator(".tile__advice")).to_contain_text(advice)
    (shot,) = json_of(api.get(f"{studio.url}/api/v1/jobs/{failed[name]}"))["shots"]
    assert shot["status"] == state
    assert sentence in shot["error"]["message"]


def test_failures_leave_no_traceback_and_no_key_behind(
    failed: dict[str, str], studio: Studio, openai_server: OpenAIServer
) -> None:
    assert failed
    log = studio.log()
    assert "Traceback" not in log
    kept = [path for path in studio.data.rglob("*") if path.is_file()]
    assert openai_server.key not in log
    assert not [path for path in kept if openai_server.key.encode() in path.read_bytes()]


def test_a_picture_arrives_and_costs_the_price_table_times_the_usage(
    windows: Windows, studio: Studio, api: requests.Session, openai: OpenAIServer
) -> None:
    page = windows.context().new_page()
    open_generator(page, variants=2)
    newest = generate(page)
    expect_all_drawn(newest, 2)
    job = json_of(api.get(f"{studio.url}/api/v1/jobs/{id_of(newest)}"))
    assert [seen.complaint for seen in openai.requests] == [None, None]
    # Dollars for a million tokens, as OpenAI publishes them: text in, picture out.
    usages = [seen.usage for seen in openai.requests if seen.usage]
    owed = sum(Decimal(5) * u["input_tokens"] + Decimal(30) * u["output_tokens"] for u in usages) / 10**6
    assert Decimal(job["cost"]["actual"]) == owed > 0
    assert openai.bill == int(owed * 10**6)
    for tile in newest.locator(".tile__foot").all():
        expect(tile).to_contain_text(f"${owed / 2:.3f}")


def test_the_keyboard_alone_makes_and_opens_a_picture(windows: Windows, openai: OpenAIServer) -> None:
    openai.script(latency=0.3)
    page = windows.context().new_page()
    open_generator(page)
    press_tab_until(page, "#prompt")
    page.keyboard.type("a heron in the reeds")
    page.keyboard.press("Control+Enter")
    newest = page.locator("#jobs .job").first
    expect(newest.get_by_role("heading")).to_have_text("a heron in the reeds")
    expect_all_drawn(newest, 1)
    press_tab_until(page, "#jobs .tile__open")
    page.keyboard.press("Enter")
    lightbox = page.get_by_role("dialog", name="Picture")
    expect(lightbox).to_be_visible()
    page.keyboard.press("Escape")
    expect(lightbox).to_be_hidden()
    expect(page.locator("#jobs .tile__open").first).to_be_focused()


def press_tab_until(page: Any, selector: str) -> None:
    """Press Tab until the focus is in `selector`, as somebody without a mouse would."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return
    pytest.fail(f"Tab never reaches {selector}")
