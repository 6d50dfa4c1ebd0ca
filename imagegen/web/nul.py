"""The one character that no text of ours has: PostgreSQL stores no NUL, and C reads none in a file's name."""

from __future__ import annotations

from itertools import chain

from flask import Flask, abort, request

from imagegen.core.errors import StudioError
from imagegen.core.text import N_

NUL = "\0"


def init_app(app: Flask) -> None:
    """Answer a request that holds one before a route looks at it."""
    app.before_request(_refuse)


def _refuse() -> None:
    if NUL in request.path:
        abort(404)
    sent = chain(request.args.lists(), request.form.lists())
    if any(NUL in text for name, values in sent for text in (name, *values)):
        raise StudioError(N_("There is a character in this that no text can have (NUL). Send it without."))
