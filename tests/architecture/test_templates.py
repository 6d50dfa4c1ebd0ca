"""Templates: each is used, none holds code or style, and every word in them can be translated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment

from imagegen.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "templates"
PAGES = sorted(FOLDER.rglob("*.html"))
SPOKEN = ("alt", "title", "placeholder", "aria-label", "aria-description", "content")
PLACE = "\N{OBJECT REPLACEMENT CHARACTER}"
NOT_WORDS = re.compile(r"[\W\d_]*[A-Z]?[\W\d_]*")
"""Signs, figures, or one key on the keyboard."""
ATTRIBUTES = re.compile(r"""([\w:-]+=("[^"]*"|'[^']*')\s*)+""")
"""What a macro or a block puts into somebody else's tag."""


def name_of(path: Path) -> str:
    return str(path.relative_to(FOLDER))


def written(path: Path) -> str:
    """Return what a template writes itself: its HTML, with a sign where something is put in."""
    parts, within = [], 0
    for _line, kind, value in Environment(autoescape=True).lex(path.read_text(encoding="utf-8")):
        if kind == "data":
            parts.append(value)
        elif kind == "variable_begin":
            within = 1
        elif kind == "variable_end":
            within = 0
            parts.append(PLACE)
        elif kind == "operator" and within:
            continue
    return "".join(parts)


class Words(HTMLParser):
    """Collects what people read or hear of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attributes if name in SPOKEN and tag != "meta"]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def untranslated(path: Path) -> Iterator[str]:
    for text in Words(written(path)).found:
        plain = " ".join(text.replace(PLACE, " ").split())
        if not NOT_WORDS.fullmatch(plain) and not ATTRIBUTES.fullmatch(plain):
            yield plain


PRODUCTS_NAME = {"Imagegen Studio"}
FOR_DEVELOPERS = ("styleguide/", "api/")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_word_of_a_template_can_be_translated(path: Path) -> None:
    if not name_of(path).startswith(FOR_DEVELOPERS):
        assert not set(untranslated(path)) - PRODUCTS_NAME


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_template_holds_code_or_style(path: Path) -> None:
    html = written(path)
    assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=|hx-on|javascript:", html, re.IGNORECASE)
    assert not re.search(r"<script(?![^>]*\ssrc=)|<script[^>]*>[^<]", html, re.IGNORECASE)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_template_lets_text_through_unescaped(path: Path) -> None:
    """But for what stands in the template itself, letter by letter."""
    assert not re.search(r"""(?<!["'])\s*\|\s*safe\b|autoescape|Markup""", path.read_text(encoding="utf-8"))


def test_no_python_lets_text_through_unescaped() -> None:
    """But for the studio's own sentences, into which Jinja's own `gettext` would put escaped values as well."""
    through = re.compile(r"\bMarkup\([^)]*\)?|render_template_string|\|safe")
    code = PROJECT_ROOT / "imagegen"
    found = {
        str(path.relative_to(code)): through.findall(path.read_text(encoding="utf-8")) for path in code.rglob("*.py")
    }
    assert {name: matches for name, matches in found.items() if matches} == {"web/language.py": ["Markup(pattern)"]}


def test_every_template_is_used() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (PROJECT_ROOT / "imagegen").rglob("*.py")]
    sources += [path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.*")]
    everything = "\n".join(sources)
    used = {name_of(path) for path in PAGES if f'"{name_of(path)}"' in everything}
    assert {name_of(path) for path in PAGES} - used == set()
