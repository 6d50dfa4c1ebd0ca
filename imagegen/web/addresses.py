"""Addresses of what the studio serves: worked out once for each kind, and filled in for each thing."""

from __future__ import annotations

import re
from types import NoneType
from typing import Any

from flask import Flask, current_app, request, url_for

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_KEPT = frozenset({str, int, NoneType})
_MOST = 4096
"""So many kinds are kept before all are forgotten: the numbers in addresses may be any that somebody asks for."""

Part = str | tuple[str, str | int | None]
"""The name of a text that is filled in, or a value that belongs to the kind."""


def init_app(app: Flask) -> None:
    """Let templates ask here for their addresses, of which a page has a hundred."""
    app.extensions["studio-addresses"] = {}
    app.jinja_env.globals["url_for"] = address


def address(endpoint: str, **values: Any) -> str:
    """Return what `url_for` returns within a request, ten times as fast from the second one of a kind on.

    Texts are ids and hashes, which an address holds as they are; with any other it is left to `url_for`. The
    studio's own files are few, so that each is a kind of its own. What depends on the request (a page of the
    blueprint that is asked, the host that it was asked by) is no kind.
    """
    if endpoint.startswith(".") or any(name.startswith("_") for name in values):
        return url_for(endpoint, **values)
    if endpoint == "static":
        return _pattern(endpoint, tuple(values.items()))
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    if not all(map(_PLAIN.fullmatch, texts.values())) or not all(type(value) in _KEPT for value in values.values()):
        return url_for(endpoint, **values)
    found = _pattern(endpoint, tuple([name if name in texts else (name, value) for name, value in values.items()]))
    if not found:
        return url_for(endpoint, **values)
    for name, text in texts.items():
        found = found.replace(f"~{name}~", text)
    return found


def _pattern(endpoint: str, parts: tuple[Part, ...]) -> str:
    """Return the address with its texts left open; "" where only some texts are allowed."""
    patterns: dict[tuple[str, str, tuple[Part, ...]], str] = current_app.extensions["studio-addresses"]
    key = (request.script_root, endpoint, parts)
    found = patterns.get(key)
    if found is None:
        if len(patterns) >= _MOST:
            patterns.clear()
        values = dict((part, f"~{part}~") if isinstance(part, str) else part for part in parts)
        try:
            found = url_for(endpoint, **values)  # type: ignore[arg-type]  # no name begins with an underscore
        except ValueError:
            found = ""
        patterns[key] = found
    return found
