"""What pydantic found wrong, in sentences for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import format_decimal, gettext
from pydantic import ValidationError

from imagegen.core.text import N_
from imagegen.web.language import said

SENTENCES: Mapping[str, str] = {
    "missing": N_("This is missing."),
    "extra_forbidden": N_("There is no such field."),
    "string_type": N_("This must be text."),
    "string_too_short": N_("This needs at least {min_length} characters."),
    "string_too_long": N_("This may have at most {max_length} characters."),
    "string_pattern_mismatch": N_("This is not written as it should be."),
    "int_type": N_("This must be a whole number."),
    "int_parsing": N_("This must be a whole number."),
    "int_parsing_size": N_("This number is too large."),
    "int_from_float": N_("This must be a whole number."),
    "float_type": N_("This must be a number."),
    "float_parsing": N_("This must be a number."),
    "finite_number": N_("This must be a number."),
    "decimal_type": N_("This must be a number."),
    "decimal_parsing": N_("This must be a number."),
    "bool_type": N_("This must be true or false."),
    "bool_parsing": N_("This must be true or false."),
    "greater_than": N_("This must be more than {gt}."),
    "greater_than_equal": N_("This must be at least {ge}."),
    "less_than": N_("This must be less than {lt}."),
    "less_than_equal": N_("This must be at most {le}."),
    "literal_error": N_("This must be one of: {expected}."),
    "enum": N_("This must be one of: {expected}."),
    "list_type": N_("This must be a list."),
    "tuple_type": N_("This must be a list."),
    "dict_type": N_("This must be an object."),
    "model_type": N_("This must be an object."),
    "too_short": N_("This needs at least {min_length} entries."),
    "too_long": N_("This may have at most {max_length} entries."),
    "uuid_parsing": N_("This is not the id of anything here."),
    "uuid_type": N_("This is not the id of anything here."),
    "datetime_parsing": N_("This is not a date with a time."),
    "datetime_from_date_parsing": N_("This is not a date with a time."),
    "date_parsing": N_("This is not a date."),
    "date_from_datetime_parsing": N_("This is not a date."),
}
"""By pydantic's kind of error; in braces what it knows of it (docs.pydantic.dev/latest/errors/validation_errors)."""

_OTHERWISE = N_("This is not right.")
_OF_FIELDS: Mapping[tuple[str, str], str] = {
    ("prompt", "string_too_short"): N_("Write what the picture should show."),
    ("prompt", "missing"): N_("Write what the picture should show."),
}
"""Where the field says more than the kind of error does."""


def problems(error: ValidationError) -> list[dict[str, str | None]]:
    """Return what is wrong, as `{field, message}` in the reader's language; `field` is a path with dots, or None."""
    return [_problem(found) for found in error.errors(include_url=False, include_input=False)]


def _problem(found: Mapping[str, Any]) -> dict[str, str | None]:
    field = ".".join(str(part) for part in found["loc"])
    return {"field": field or None, "message": _sentence(field, found["type"], found.get("ctx", {}))}


def _sentence(field: str, kind: str, facts: Mapping[str, Any]) -> str:
    if kind in ("value_error", "assertion_error"):
        # Raised by a validator of ours, whose sentence may know how to be translated.
        (sentence, *_) = facts["error"].args or (_OTHERWISE,)
        return said(sentence)
    words = {name: _word(value) for name, value in facts.items()}
    return said(N_(_OF_FIELDS.get((field, kind)) or SENTENCES.get(kind, _OTHERWISE)).format(**words))


def _word(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(format_decimal(value))
    # Of choices pydantic makes a sentence in English.
    return str(value).replace(" or ", ", ").replace("'", "")


def first_sentence(found: list[dict[str, str | None]]) -> str:
    """Return the first of `problems` as one line, with the field that it is about."""
    first = found[0]
    if first["field"] is None:
        return first["message"] or ""
    return gettext("%(field)s: %(sentence)s", field=first["field"], sentence=first["message"])
