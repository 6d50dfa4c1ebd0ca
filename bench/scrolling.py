"""Five thousand pictures scrolled through in a real browser: its longest task, what it holds at the end."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from bench.table import Baseline, Row
from imagegen.services.library.paging import PAGE
from tests.browser.windows import EMAIL, PASSWORD, chromium, sign_in
from tests.running_studio import Studio

PICTURES = 5_000
LONGEST_TASK_MS = 100.0
MOST_HEAP_MB = 60.0

_OBSERVE = """
window.longest = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
}).observe({ type: "longtask", buffered: false });
"""
_MORE = "() => document.querySelector('.grid__more')?.getAttribute('hx-get')"
_DOWN = "() => window.scrollTo(0, document.documentElement.scrollHeight)"
_UP = """() => new Promise((done) => {
  const step = () => {
    scrollBy(0, -400);
    if (scrollY > 0) requestAnimationFrame(step); else done();
  };
  step();
})"""


def run() -> list[Row]:
    """Return rows for the way down, picture by picture as they come, and for the way up again."""
    environment = {"STUDIO_ADMIN_EMAIL": EMAIL, "STUDIO_ADMIN_PASSWORD": PASSWORD}
    with tempfile.TemporaryDirectory() as name, Studio(Path(name), **environment) as studio, chromium() as browser:
        studio.flask("seed", "library", "--images", str(PICTURES))
        return _scrolled(browser, studio.url)


def _scrolled(browser: Browser, url: str) -> list[Row]:
    page = browser.new_context(base_url=url, viewport={"width": 1440, "height": 900}).new_page()
    page.goto("/sign-in")
    sign_in(page)
    page.goto("/library")
    page.evaluate(_OBSERVE)
    first = _heap(page)
    pages = 1
    while following := page.evaluate(_MORE):
        page.evaluate(_DOWN)
        page.wait_for_function(f"address => ({_MORE})() !== address", arg=following)
        pages += 1
    assert pages * PAGE > PICTURES * 0.9, f"only {pages} pages came"
    down = page.evaluate("() => window.longest")
    page.evaluate("() => { window.longest = 0; }")
    page.evaluate(_UP)
    up = page.evaluate("() => window.longest")
    return [
        Row(f"{PICTURES:,} pictures: longest task while they come", down, "ms", limit=LONGEST_TASK_MS),
        Row(f"{PICTURES:,} pictures: longest task on the way up again", up, "ms", limit=LONGEST_TASK_MS),
        Row("heap of the page at the end", _heap(page), "MB", Baseline("its first 40 pictures", first), MOST_HEAP_MB),
    ]


def _heap(page: Page) -> float:
    """Return how many megabytes of script objects the page holds after a collection of garbage."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    return used / 1e6
