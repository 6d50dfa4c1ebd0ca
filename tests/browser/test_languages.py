"""Every page in German, and with texts twice as long: nothing runs out of the window, no button's words out of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from flask import Flask
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from imagegen.core.text import N_
from imagegen.extensions import babel
from imagegen.models import User, unit_of_work
from imagegen.services import accounts
from scripts import messages
from tests.blueprints.access_table import CALLS
from tests.conftest import PASSWORD, Person
from tests.web.rows import make_job

WIDTHS = (360, 768, 1440)
HEIGHT = 900
PLACE = re.compile(r"(%\(\w+\)[a-z]|\{\w+\}|%%)")
PROMPT = "zwei Reiher im Schilf, Morgenlicht"

UNFOLD = """() => { for (const details of document.querySelectorAll("details")) details.open = true; }"""
# Looks at the page, and then at each layer that opens over it, one by one: menus, sheets, dialogs. All in one task:
# a layer that is closed again before the next frame is laid out, but need not be painted.
COMPLAINTS = """() => {
  const said = [];
  const room = document.documentElement.clientWidth;
  const scrolls = (element) => {
    for (let up = element; up; up = up.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(up).overflowX) && up !== document.documentElement) return true;
    return false;
  };
  const name = (element) => `<${element.tagName.toLowerCase()} class="${element.className}"> ` +
    `“${element.textContent.trim().replace(/\\s+/g, " ").slice(0, 60)}”`;
  const controls = "button, a.button, a.chip, .chip, label, summary, legend, th, h1, h2, h3, .state, .notice, .input";
  const look = (within, where) => {
    const say = (text) => said.push(where + text);
    if (document.documentElement.scrollWidth > room) say(`the page is ${document.documentElement.scrollWidth} wide`);
    for (const element of [within, ...within.querySelectorAll("*")]) {
      if (element === document || !element.matches(controls)) continue;
      if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
      const box = element.getBoundingClientRect();
      const style = getComputedStyle(element);
      if (box.width <= 1 || box.height <= 1 || element.closest("[hx-ignore], [data-user-words]")) continue;
      if ((box.right > room + 1 || box.left < -1) && !scrolls(element)) say(`${name(element)} leaves the window`);
      if (style.display === "inline" || style.textOverflow === "ellipsis") continue;
      if (element.scrollWidth > element.clientWidth + 1) say(`${name(element)} is too narrow`);
      if (element.clientHeight && element.scrollHeight > element.clientHeight + 2) say(`${name(element)} is too low`);
    }
  };
  look(document, "");
  document.querySelectorAll("[popover], dialog").forEach((layer, number) => {
    if (layer.checkVisibility()) return; // it stands in the page at this width
    const dialog = layer.matches("dialog");
    if (dialog) layer.showModal(); else layer.showPopover();
    look(layer, `layer ${number}: `);
    if (dialog) layer.close(); else layer.hidePopover();
  });
  return said;
}"""


def doubled(text: str) -> str:
    """Return `text` marked and twice as long, with its places once each."""
    pieces = PLACE.split(text)
    more = " ".join(piece.strip() for piece in pieces[::2] if piece.strip())
    return f"[{text} {more}]" if more else text


def pseudo_language() -> Catalog:
    """Return a catalogue in which every message is twice as long."""
    catalogue = Catalog(locale="de", fuzzy=False)
    for message in messages.gather():
        if isinstance(message.id, tuple):
            catalogue.add(message.id, tuple(doubled(form) for form in message.id))
        elif message.id:
            catalogue.add(message.id, doubled(message.id), context=message.context)
    return catalogue


@pytest.fixture
def german(app: Flask, ann: Person) -> Person:
    """Somebody who reads German and may see everything."""
    with unit_of_work() as uow:
        uow.execute(update(User).where(User.id == ann.user.id).values(is_operator=True, language="de"))
    return ann


@pytest.fixture
def places(german: Person) -> dict[str, str]:
    """Every page that is behind the sign-in, with something on it."""
    done = make_job(german, PROMPT, ("succeeded",) * 3, request={"prompt": PROMPT, "n": 3, "style": "photo"})
    sentence = N_("OpenAI refused this because of its content rules.")
    ended = ("failed", "refused", "unknown", "canceled", "succeeded")
    colleague = accounts.create_user(email="eve@one.example", password=PASSWORD, organisation="One", role="editor")
    things = {
        "job": done.job,
        "image": done.images[0],
        "person": colleague.public_id,
        "organisation": german.organisation.public_id,
    }
    running = make_job(german, PROMPT, ("running", "waiting")).job
    mixed = make_job(german, PROMPT, ended, error_message=sentence).job
    german.token("read", "write")
    found = {name: call.path.format(**things) for name, call in CALLS.items() if _filled(call.path, things)}
    return {**found, "running": f"/jobs/{running}", "mixed": f"/jobs/{mixed}", "nothing": "/no-such-page"}


def _filled(path: str, things: dict[str, str]) -> bool:
    return not path.startswith("/api/") and set(re.findall(r"{(\w+)}", path)) <= set(things)


@pytest.fixture
def twice_as_long(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let German be English, twice as long."""
    folder = tmp_path / "translations" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    folder.joinpath("messages.mo").write_bytes(messages.compiled(pseudo_language()))
    monkeypatch.setattr(app.extensions["babel"], "translation_directories", [str(folder.parents[1])])
    with app.app_context():
        monkeypatch.setattr(babel.domain_instance, "cache", {})


