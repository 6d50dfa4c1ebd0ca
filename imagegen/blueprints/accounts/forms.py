"""What the forms of this folder have in common: how an error stands in them."""

from __future__ import annotations

from flask import Response

from imagegen.core.errors import StudioError, TooMany
from imagegen.web.htmx import page
from imagegen.web.language import said


def errors_of(error: StudioError) -> dict[str, str]:
    """Return the error by the field that it is about; `""` is the whole form."""
    return {error.field or "": said(error.message)}


def refused(template: str, error: StudioError, **context: object) -> Response:
    """Return the form's page again, with the sentence of `error` in it and its status."""
    response = page(template, status=error.status, errors=errors_of(error), **context)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    return response
