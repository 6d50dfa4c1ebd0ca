"""One studio with a stand-in for OpenAI for all browser tests of a process, and windows that hear every complaint."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, StorageState

from imagegen.web.sse import hub
from tests.browser.windows import EMAIL, PASSWORD, Windows, chromium, sign_in
from tests.fakes.openai_server import OpenAIServer
from tests.running_studio import Studio
from tests.waiting import eventually
from tests.web.listening import serving

DEADLINE = 20
"""Seconds after which the studio gives a provider up here."""

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what drives a browser, and keep it together, because it shares a studio."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A running Chromium."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def openai_server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def openai(studio: Studio, openai_server: OpenAIServer) -> OpenAIServer:
    """The stand-in for OpenAI that the shared studio calls, with nothing ordered, nothing seen and nobody to come."""
    openai_server.reset()
    eventually(lambda: not under_way(studio))
    openai_server.reset()
    return openai_server


def under_way(studio: Studio) -> int:
    """Return how many pictures an earlier test has left to be drawn: they would take what this one orders."""
    with closing(sqlite3.connect(studio.data / "studio.db", timeout=10)) as database:
        found = database.execute("SELECT count(*) FROM shots WHERE finished_at IS NULL AND provider = 'openai'")
        return int(found.fetchone()[0])


HELD = {"kind": "none", "hold": True}
"""The order to answer a request only when `release()` is called."""


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, openai_server: OpenAIServer) -> Iterator[Studio]:
    """A studio with an owner."""
    studio = Studio(
        tmp_path_factory.mktemp("studio"),
        STUDIO_ADMIN_EMAIL=EMAIL,
        STUDIO_ADMIN_PASSWORD=PASSWORD,
        OPENAI_API_KEY=openai_server.key,
        OPENAI_BASE_URL=openai_server.base_url,
        PROVIDER_TIMEOUT_SECONDS=str(DEADLINE),
    )
    with studio:
        yield studio
        print(studio.log())


def forgive(studio: Studio) -> None:
    """Let the studio forget what it holds against a provider that failed, as it would after a while."""
    with closing(sqlite3.connect(studio.data / "studio.db", timeout=10)) as database, database:
        database.execute("DELETE FROM provider_states")


@pytest.fixture
def fresh_studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio on an empty data folder, as after a download: nobody is in it, and no key."""
    with Studio(tmp_path) as studio:
        yield studio
        print(studio.log())


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    """The address of an app within the test's own process, empty at first: for pages that need no whole studio."""
    with serving(app) as server:
        yield f"http://127.0.0.1:{server.port}"
        hub().close()


@pytest.fixture(scope="session")
def signed_in(studio: Studio, browser: Browser) -> StorageState:
    """The cookies of the owner."""
    context = browser.new_context(base_url=studio.url)
    page = context.new_page()
    page.goto("/sign-in")
    sign_in(page)
    state = context.storage_state()
    context.close()
    return state


OpenWindows = Callable[..., Windows]


@pytest.fixture
def windows_on(browser: Browser) -> Iterator[OpenWindows]:
    """Make `Windows` on an address; a complaint in any of them that was not expected fails the test."""
    opened: list[Windows] = []

    def make(url: str, signed_in: StorageState | None = None) -> Windows:
        opened.append(Windows(browser, url, signed_in))
        return opened[-1]

    yield make
    for windows in opened:
        windows.close()
    assert [text for windows in opened for text in windows.unexpected()] == []


@pytest.fixture
def windows(windows_on: OpenWindows, studio: Studio, signed_in: StorageState) -> Windows:
    """Windows of the owner on the shared studio."""
    return windows_on(studio.url, signed_in)


@pytest.fixture(scope="session")
def api(studio: Studio) -> requests.Session:
    """The shared studio's API with the owner's token."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {studio.token(EMAIL)}"
    return session