def window(browser: Browser, site: str, person: Person | None) -> Page:
    """Return a page in which nothing moves and German is asked for, signed in as `person`."""
    context = browser.new_context(base_url=site, locale="de-DE", reduced_motion="reduce")
    if person is not None and (cookie := person.client.get_cookie("studio")):
        context.add_cookies([{"name": "studio", "value": cookie.value, "url": site}])
    return context.new_page()


def said_by(page: Page) -> list[str]:
    """Return what does not fit in the window as it is; what passes while it is drawn anew does not count."""
    first: list[str] = page.evaluate(COMPLAINTS)
    if not first:
        return []
    page.wait_for_timeout(300)
    return [text for text in page.evaluate(COMPLAINTS) if text in first]


def complaints(page: Page, path: str) -> list[str]:
    """Return what does not fit on a page at any width, with all that opens on it."""
    answer = page.goto(path, wait_until="load")
    if answer is None or "text/html" not in answer.headers.get("content-type", ""):
        return []
    assert answer.status < 500, f"{path} broke"
    if not page.locator("link[rel=stylesheet]").count():
        return []  # a piece for pages, which have the styles
    found = []
    page.evaluate(UNFOLD)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        found += [f"{path} at {width}: {text}" for text in said_by(page)]
    return sorted(set(found))


def reading(app: Flask, places: dict[str, str]) -> list[str]:
    """Return the addresses of the pages among `places`: neither forms that are sent, nor files, nor streams."""
    posts = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" not in (rule.methods or ())}
    others = {"static", "media.file", "media.rendition", "jobs.stream", "health.healthz", "health.readyz"}
    others |= {"library.download", "library.picker"}  # files, and what opens in a dialog
    return [path for name, path in places.items() if name not in posts | others and not path.endswith(".csv")]


DOORS = ("/sign-in", "/sign-in?out", "/forgot-password", "/reset-password/guessed", "/invitations/guessed")


def check_everything(app: Flask, browser: Browser, site: str, person: Person, places: dict[str, str]) -> None:
    page = window(browser, site, person)
    found = [text for path in reading(app, places) for text in complaints(page, path)]
    stranger = window(browser, site, None)
    found += [text for path in DOORS for text in complaints(stranger, path)]
    for each in (page, stranger):
        each.context.close()
    assert not found, "\n".join(found)


def test_every_page_fits_in_german(
    app: Flask, browser: Browser, site: str, german: Person, places: dict[str, str]
) -> None:
    check_everything(app, browser, site, german, places)


@pytest.mark.usefixtures("twice_as_long")
def test_every_page_fits_with_texts_twice_as_long(
    app: Flask, browser: Browser, site: str, german: Person, places: dict[str, str]
) -> None:
    check_everything(app, browser, site, german, places)


@pytest.mark.usefixtures("twice_as_long")
def test_the_set_up_fits_with_texts_twice_as_long(browser: Browser, site: str) -> None:
    page = window(browser, site, None)
    found = complaints(page, "/setup")
    assert page.locator("h1").inner_text() == "[Set up your studio Set up your studio]"
    page.context.close()
    assert not found, "\n".join(found)


def test_a_page_that_does_not_fit_would_be_found(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 360, "height": HEIGHT})
    page.set_content(
        "<button style='width: 60px; overflow: hidden; white-space: nowrap'>Viel zu langer Knopf</button>"
        "<button style='position: absolute; left: 320px'>Daneben</button><hr style='width: 400px'>"
        "<dialog><button style='height: 20px; padding: 0; overflow: hidden'>Drei<br>hohe<br>Zeilen</button></dialog>"
    )
    said = " ".join(page.evaluate(COMPLAINTS))
    page.close()
    assert "is too narrow" in said
    assert "leaves the window" in said
    assert "the page is" in said
    assert re.search("layer 0: .* is too low", said)
