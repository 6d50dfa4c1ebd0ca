"""No piece of an open page is left behind, whichever of its streams and answers comes first, and however often."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page, StorageState, expect

from imagegen.web.sse import MOST_STREAMS_A_PERSON
from tests.browser.conftest import HELD, OpenWindows
from tests.browser.generator import expect_all_drawn, generate, id_of, open_generator
from tests.browser.windows import Windows
from tests.fakes.openai_server import OpenAIServer
from tests.fakes.tcp_proxy import TcpProxy, Trouble
from tests.running_studio import Studio
from tests.waiting import eventually

TABS = 7
LINE_LOST = r"net::ERR_|/jobs/stream"


@pytest.fixture
def line(studio: Studio) -> Iterator[TcpProxy]:
    """A line to the shared studio that goes wrong on demand."""
    with TcpProxy(("127.0.0.1", studio.port)) as line:
        yield line


@pytest.fixture
def far_windows(windows_on: OpenWindows, line: TcpProxy, signed_in: StorageState) -> Windows:
    """Windows of the owner at the far end of the line."""
    windows = windows_on(line.url, signed_in)
    windows.expect(LINE_LOST)
    return windows


def hide(page: Page, hidden: bool = True) -> None:
    """Put a tab behind another one, or before it: a browser without a screen shows all of them."""
    page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_picture_that_is_there_before_the_answer_that_brings_its_card_is_shown_in_it(
    far_windows: Windows, line: TcpProxy, openai: OpenAIServer
) -> None:
    page = far_windows.context().new_page()
    open_generator(page)
    with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        expect_all_drawn(generate(page, "the first"), 1)  # who draws is awake from here on
    # The answer takes two seconds, the picture does not, and the stream tells of it at once.
    line.trouble = Trouble(only=b"POST /generate ", drip=(len(answer.value.body()) // 10, 0.2))

    job = generate(page, "the second")

    assert len(openai.requests) == 2, "the picture was asked for before the card came"
    expect_all_drawn(job, 1)


def test_a_card_looks_ended_once_its_job_has(windows: Windows, openai: OpenAIServer) -> None:
    openai.script(HELD)
    page = windows.context(has_touch=False).new_page()
    open_generator(page)
    job = generate(page)
    openai.release()
    expect_all_drawn(job, 1)
    page.mouse.move(1, 1)
    page.evaluate("document.activeElement?.blur()")

    expect(job.locator("[data-poll]")).to_have_count(0)
    expect(job.locator(".tile__foot")).to_have_css("opacity", "0")


def test_seven_tabs_all_work_for_those_behind_hold_no_line(windows: Windows, openai: OpenAIServer) -> None:
    context = windows.context()
    tabs: list[Page] = []
    for _ in range(TABS):
        for behind in tabs:
            hide(behind)
        tabs.append(context.new_page())
        open_generator(tabs[-1])
    job = generate(tabs[-1])
    expect_all_drawn(job, 1)

    for tab in tabs[:-1]:
        hide(tabs[-1])
        hide(tab, hidden=False)
        expect(tab.locator("#jobs-ring")).to_be_hidden()
        hide(tab)
    tabs[0].reload()
    expect_all_drawn(tabs[0].locator(f"#job-{id_of(job)}"), 1)


def test_a_person_with_too_many_streams_asks_instead_and_sees_the_end(
    windows: Windows, studio: Studio, signed_in: StorageState, openai: OpenAIServer
) -> None:
    cookies = {cookie["name"]: cookie["value"] for cookie in signed_in["cookies"]}
    openai.script(HELD)
    streams = [
        requests.get(f"{studio.url}/jobs/stream", cookies=cookies, stream=True, timeout=60)
        for _ in range(MOST_STREAMS_A_PERSON)
    ]
    try:
        page = windows.context().new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        open_generator(page)
        job = generate(page)
        eventually(lambda: page.wait_for_timeout(50) or any(f"/jobs/{id_of(job)}" in url for url in asked))
        openai.release()
        expect_all_drawn(job, 1)
    finally:
        for stream in streams:
            stream.close()


def test_without_scripts_a_double_click_and_a_refresh_make_one_job(windows: Windows, openai: OpenAIServer) -> None:
    openai.script(latency=0.2)
    page = windows.context(java_script_enabled=False).new_page()
    open_generator(page)
    page.get_by_label("Describe the picture").fill("once without scripts")
    page.locator("#generate").dblclick()
    # The second click's answer ends the first one's: whoever waits for a navigation may be told of that.
    expect(page).to_have_url(re.compile("/jobs/[0-9a-f-]{36}$"))
    page.reload()
    page.goto("/generate")

    expect(page.locator("#jobs").get_by_role("heading", name="once without scripts")).to_have_count(1)
    eventually(lambda: len(openai.requests) == 1)


def test_a_refresh_while_pictures_come_asks_for_nothing_again(windows: Windows, openai: OpenAIServer) -> None:
    openai.script(HELD, HELD)
    page = windows.context().new_page()
    open_generator(page, variants=2)
    job = generate(page)
    for _ in range(3):
        page.reload()
    openai.release()

    expect_all_drawn(job, 2)
    assert len(openai.requests) == 2
