"""Errors become a sentence: as a page, as a partial, or as problem+json."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Flask, Response, jsonify, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import BadHost, HTTPException, SecurityError

from imagegen.core.errors import ADVICE, ErrorKind, StudioError
from imagegen.core.ids import new_id
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models.connection import will_pass
from imagegen.web import validation
from imagegen.web.auth import is_api, safe_next
from imagegen.web.htmx import wants_partial
from imagegen.web.language import said

log = structlog.get_logger(__name__)

SENTENCES: dict[int, str] = {
    400: N_("The request could not be understood."),
    401: N_("Sign in to go on."),
    402: N_("The budget has no room for this."),
    403: N_("You may not do this."),
    404: N_("There is nothing here. It may have been deleted, or it was never yours to see."),
    405: N_("This address does not take that kind of request."),
    409: N_("Somebody was quicker: this has changed meanwhile."),
    413: N_("That is too much at once."),
    415: N_("The request's content type is not one that is understood here."),
    422: N_("Something in the request is not right."),
    429: N_("That was too often. Wait a little."),
    500: N_("Something went wrong on our side. It has been noted."),
    503: N_("The studio is busy. Try again in a few seconds."),
}


TITLES: dict[int, str] = {
    402: N_("The budget has no room"),
    403: N_("Not for your role"),
    404: N_("There is nothing here"),
    429: N_("A little too fast"),
    500: N_("Something went wrong"),
    503: N_("Very busy just now"),
}


def init_app(app: Flask) -> None:
    """Answer every error in words; none of them shows a trace, a key or another organisation's name."""
    app.register_error_handler(StudioError, _studio_error)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(ValidationError, _validation_error)
    app.register_error_handler(SecurityError, _strange_host)
    app.register_error_handler(BadHost, _strange_host)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(OperationalError, _database_busy)
    app.register_error_handler(Exception, _unexpected)


def answer(
    status: int,
    sentence: str,
    *,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    """Return an error as the asker can use it; `more` are members of the problem+json."""
    sentence = said(sentence)
    if is_api():
        response = jsonify(
            {"type": "about:blank", "title": said(SENTENCES.get(status, sentence)), "status": status}
            | {"detail": sentence}
            | {name: value for name, value in more.items() if value is not None}
        )
        response.content_type = "application/problem+json"
        response.status_code = status
    elif wants_partial():
        error = {"sentence": sentence, "advice": more.get("advice") or ""}
        response = make_response(render_template("errors/_error.html", error=error), status)
    else:
        response = make_response(_page(status, sentence, **more), status)
    response.headers.update(headers or {})
    return response


def _page(status: int, sentence: str, *, reference: str | None = None, **_more: Any) -> str:
    home = {"label": gettext("To the start"), "href": url_for("generator.home")}
    here = request.full_path.rstrip("?") if request.method == "GET" else None
    back = {"label": gettext("Back"), "href": safe_next(here)}
    return render_template(
        "errors/page.html",
        title=said(TITLES.get(status, N_("That did not work"))),
        sentence=sentence,
        actions=[back] if status in (429, 503) else [home],
        reference=reference,
    )


def told_to_wait(error: StudioError) -> dict[str, str]:
    """Return the header that says when to come back, where `error` knows."""
    wait = getattr(error, "retry_after", None)
    return {"Retry-After": str(int(wait))} if wait else {}


def _studio_error(error: StudioError) -> ResponseReturnValue:
    headers = told_to_wait(error)
    if error.status == 401 and is_api():
        headers["WWW-Authenticate"] = 'Bearer realm="Imagegen Studio"'
    errors = [{"field": error.field, "message": said(error.message)}] if error.field else None
    advice = said(_advice(error)) or None
    return answer(error.status, error.message, headers=headers, kind=error.kind, advice=advice, errors=errors)


def _advice(error: StudioError) -> str:
    if error.advice is not None:
        return error.advice
    # Whoever has sent a form has not written a request: the sentence itself says what to write instead.
    return "" if error.kind is ErrorKind.BAD_REQUEST and not is_api() else ADVICE[error.kind]


def _csrf_error(_error: CSRFError) -> ResponseReturnValue:
    sentence = N_("This page has been open for too long, or was opened elsewhere. Reload it; nothing is lost.")
    return answer(400, sentence, headers={"HX-Trigger": "studio:stale"})


def _validation_error(error: ValidationError) -> ResponseReturnValue:
    problems = validation.problems(error)
    return answer(422, validation.first_sentence(problems), errors=problems)


def _http_error(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error.get_response()
    response = answer(status, SENTENCES.get(status, N_("The request could not be answered.")))
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _strange_host(_error: SecurityError | BadHost) -> ResponseReturnValue:
    """Answer a request for a name that is not ours: a page would hold addresses, and there are none."""
    sentence = N_("The studio does not answer to this name. Ask whoever runs it for its address.")
    return answer(400, sentence) if is_api() else Response(said(sentence), 400, mimetype="text/plain")


def _database_busy(error: OperationalError) -> ResponseReturnValue:
    db.session.rollback()
    if not will_pass(error):
        return _unexpected(error)
    log.warning("database.busy", error=str(error.orig))
    return answer(503, SENTENCES[503], headers={"Retry-After": "3"})


def _unexpected(error: Exception) -> ResponseReturnValue:
    reference = new_id()
    log.exception("request.failed", reference=reference, method=request.method, error=type(error).__name__)
    db.session.rollback()
    return answer(500, SENTENCES[500], reference=reference)
