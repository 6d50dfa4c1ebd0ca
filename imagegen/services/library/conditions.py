"""What a row of the index has to say to be found, as SQL: who walks over rows and who looks them up ask it alike.

`row` is how a statement calls a row of `image_index`.
"""

# ruff: noqa: S608 - the SQL is made of constants and names; whatever people type is a parameter

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Boolean, Float, String, TextClause, bindparam, text

from imagegen.models.columns import BigId
from imagegen.models.image_index import POSITION
from imagegen.services.library import marks
from imagegen.services.library.shapes import Shape

BEFORE_THE_FIRST, BEHIND_THE_LAST = -1, 2**62
"""Ids that no picture has."""

_TYPES: dict[str, Any] = {
    "organisation_id": BigId,
    "trashed": Boolean,
    "after": BigId,
    "patience": Float,
}
_PARAMETER = re.compile(r"(?<!:):([a-z]\w*)")


def clause(sql: str) -> TextClause:
    """Return SQL whose parameters have their types; those that are not named here are strings."""
    names = dict.fromkeys(_PARAMETER.findall(sql))
    return text(sql).bindparams(*(bindparam(name, type_=_TYPES.get(name, String)) for name in names))


def listed(shape: Shape, row: str) -> str:
    """Return that a row is of the list: the organisation's library, or its trash."""
    return f"{row}.organisation_id = {shape.given('organisation_id')} AND {row}.trashed = {shape.given('trashed')}"


def fits(shape: Shape, row: str) -> str:
    """Return that a row fits, told by itself."""
    all_marks = (f"{shape.holds}({row}.marks, :mark{number}) > 0" for number in range(shape.marks))
    return " AND ".join([*all_marks, says(shape, row)])


def says(shape: Shape, row: str) -> str:
    """Return that a row's text holds all that was typed, and that its day is wanted: what no inverted index knows."""
    conditions = [f"{shape.holds}({row}.words, :word{number}) > 0" for number in range(shape.words)]
    if shape.days:
        day = f"substr({row}.marks, {marks.DAY_AT[0]}, {marks.DAY_AT[1]})"
        conditions.append(f"{day} BETWEEN {shape.given('since')} AND {shape.given('until')}")
    return " AND ".join(conditions) or "true"


def eras(shape: Shape) -> tuple[str, str]:
    """Return the first and the last id of the eras in which pictures of these days came; null if there is none."""
    ids = shape.sizes.era
    known = f"FROM image_eras WHERE last_day >= {shape.given('since')} AND first_day <= {shape.given('until')}"
    return f"(SELECT min(era) * {ids} {known})", f"(SELECT max(era) * {ids} + {ids - 1} {known})"


def edges(shape: Shape) -> tuple[str, str]:
    """Return the first and the last id that can fit: the list's own, or those of the eras with such days."""
    position, rows = POSITION[shape.dialect], f"FROM image_index r WHERE {listed(shape, 'r')}"
    least, most = f"(SELECT min({position}) {rows})", f"(SELECT max({position}) {rows})"
    if shape.days:
        first, last = eras(shape)
        first, last = f"coalesce({first}, {BEHIND_THE_LAST})", f"coalesce({last}, {BEFORE_THE_FIRST})"
        least = f"(SELECT max(id) FROM (SELECT {least} AS id UNION ALL SELECT {first}) e)"
        most = f"(SELECT min(id) FROM (SELECT {most} AS id UNION ALL SELECT {last}) e)"
    return least, most
