"""A browser for tests: it keeps requests apart as a server does, and reads pages as strictly as nobody else."""

from __future__ import annotations

import contextvars
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Self

from flask.testing import FlaskClient

VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))
_REFERENCES = ("commandfor", "popovertarget", "for", "form", "aria-labelledby", "aria-describedby", "aria-controls")
_SELECTORS = ("hx-target", "hx-include", "data-drawer")
_ID_SELECTOR = re.compile(r"#([A-Za-z][\w-]*)")


class SeparateClient(FlaskClient):
    """A client each of whose requests begins with nothing, as in a server.

    Flask's own shares the context that a test has pushed, and with it `g` and the database session: what one request
    leaves there the next would find.
    """

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request in a context of its own, in which its answer is read too."""
        context = contextvars.Context()
        response = context.run(super().open, *args, **kwargs)
        response.response = _Within(context, response.response)
        return response


class _Within:
    """An answer's pieces, each made in the context of its request."""

    def __init__(self, context: contextvars.Context, pieces: Iterable[bytes]) -> None:
        self._context = context
        self._pieces = context.run(iter, pieces)
        self._close = getattr(pieces, "close", lambda: None)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return self._context.run(next, self._pieces)

    def close(self) -> None:
        """Tell the app that nobody reads on."""
        self._context.run(self._close)


@dataclass
class Element:
    """One element of a page; `text` is all that it holds."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    parents: tuple[Element, ...] = field(default=(), repr=False)

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]


class Page(HTMLParser):
    """A page taken apart."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note an element; one that names an attribute twice is a mistake."""
        assert len(dict(attributes)) == len(attributes), f"<{tag}> says something twice: {attributes}"
        element = Element(tag, {name: value or "" for name, value in attributes}, parents=tuple(self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note an element that ends at once, as they do in SVG."""
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close an element; the ones within it that HTML lets stay open are closed too."""
        assert any(element.tag == tag for element in self._open), f"</{tag}> closes nothing"
        while self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Add text to all that is open."""
        for element in self._open:
            element.text += data

    def all(self, tag: str | None = None, **attributes: str) -> list[Element]:
        """Return the elements of that tag that have these attributes (`data_x` means `data-x`)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            element
            for element in self.elements
            if tag in (None, element.tag) and wanted.items() <= element.attributes.items()
        ]

    def one(self, tag: str | None = None, **attributes: str) -> Element:
        """Return the only such element."""
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} of {tag} {attributes}"
        return found[0]

    @property
    def text(self) -> str:
        """All that the page says."""
        return "".join(element.text for element in self.elements if not element.parents)

    def everything_said(self) -> Iterator[str]:
        """Yield the text of every element and the value of every attribute."""
        for element in self.elements:
            yield element.text
            yield from element.attributes.values()

    def form(self) -> dict[str, list[str]]:
        """Return what the page's form with a prompt would send, without its files and buttons."""
        composer = self.one("form", id="composer")
        values: dict[str, list[str]] = {}
        for element in self.elements:
            if composer not in element.parents or "name" not in element.attributes:
                continue
            kind = element.attributes.get("type")
            if element.tag == "textarea":
                values.setdefault(element["name"], []).append(element.text)
            elif element.tag == "input" and (kind not in ("radio", "checkbox") or "checked" in element.attributes):
                values.setdefault(element["name"], []).append(element.attributes.get("value", ""))
        return values

    def faults(self, *, whole: bool = True) -> list[str]:
        """Return what is wrong with the page; a partial (`whole=False`) may point at what is outside of it."""
        found = [*self._run_by_browser(), *self._posts_without_token(by_htmx=not whole)]
        ids = Counter(element["id"] for element in self.elements if "id" in element.attributes)
        found += [f"id {name!r} stands {count} times" for name, count in ids.items() if count > 1]
        if whole:
            found += [
                f"{pointer} points at #{name}, which is not there"
                for pointer, name in self._pointers()
                if not ids[name]
            ]
        return found

    def _run_by_browser(self) -> Iterator[str]:
        for element in self.elements:
            if element.tag == "style" or (
                element.tag == "script" and (element.text or "src" not in element.attributes)
            ):
                yield f"<{element.tag}> stands in the page itself"
            for name, value in element.attributes.items():
                if name == "style" or name.startswith(("on", "hx-on")):
                    yield f"<{element.tag} {name}> is code or style in the page"
                if re.match(r"\s*(javascript|vbscript):", value, re.IGNORECASE) and name in ("href", "src", "action"):
                    yield f"<{element.tag} {name}={value!r}> runs a script"

    def _posts_without_token(self, *, by_htmx: bool) -> Iterator[str]:
        """A piece that many sessions share holds none: its forms are sent by htmx, with the page's header."""
        for form in self.all("form", method="post"):
            if by_htmx and "hx-post" in form.attributes:
                continue
            if not any(form in element.parents for element in self.all("input", name="csrf_token")):
                yield f"the form to {form['action']} has no CSRF token"

    def _pointers(self) -> Iterator[tuple[str, str]]:
        for element in self.elements:
            for name in _REFERENCES:
                yield from ((name, target) for target in element.attributes.get(name, "").split())
            for name in _SELECTORS:
                yield from ((name, target) for target in _ID_SELECTOR.findall(element.attributes.get(name, "")))
            trigger = element.attributes.get("hx-trigger", "")
            yield from (("hx-trigger", target) for target in re.findall(r"from:#([\w-]+)", trigger))
            if element.tag == "a" and re.fullmatch(r"#[\w-]+", element.attributes.get("href", "")):
                yield "href", element["href"][1:]
