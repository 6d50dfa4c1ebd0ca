"""Bringing pictures in a real browser: picked, dropped, pasted; canceled, refused, broken off and brought again."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image as Pixels
from playwright.sync_api import Locator, Page, expect

from tests.browser.library import lines, open_chooser, picture, tiles
from tests.browser.test_accessibility import SCHEMES, findings, still_page
from tests.browser.windows import Scheme, Windows
from tests.running_studio import Studio, json_of

SLOW = 60_000
"""Bytes a second."""
REFUSALS = {
    "notes.png": "The file is not a picture in a supported format.",
    "small.png": "at least 400",
    "long.png": "The file is too large: 10 MB are the most.",
}

PUT_ON_CLIPBOARD = """async (data) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  await navigator.clipboard.write([new ClipboardItem({"image/png": new Blob([bytes], {type: "image/png"})})]);
}"""


@pytest.fixture
def library(windows: Windows) -> Page:
    return windows.open("/library")


def drop(page: Page, *paths: Path) -> None:
    """Drag files from outside over the page and let go of them there, as the browser itself sees it."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 400, "data": data})
    expect(page.locator("[data-drop]:visible")).to_contain_text("Drop pictures")
    session.send("Input.dispatchDragEvent", {"type": "drop", "x": 300, "y": 400, "data": data})
    expect(page.locator("[data-drop]:visible")).to_have_count(0)


