"""An open page while the studio behind it is stopped, or loses a process without warning."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import HELD, OpenWindows
from tests.browser.generator import expect_all_drawn, generate, open_generator
from tests.browser.windows import EMAIL, PASSWORD, sign_in
from tests.fakes.openai_server import OpenAIServer
from tests.running_studio import Studio
from tests.waiting import eventually


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """A stand-in for OpenAI that nobody else calls."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def own_studio(tmp_path: Path, openai: OpenAIServer) -> Iterator[Studio]:
    """A studio with one worker that is missed soon after it dies."""
    studio = Studio(
        tmp_path,
        STUDIO_ADMIN_EMAIL=EMAIL,
        STUDIO_ADMIN_PASSWORD=PASSWORD,
        OPENAI_API_KEY=openai.key,
        OPENAI_BASE_URL=openai.base_url,
        WORKERS="1",
        LEASE_SECONDS="4",
        HEARTBEAT_SECONDS="1",
        SWEEP_SECONDS="1",
    )
    with studio:
        yield studio
        print(studio.log())


@pytest.fixture
def page(own_studio: Studio, windows_on: OpenWindows) -> Page:
    """The generator of that studio, its owner signed in."""
    windows = windows_on(own_studio.url)
    windows.expect(r"net::ERR_|/jobs/stream")
    page = windows.open("/sign-in")
    sign_in(page)
    return page


def drawing(openai: OpenAIServer, count: int) -> None:
    """Wait until the provider has that many requests in work."""
    eventually(lambda: openai.most_busy >= count)


def test_after_ctrl_c_nothing_is_left_and_the_call_under_way_is_not_forgotten(
    own_studio: Studio, page: Page, openai: OpenAIServer
) -> None:
    openai.script("hang")
    open_generator(page)
    job = generate(page)
    drawing(openai, 1)
    everybody = own_studio.processes()
    assert len(everybody) >= 6
    began = time.monotonic()
    assert own_studio.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 8
    assert not [left for left in everybody if left.is_running() and left.status() != psutil.STATUS_ZOMBIE]
    own_studio.start()
    # The page is the same one; it has come back by itself.
    expect(job.locator(".tile")).to_have_attribute("data-state", "unknown")
    expect(job.locator(".tile__advice")).to_contain_text("It may have been billed.")
    assert len(openai.requests) == 1


def test_a_killed_web_server_is_back_before_the_pictures_are(
    own_studio: Studio, page: Page, openai: OpenAIServer
) -> None:
    openai.script("none", HELD)
    open_generator(page, variants=2)
    job = generate(page)
    expect(job.locator(".tile[data-state=succeeded]")).to_have_count(1)
    for process in own_studio.processes("imagegen-web"):
        process.kill()
    page.goto("/library")
    expect(page.locator(".thumb")).to_have_count(1)
    page.go_back()
    openai.release()
    expect_all_drawn(page.locator("#jobs .job").first, 2)
    assert len(openai.requests) == 2


def test_a_killed_worker_leaves_no_picture_in_the_air(own_studio: Studio, page: Page, openai: OpenAIServer) -> None:
    openai.script("hang")
    open_generator(page)
    job = generate(page)
    drawing(openai, 1)
    before, workers = own_studio.children(), own_studio.processes("imagegen-worker")
    for process in workers:
        process.kill()
    eventually(lambda: len(own_studio.children() - before) == 1, within=5)
    expect(job.locator(".tile")).to_have_attribute("data-state", "unknown")
    # What was sent is never sent again by itself.
    assert len(openai.requests) == 1
    expect_all_drawn(generate(page, "after the fall"), 1)
