"""The one character that no text of ours has: PostgreSQL stores no NUL, and C reads none in a file's name."""

from __future__ import annotations

from itertools import chain
from typing import Any

from flask import Flask, abort, request

from imagegen.core.errors import StudioError
from imagegen.core.text import N_

NUL = "\0"
SENTENCE = N_("There is a character in this that no text can have (NUL). Send it without.")


def init_app(app: Flask) -> None:
    """Answer a request whose address, query or form holds one before a route looks at it."""
    app.before_request(_refuse)


def _refuse() -> None:
    if NUL in request.path:
        abort(404)
    sent = chain(request.args.lists(), request.form.lists())
    if any(NUL in text for name, values in sent for text in (name, *values)):
        raise StudioError(SENTENCE)


def refuse_in(found: Any) -> None:
    """Raise StudioError, with the place as its field, if a text or a name in `found` holds one; `found` is JSON."""
    left: list[tuple[tuple[str, ...], Any]] = [((), found)]
    while left:
        place, value = left.pop()
        if isinstance(value, dict):
            left += [((*place, name), inner) for name, inner in value.items()]
            holds = any(NUL in name for name in value)
        elif isinstance(value, list):
            left += [((*place, str(number)), inner) for number, inner in enumerate(value)]
            holds = False
        else:
            holds = isinstance(value, str) and NUL in value
        if holds:
            raise StudioError(SENTENCE, field=".".join(place) or None)
