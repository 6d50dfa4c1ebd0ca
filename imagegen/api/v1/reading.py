"""Reading requests strictly: what is not exactly what the API documents is refused, never guessed at."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.web import nul

Model = TypeVar("Model", bound=BaseModel)

_WRITTEN_NUL = rb"\u0000"
"""The only way in which JSON writes one; it may also be a backslash and letters."""

_NOT_JSON = N_("The body is not valid JSON.")


class NotJson(StudioError):
    """The body is not JSON that means the same to everybody who reads it."""

    status = 400


def read_query(request: Request, model: type[Model]) -> Model:
    """Return the query parameters as `model`; raises ValidationError, also for one that is given twice."""
    given = {name: values if len(values) > 1 else values[0] for name, values in request.args.lists()}
    return model.model_validate(given)


def read_headers(request: Request, model: type[Model]) -> Model:
    """Return the headers that `model` names; raises ValidationError."""
    names = {field.alias or name for name, field in model.model_fields.items()}
    return model.model_validate({name: request.headers[name] for name in names if name in request.headers})


def read_body(request: Request, model: type[Model]) -> Model:
    """Return the JSON body as `model`, without turning one type into another.

    Raises UnsupportedMediaType for another content type, NotJson for what is not JSON, StudioError for a text that no
    database takes, and ValidationError.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    body = request.get_data()
    _check_json(body)
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        if error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] == "json_invalid":
            raise NotJson(_NOT_JSON) from None
        raise


def _check_json(body: bytes) -> None:
    """Raise NotJson where readers of JSON would disagree: pydantic alone lets the cases below pass."""
    try:
        found = json.loads(
            body.decode("utf-8"),
            parse_constant=_no_constant,
            parse_float=_finite,
            object_pairs_hook=_no_repetition,
        )
    except UnicodeDecodeError:
        raise NotJson(N_("The body is not text in UTF-8.")) from None
    except RecursionError:
        raise NotJson(N_("The body is nested too deeply.")) from None
    except ValueError:
        raise NotJson(_NOT_JSON) from None
    if not isinstance(found, dict):
        raise StudioError(N_("The body must be a JSON object."))
    if _WRITTEN_NUL in body:
        nul.refuse_in(found)


def _no_constant(_name: str) -> NoReturn:
    raise NotJson(N_("JSON has no NaN and no Infinity."))


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotJson(N_("The body has a number that is too large."))
    return number


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson(N_("The body names the same field twice."))
    return found