def paste(page: Page, path: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(PUT_ON_CLIPBOARD, base64.b64encode(path.read_bytes()).decode())
    page.keyboard.press("Control+v")


def noise(folder: Path, name: str, size: tuple[int, int]) -> Path:
    """Write a picture that cannot be packed: so many pixels, so many bytes."""
    path = folder / name
    Pixels.effect_noise(size, 120).save(path)
    return path


@contextmanager
def slow_line(page: Page) -> Iterator[None]:
    """Let no more than `SLOW` bytes a second leave meanwhile."""
    session = page.context.new_cdp_session(page)
    line = {"offline": False, "latency": 0, "downloadThroughput": -1}
    session.send("Network.emulateNetworkConditions", line | {"uploadThroughput": SLOW})
    yield
    session.send("Network.emulateNetworkConditions", line | {"uploadThroughput": -1})


def names_of(studio: Studio, api: requests.Session, words: str) -> list[str]:
    found: dict[str, Any] = json_of(api.get(f"{studio.url}/api/v1/images", params={"q": words}))
    return [image["filename"] for image in found["items"]]


def test_what_is_dropped_on_the_page_is_in_the_grid(library: Page, tmp_path: Path) -> None:
    paths = [picture(tmp_path, f"dropped-{n}.png", (200, 40 * n, 90)) for n in (1, 2)]
    drop(library, *paths)
    expect(lines(library, "added")).to_have_count(2)
    ids = [line.get_attribute("href") for line in library.locator(".tray__line [data-open]").all()]
    for address in ids:
        expect(library.locator(f"#grid .thumb a[href='{address}']")).to_be_attached()


def drag(page: Page, kind: str, x: int = 300) -> None:
    """Drag a file over the page, or let go of it elsewhere."""
    data = {"items": [], "files": [__file__], "dragOperationsMask": 1}
    page.context.new_cdp_session(page).send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": 400, "data": data})


@pytest.mark.parametrize("moves", [True, False], ids=["the-pointer-is-back", "nothing-is-heard-of-it"])
def test_the_sheet_goes_when_a_drag_ends_without_a_word(library: Page, moves: bool) -> None:
    for kind in ("dragEnter", "dragOver", "dragCancel"):
        drag(library, kind)
    expect(library.locator("[data-drop]:visible")).to_have_count(1)
    if moves:
        library.mouse.move(200, 300)
        assert library.locator("[data-drop]:visible").count() == 0
    expect(library.locator("[data-drop]:visible")).to_have_count(0)


def test_what_is_brought_is_in_sight_in_a_tray_that_is_full(library: Page, tmp_path: Path) -> None:
    first = [picture(tmp_path, f"early-{n}.png", (10, 20 * n, 40)) for n in range(12)]
    library.locator("#upload").set_input_files(first)
    expect(library.locator(".tray__line[data-state=added]")).to_have_count(len(first))
    library.locator("#upload").set_input_files([picture(tmp_path, "late.png", (90, 10, 40))])
    expect(library.locator(".tray__line", has_text="late.png")).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize("focused", ["body", "#q"])
def test_a_picture_is_pasted_from_the_clipboard_wherever_one_is(library: Page, tmp_path: Path, focused: str) -> None:
    library.locator(focused).focus()
    paste(library, picture(tmp_path, "pasted.png", (10, len(focused), 200)))
    expect(lines(library, "added")).to_have_count(1)
    address = library.locator(".tray__line [data-open]").get_attribute("href")
    expect(library.locator(f"#grid .thumb a[href='{address}']")).to_be_attached()


def test_words_are_still_pasted_into_a_field(library: Page) -> None:
    library.context.grant_permissions(["clipboard-read", "clipboard-write"])
    library.evaluate("navigator.clipboard.writeText('harbour')")
    library.locator("#q").focus()
    library.keyboard.press("Control+v")
    expect(library.locator("#q")).to_have_value("harbour")
    expect(library.locator("[data-tray]")).to_be_hidden()


def test_one_is_canceled_on_its_way_while_the_others_go_on_and_can_be_brought_again(
    library: Page, studio: Studio, api: requests.Session, tmp_path: Path
) -> None:
    large = noise(tmp_path, "canceled-on-its-way.png", (1200, 900))
    line = library.locator(".tray__line", has_text=large.name)
    with slow_line(library):
        library.locator("#upload").set_input_files([large, picture(tmp_path, "goes-on.png", "olive")])
        expect(line).to_have_attribute("data-state", "sending")
        expect(line.get_by_role("progressbar")).not_to_have_js_property("value", 0)
        line.get_by_role("button", name="Cancel").click()
        expect(line).to_contain_text("Canceled")
        expect(lines(library, "added")).to_contain_text("goes-on.png")
        assert names_of(studio, api, "canceled-on-its-way") == []
    line.get_by_role("button", name="Again").click()
    expect(line).to_contain_text("In the library")
    assert names_of(studio, api, "canceled-on-its-way") == [large.name]


def test_one_is_looked_at_while_the_others_are_on_their_way(library: Page, tmp_path: Path) -> None:
    """Over the page and not instead of it: to leave the page would end them."""
    large = noise(tmp_path, "on-its-way.png", (900, 700))
    small = picture(tmp_path, "here.png", "khaki")
    with slow_line(library):
        library.locator("#upload").set_input_files([small, large])
        lines(library, "added").get_by_role("link", name="Show it").click()
        lightbox = library.get_by_role("dialog", name="Picture")
        expect(lightbox).to_contain_text("here.png")
        expect(lines(library, "sending")).to_contain_text("on-its-way.png")
    library.keyboard.press("Escape")
    expect(lightbox).to_be_hidden()
    expect(library.locator("[data-tray-title]")).to_have_text("2 of 2 uploaded")


def test_a_folder_that_is_dropped_brings_the_pictures_in_it(library: Page, tmp_path: Path) -> None:
    inner = tmp_path / "holiday" / "second day"
    inner.mkdir(parents=True)
    picture(inner.parent, "beach.png", "wheat")
    picture(inner, "pier.png", "tan")
    (inner / "Thumbs.db").write_text("not meant by anybody")
    drop(library, inner.parent, picture(tmp_path, "beside.png", "linen"))
    expect(lines(library, "added")).to_have_count(3)
    for name in ("beach.png", "pier.png", "beside.png"):
        expect(lines(library, "added").filter(has_text=name)).to_have_count(1)
    expect(library.locator("[data-tray-title]")).to_have_text("3 of 3 uploaded")


UNREADABLE = """name => {
  const entryOf = DataTransferItem.prototype.webkitGetAsEntry;
  DataTransferItem.prototype.webkitGetAsEntry = function () {
    const folder = entryOf.call(this);
    const reader = folder.createReader();
    const read = reader.readEntries.bind(reader);
    reader.readEntries = (found, failed) => read((entries) => {
      for (const entry of entries.filter((each) => each.name === name)) {
        entry.file = (_found, lost) => lost(new DOMException("", "NotReadableError"));
      }
      found(entries);
    }, failed);
    folder.createReader = () => reader;
    return folder;
  };
}"""


def test_what_cannot_be_read_of_a_folder_is_named_and_holds_up_no_other(
    windows: Windows, library: Page, tmp_path: Path
) -> None:
    windows.expect("/library/upload: .* 4(00|15|22)")
    (tmp_path / "trip").mkdir()
    picture(tmp_path / "trip", "harbour.png", (31, 62, 93))
    picture(tmp_path / "trip", "torn.png", "plum")
    library.evaluate(UNREADABLE, "torn.png")
    drop(library, tmp_path / "trip")
    expect(lines(library, "refused")).to_contain_text("torn.png")
    expect(lines(library, "added")).to_contain_text("harbour.png")


def test_one_that_broke_off_says_so_and_is_brought_again_by_its_button(
    windows: Windows, library: Page, tmp_path: Path
) -> None:
    windows.expect("ERR_INTERNET_DISCONNECTED|ERR_NETWORK|EventSource")
    library.context.set_offline(True)
    library.locator("#upload").set_input_files([picture(tmp_path, "tunnel.png", "navy")])
    line = library.locator(".tray__line", has_text="tunnel.png")
    expect(line).to_contain_text("The line broke.")
    library.context.set_offline(False)
    line.get_by_role("button", name="Again").focus()
    library.keyboard.press("Enter")
    expect(line).to_contain_text("In the library")
    expect(line.get_by_role("link", name="Show it")).to_be_focused()
    expect(library.locator("[data-tray-title]")).to_have_text("1 of 1 uploaded")


def test_who_was_signed_out_meanwhile_is_told(windows: Windows, tmp_path: Path) -> None:
    windows.expect(" 401 |EventSource")
    page = windows.open("/library")
    page.context.clear_cookies()
    page.locator("#upload").set_input_files([picture(tmp_path, "late.png", "maroon")])
    expect(page.locator(".tray__line")).to_contain_text("You are signed out.")


def test_many_at_once_each_to_its_own_end(windows: Windows, library: Page, tmp_path: Path) -> None:
    windows.expect("/library/upload: .* 4(13|15|22)")
    good = [picture(tmp_path, f"many-{n}.png", (40, 15 * n, 120)) for n in range(12)]
    (tmp_path / "notes.png").write_text("no picture at all")
    (tmp_path / "long.png").write_bytes(good[0].read_bytes() + bytes(11 << 20))
    picture(tmp_path, "small.png", "grey", (300, 300))
    bad = [tmp_path / name for name in REFUSALS]
    library.locator("#upload").set_input_files([*good[:4], *bad, *good[4:]])
    for path in good:
        expect(lines(library, "added").filter(has_text=path.name)).to_have_count(1)
    for name, sentence in REFUSALS.items():
        refused = lines(library, "refused").filter(has_text=name)
        expect(refused).to_contain_text(sentence)
        expect(refused.get_by_role("button", name="Again")).to_be_hidden()
    expect(library.locator("[data-tray-title]")).to_have_text("12 of 15 uploaded, 3 not taken")
    for address in [link.get_attribute("href") for link in library.locator(".tray__line [data-open]:visible").all()]:
        expect(library.locator(f"#grid .thumb a[href='{address}']")).to_be_attached()


@pytest.mark.parametrize("address", ["/library?filter=uploaded", "/library?q=lantern", "/library?colour=teal"])
def test_what_is_brought_stands_in_the_grid_under_filters_that_it_fits(
    windows: Windows, tmp_path: Path, address: str
) -> None:
    page = windows.open(address)
    colour = (20, 140, 140 + len(address))
    page.evaluate("window.notLoadedAnew = true")
    page.locator("#upload").set_input_files([picture(tmp_path, f"lantern-{len(address)}.png", colour)])
    expect(lines(page, "added")).to_have_count(1)
    id_of = (page.locator(".tray__line [data-open]").get_attribute("href") or "").rpartition("/")[2]
    expect(tiles(page).first).to_have_attribute("data-id", id_of)
    expect(tiles(page).first.locator(".thumb__picture")).not_to_have_js_property("naturalWidth", 0)
    assert page.url.endswith(address) and page.evaluate("window.notLoadedAnew")


def test_what_is_brought_and_does_not_fit_is_not_in_the_grid_but_one_click_away(
    windows: Windows, tmp_path: Path
) -> None:
    page = windows.open("/library?q=nothing+is+called+this")
    with page.expect_response("**/library/newest?*"):
        page.locator("#upload").set_input_files([picture(tmp_path, "elsewhere.png", "salmon")])
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    page.get_by_role("link", name="Show it").click()
    expect(page.get_by_role("dialog", name="Picture")).to_contain_text("elsewhere.png")


@pytest.fixture
def chooser(windows: Windows) -> Page:
    """A page with a form that wants a picture, and the dialog for it open at its uploads."""
    page = windows.open("/generate")
    open_uploads(page)
    return page


def open_uploads(page: Page) -> Locator:
    dialog = open_chooser(page)
    dialog.get_by_role("button", name="Upload").click()
    return dialog


WAYS: dict[str, Callable[[Page, Path], None]] = {
    "picked": lambda page, path: page.locator("dialog [data-upload]").set_input_files([path]),
    "dropped": drop,
    "pasted": paste,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["/generate", "/library"])
def test_what_is_brought_in_the_dialog_is_what_is_chosen(
    windows: Windows, tmp_path: Path, way: str, place: str
) -> None:
    page = windows.open(place)
    dialog = open_uploads(page)
    WAYS[way](page, picture(tmp_path, "chosen.png", (90, len(way) * 9, len(place) * 9)))
    expect(dialog.locator(".tray__line")).to_contain_text("n the library")
    dialog.get_by_role("button", name="Use this picture").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#chooser")).to_be_focused()
    expect(page.locator("#chosen")).to_have_value(re.compile("^[0-9a-f-]{36}$"))


def test_the_dialog_counts_anew_when_it_is_opened_again(chooser: Page, tmp_path: Path) -> None:
    title = chooser.locator("dialog [data-tray-title]")
    for n in (1, 2):
        chooser.locator("dialog [data-upload]").set_input_files([picture(tmp_path, f"{n}.png", (7, 77, 70 + n))])
        expect(title).to_have_text("1 of 1 uploaded")
        chooser.keyboard.press("Escape")
        chooser.locator("#chooser").click()
        chooser.locator("dialog").get_by_role("button", name="Upload").click()


def test_once_the_dialog_is_closed_a_page_without_uploads_takes_nothing(chooser: Page, tmp_path: Path) -> None:
    chooser.keyboard.press("Escape")
    expect(chooser.get_by_role("dialog", name="Choose a picture")).to_be_hidden()
    sent: list[str] = []
    chooser.on("request", lambda request: sent.append(request.url))
    paste(chooser, picture(tmp_path, "stray.png", "black"))
    chooser.goto("/library?q=stray")
    expect(chooser.get_by_role("heading", name="Nothing found")).to_be_visible()
    assert not any(url.endswith("/upload") for url in sent)


def test_keys_reach_all_that_was_refused(windows: Windows, tmp_path: Path) -> None:
    windows.expect("/library/upload: .* 415")
    page = still_page(windows, "light", viewport={"width": 1280, "height": 800})
    page.goto("/library")
    files = [tmp_path / f"notes-{n}.png" for n in range(9)]
    for file in files:
        file.write_text("no picture at all")
    page.locator("#upload").set_input_files(files)
    expect(lines(page, "refused")).to_have_count(len(files))
    assert findings(page) == []
    page.get_by_role("region", name="Uploads").get_by_role("button", name="Close").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    expect(lines(page, "refused").last).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_in_what_uploads_and_chooses(scheme: Scheme, windows: Windows, tmp_path: Path) -> None:
    windows.expect("/library/upload: .* 415")
    page = still_page(windows, scheme, viewport={"width": 1440, "height": 900})
    page.goto("/library")
    (tmp_path / "notes.png").write_text("no picture at all")
    files = [picture(tmp_path, "quay.png", "peru"), tmp_path / "notes.png"]
    page.locator("#upload").set_input_files(files)
    expect(lines(page, "refused")).to_have_count(1)
    expect(page.locator(".tray__line [data-open]:visible")).to_have_count(1)
    found = findings(page)
    page.goto("/generate")
    dialog = open_chooser(page)
    dialog.locator("[data-pick]").first.click()
    expect(dialog.get_by_role("button", name="Use this picture")).to_be_visible()
    found += findings(page)
    dialog.get_by_role("button", name="Upload").click()
    dialog.locator("[data-upload]").set_input_files(files)
    expect(lines(page, "refused")).to_have_count(1)
    expect(dialog.locator(".tray__line [data-open]:visible")).to_have_count(1)
    found += findings(page)
    dialog.get_by_role("button", name="Generate").click()
    assert found + findings(page) == []


def test_how_many_were_refused_is_said_once_all_have_ended(windows: Windows, library: Page, tmp_path: Path) -> None:
    windows.expect("/library/upload: .* 4")
    torn = [tmp_path / f"torn-{n}.png" for n in range(5)]
    for path in torn:
        path.write_bytes(b"no picture")
    library.locator("#upload").set_input_files(torn)
    expect(lines(library, "refused")).to_have_count(5)
    expect(library.locator("[data-tray-says]")).to_have_text("0 of 5 uploaded, 5 not taken")


def test_a_name_that_turns_the_reading_direction_is_shown_as_it_is_spelled(
    windows: Windows, library: Page, tmp_path: Path
) -> None:
    windows.expect("/library/upload: .* 4")
    turned = tmp_path / "Bild \u202egnp.exe"
    turned.write_bytes(b"no picture")
    library.locator("#upload").set_input_files([turned])
    name = lines(library, "refused").locator("[data-name]")
    expect(name).to_have_text(re.compile("^Bild gnp\\.exe$"))
    expect(name).to_have_attribute("title", "Bild gnp.exe")
    expect(library.locator("[data-tray-says]")).to_contain_text("Bild gnp.exe was not taken")
