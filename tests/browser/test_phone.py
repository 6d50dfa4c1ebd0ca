"""Pages on a phone: what comes first on them, and that they are never wider than it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.windows import Windows

PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}
ADDRESSES = (
    *("/generate", "/jobs", "/library", "/library?filter=trash", "/library/shelves", "/usage"),
    *("/admin/queue", "/admin/providers", "/admin/cleaning", "/admin/installation/providers"),
)
WIDER = "() => document.documentElement.scrollWidth - innerWidth"


def test_the_jobs_come_first_and_their_filters_behind_a_button_that_counts_them(windows: Windows) -> None:
    page = windows.open("/jobs", **PHONE)
    sheet = page.locator("#jobs-filters")
    expect(sheet).to_be_hidden()
    opener = page.get_by_role("button", name="Filter")
    box = opener.bounding_box()
    assert box and box["y"] + box["height"] < 200
    opener.tap()
    page.get_by_label("Provider").select_option("local")
    expect(page).to_have_url("/jobs?provider=local")
    page.get_by_label("From", exact=True).fill("2026-01-01")
    expect(opener).to_have_text("Filter2")
    sheet.get_by_role("button", name="Close").tap()
    expect(sheet).to_be_hidden()


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_page_is_wider_than_a_phone(windows: Windows, address: str) -> None:
    page = windows.open(address, **PHONE)
    assert page.evaluate(WIDER) <= 0
