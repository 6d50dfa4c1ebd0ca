"""Page or partial: one route gives both."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, make_response, redirect, render_template, request


def wants_partial() -> bool:
    """Tell whether htmx asks for a piece; boosted and history requests want the whole page."""
    return request.headers.get("HX-Request-Type") == "partial"


def page(template: str, partial: str | None = None, /, status: int = 200, **context: Any) -> Response:
    """Render `partial` if a piece is asked for and there is one, else the whole `template`."""
    name = partial if partial and wants_partial() else template
    response = make_response(render_template(name, **context), status)
    response.vary.add("HX-Request-Type")
    return response


def lead_to(address: str) -> Response:
    """Lead to another page; htmx, which would put that page into the one that is open, is told by a header."""
    if wants_partial():
        return Response(status=204, headers={"HX-Redirect": address})
    return make_response(redirect(address, 303))


def trigger(response: Response, **events: Any) -> Response:
    """Let the page hear of `events` once it has swapped the answer in."""
    response.headers["HX-Trigger"] = json.dumps(events)
    return response
