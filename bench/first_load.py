"""What a first visit to the generator costs a browser: bytes, requests, the largest paint, how much moves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from bench.table import Baseline, Row, median
from tests.browser.windows import EMAIL, PASSWORD, chromium, sign_in
from tests.running_studio import Studio

ROUNDS = 5
MOST_KILOBYTES = 150.0
MOST_REQUESTS = 20.0
MOST_SHIFT = 0.02
LONGEST_PAINT_MS = 1000.0

_OBSERVE = """
window.measured = { paint: 0, shift: 0 };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.measured.paint = entry.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.measured.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def run() -> list[Row]:
    """Return rows for the generator's first load, the paint against that of the bare sign-in page."""
    with tempfile.TemporaryDirectory() as name:
        environment = {"STUDIO_ADMIN_EMAIL": EMAIL, "STUDIO_ADMIN_PASSWORD": PASSWORD}
        with Studio(Path(name), **environment) as studio, chromium() as browser:
            door = [_visit(browser, studio.url, "/sign-in", signed_in=False) for _ in range(ROUNDS)]
            loads = [_visit(browser, studio.url, "/generate", signed_in=True) for _ in range(ROUNDS)]
    sign_in_paint = Baseline("the sign-in page", median([visit["paint"] for visit in door]))
    return [
        Row("generator: beside pictures", loads[0]["kilobytes"], "kB", limit=MOST_KILOBYTES),
        Row("generator: requests", loads[0]["requests"], "", limit=MOST_REQUESTS),
        Row("generator: largest paint", _median(loads, "paint"), "ms", sign_in_paint, LONGEST_PAINT_MS),
        Row("generator: layout shift", max(visit["shift"] for visit in loads), "", limit=MOST_SHIFT),
    ]


def _median(visits: list[dict[str, float]], what: str) -> float:
    return median([visit[what] for visit in visits])


def _visit(browser: Browser, url: str, path: str, *, signed_in: bool) -> dict[str, float]:
    """Load `path` with an empty cache, and return what was measured."""
    context = browser.new_context(base_url=url, viewport={"width": 1440, "height": 900})
    try:
        state: Any = None
        if signed_in:
            first = context.new_page()
            first.goto("/sign-in")
            sign_in(first)
            state = context.storage_state()
            context.close()
            context = browser.new_context(base_url=url, viewport={"width": 1440, "height": 900}, storage_state=state)
        return _measured(context.new_page(), path)
    finally:
        context.close()


def _measured(page: Page, path: str) -> dict[str, float]:
    page.add_init_script(_OBSERVE)
    sizes: list[tuple[str, int]] = []
    page.on("requestfinished", lambda request: sizes.append((request.resource_type, _bytes_of(request))))
    page.goto(path, wait_until="load")
    page.wait_for_timeout(700)
    measured: dict[str, float] = page.evaluate("() => window.measured")
    beside_pictures = sum(size for kind, size in sizes if kind != "image")
    return {**measured, "kilobytes": beside_pictures / 1000, "requests": float(len(sizes))}


def _bytes_of(request: Any) -> int:
    sizes = request.sizes()
    return int(sizes["responseBodySize"] + sizes["responseHeadersSize"])
