"""Windows of a real browser whose every complaint is noted: script errors, failed loads, broken content rules."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, StorageState, expect, sync_playwright

PATIENCE = 40_000
"""Milliseconds that something may take on a busy machine before it counts as never."""

EMAIL, PASSWORD = "owner@example.org", "a long enough password"

_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Runs before any script of a page, outside of its content rules.
_TELL_OF_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`content rules: ${event.effectiveDirective} forbids ${event.blockedURI || event.sample}`));
"""


def executable() -> str:
    """Return the path of the Chromium to drive: CHROMIUM, else an installed one."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "no Chromium found: name one with CHROMIUM, or let `make test` install it"
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a Chromium without a screen."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Windows:
    """Opens windows on one studio, and knows what went wrong in them."""

    browser: Browser
    url: str
    signed_in: StorageState | None = None
    problems: list[str] = field(default_factory=list)
    expected: list[re.Pattern[str]] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """Let complaints that match `pattern` pass: the test brings them about."""
        self.expected.append(re.compile(pattern))

    def context(self, *, anonymous: bool = False, **options: Any) -> BrowserContext:
        """Return a fresh browser profile, signed in unless `anonymous`; `options` are Playwright's."""
        if not anonymous and self.signed_in is not None:
            options["storage_state"] = self.signed_in
        context = self.browser.new_context(base_url=self.url, **options)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(_TELL_OF_VIOLATIONS)
        context.on("page", self._watch)
        self._contexts.append(context)
        return context

    def open(self, path: str = "/", **options: Any) -> Page:
        """Return a page of a fresh profile, at `path`."""
        page = self.context(**options).new_page()
        page.goto(path)
        return page

    def close(self) -> None:
        """Close all windows."""
        for context in self._contexts:
            context.close()

    def unexpected(self) -> list[str]:
        """Return the complaints that no test has asked for."""
        return [text for text in self.problems if not any(known.search(text) for known in self.expected)]

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"error in {page.url}: {error}"))
        page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type} at {message.location.get('url', '')}: {message.text}")


def sign_in(page: Page, email: str = EMAIL, password: str = PASSWORD) -> None:
    """Fill in the form of the sign-in page, and wait for the studio."""
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).not_to_have_url(re.compile("/sign-in"))


Scheme = Literal["light", "dark"]
