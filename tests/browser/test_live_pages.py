"""Pages that stay true while pictures come: over a cut line, without a stream, in two tabs, opened late."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psutil
import pytest
import requests
from playwright.sync_api import StorageState, expect

from tests.browser.conftest import HELD, OpenWindows
from tests.browser.generator import MODEL, expect_all_drawn, generate, id_of, open_generator
from tests.browser.windows import Windows
from tests.fakes.openai_server import OpenAIServer
from tests.fakes.tcp_proxy import TcpProxy, Trouble
from tests.running_studio import Studio, json_of
from tests.waiting import eventually

STREAM = b"GET /jobs/stream"
POLL = b"GET /jobs/0"
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


def test_a_stream_cut_in_the_middle_goes_on_without_a_gap(
    far_windows: Windows, line: TcpProxy, openai: OpenAIServer
) -> None:
    openai.script("none", HELD, HELD, HELD)
    page = far_windows.context().new_page()
    open_generator(page, variants=4)
    tiles = generate(page)
    expect(tiles.locator(".tile[data-state=succeeded]")).to_have_count(1)
    assert line.cut(STREAM) == 1
    openai.release()
    expect_all_drawn(tiles, 4)
    first, *later = line.begun(STREAM)
    assert b"last-event-id:" not in first.lower()
    assert later and all(re.search(rb"\r\nlast-event-id: \d+\r\n", head.lower()) for head in later)
    assert not line.begun(POLL)


def test_a_stream_cut_inside_an_event_shows_every_picture_once(
    far_windows: Windows, line: TcpProxy, openai: OpenAIServer
) -> None:
    openai.script(HELD, HELD)
    # Wherever that is, it is inside an event or between two that belong together.
    line.trouble = Trouble(only=STREAM, cut_after=3000, reset=True)
    page = far_windows.context().new_page()
    open_generator(page, variants=2)
    tiles = generate(page)
    openai.release()
    eventually(lambda: len(line.begun(STREAM)) > 1)
    line.trouble = Trouble()
    expect_all_drawn(tiles, 2)


def test_where_streams_are_refused_the_page_asks_until_everything_is_there(
    far_windows: Windows, line: TcpProxy, openai: OpenAIServer
) -> None:
    openai.script(HELD, HELD)
    line.trouble = Trouble(only=STREAM, cut_after=0, reset=True)
    page = far_windows.context().new_page()
    open_generator(page, variants=2)
    job = generate(page)
    eventually(lambda: line.begun(POLL))
    openai.release()
    expect_all_drawn(job, 2)
    expect(page.locator("[data-poll]")).to_have_count(0)


@contextmanager
def stopped(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """Have `processes` do nothing as long as the block lasts: nothing that they count runs out meanwhile."""
    still = list(processes)
    for process in still:
        process.suspend()
    try:
        yield
    finally:
        for process in still:
            process.resume()


def test_two_tabs_agree(windows: Windows, studio: Studio, openai: OpenAIServer) -> None:
    context = windows.context()
    here, there = context.new_page(), context.new_page()
    open_generator(here, variants=2)
    # Not by holding the provider's answers: on a busy machine it is given up before the second page is there.
    with stopped(studio.processes("imagegen-worker")):
        job = generate(here)
        there.goto(f"/jobs/{id_of(job)}")
        for tab in (here, there):
            expect(tab.locator(".tile[data-state=waiting]")).to_have_count(2)
    expect_all_drawn(job, 2)
    expect(there.locator(".tile[data-state=succeeded]")).to_have_count(2)
    star = job.locator(".tile").first.get_by_role("button", name="Star")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    there.reload()
    expect(there.locator(".tile").first.get_by_role("button", name="Star")).to_have_attribute("aria-pressed", "true")


def test_a_page_opened_late_shows_at_once_how_things_stand(windows: Windows, openai: OpenAIServer) -> None:
    openai.script("none", HELD)
    context = windows.context()
    page = context.new_page()
    open_generator(page, variants=2)
    job = generate(page)
    expect(job.locator(".tile[data-state=succeeded]")).to_have_count(1)
    path = f"/jobs/{id_of(job)}"
    states = re.findall(r'data-state="(\w+)"', context.request.get(path).text())
    assert sorted(states) == ["running", "succeeded"]
    late = context.new_page()
    late.goto(path)
    openai.release()
    expect(late.locator(".tile[data-state=succeeded]")).to_have_count(2)


def test_a_double_click_makes_one_job(windows: Windows, openai: OpenAIServer) -> None:
    openai.script(latency=0.2)
    page = windows.context().new_page()
    open_generator(page)
    page.get_by_label("Describe the picture").fill("once is enough")
    page.locator("#generate").dblclick()
    job = page.locator("#jobs .job").first
    expect(job.get_by_role("heading")).to_have_text("once is enough")
    expect_all_drawn(page.locator(f"#{job.get_attribute('id')}"), 1)
    assert page.locator("#jobs").get_by_role("heading", name="once is enough").count() == 1
    assert len(openai.requests) == 1


def test_a_picture_asked_for_by_api_comes_into_the_open_page(
    windows: Windows, studio: Studio, api: requests.Session, openai: OpenAIServer
) -> None:
    openai.script(HELD)
    wish = {"prompt": "from a program", "provider": "openai", "model": MODEL}
    job = json_of(api.post(f"{studio.url}/api/v1/images/generate", json=wish))
    page = windows.open(f"/jobs/{job['id']}")
    expect(page.locator("#jobs-ring")).to_be_visible()
    openai.release()
    expect(page.locator(".tile[data-state=succeeded] img.tile__picture")).to_have_count(1)
    expect(page.locator("#jobs-ring")).to_be_hidden()
