"""What the library's pages send, read into the services' own words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict

from imagegen.core.errors import StudioError
from imagegen.core.ids import is_id
from imagegen.core.text import N_
from imagegen.services import library
from imagegen.services.library import AT_A_TIME, Wish

MOST_AT_A_TIME = 5_000
"""How many pictures one click changes: a request of that size ends in seconds, and can be undone as a whole."""


def wish(given: Mapping[str, Any]) -> Wish:
    """Return what an address or a form wants to see; raises StudioError with the field."""
    return Wish.from_mapping(given)


def sensible(given: Mapping[str, Any]) -> tuple[Wish, dict[str, str]]:
    """Return what an address asks for, as far as that can be wished; and by its name what cannot."""
    left = dict(given.items())
    senseless: dict[str, str] = {}
    while True:
        try:
            return wish(left), senseless
        except StudioError as error:
            if error.field is None or error.field not in left:
                raise
            senseless[error.field] = left.pop(error.field)


def address_of(wanted: Wish, **but: Any) -> dict[str, Any]:
    """Return `wanted` as arguments of an address, with what `but` says instead; what is None falls away."""
    found = {name: "1" if value is True else value for name, value in wanted.to_mapping().items()} | but
    return {name: value for name, value in found.items() if value not in (None, "")}


@dataclass(frozen=True)
class Selection:
    """Which pictures a verb is about: those named, or all that fit a wish but some."""

    named: tuple[str, ...]
    fitting: Wish | None
    excepted: frozenset[str]

    def batches(self) -> Iterator[list[str]]:
        """Yield their ids, `AT_A_TIME` at a time and `MOST_AT_A_TIME` together."""
        left = MOST_AT_A_TIME
        for batch in self._all():
            yield from _in_turns(batch[:left])
            left -= len(batch)
            if left <= 0:
                return

    def ids(self) -> list[str]:
        """Return the ids of all of them, `MOST_AT_A_TIME` at most."""
        return [public_id for batch in self.batches() for public_id in batch]

    def _all(self) -> Iterator[list[str]]:
        if self.fitting is None:
            yield list(self.named)
            return
        for batch in library.batches(self.fitting):
            yield [public_id for public_id in batch if public_id not in self.excepted]


def selection(form: MultiDict[str, str]) -> Selection:
    """Return the pictures that a form is about: `ids`, or with `all` those of its wish but `except`.

    Ids come one by one, as from ticked boxes, or many in one field with commas between. Raises StudioError for none.
    """
    fitting = wish(form) if form.get("all") else None
    ids = named(form)
    if fitting is None and not ids:
        raise StudioError(N_("Choose at least one picture."), field="ids")
    if len(ids) > MOST_AT_A_TIME:
        raise StudioError(N_("That is too many at once: {most} at most.").format(most=MOST_AT_A_TIME), field="ids")
    return Selection(ids, fitting, frozenset(_ids(form, "except")))


def named(form: MultiDict[str, str]) -> tuple[str, ...]:
    """Return the ids that a form names, each once."""
    return tuple(dict.fromkeys(_ids(form, "ids")))


def groups(text: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield pictures, `AT_A_TIME` at a time, each time with the tags that they are to get or to lose.

    `text` is JSON: lists of ids by the names of tags. Raises StudioError for anything else, and for too many.
    """
    try:
        found = {str(names): [str(each) for each in ids] for names, ids in json.loads(text).items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise StudioError(N_("Choose at least one picture."), field="ids") from None
    if sum(map(len, found.values())) > MOST_AT_A_TIME:
        raise StudioError(N_("That is too many at once: {most} at most.").format(most=MOST_AT_A_TIME), field="ids")
    for names, ids in found.items():
        yield from ((part, {"tags": names}) for part in _in_turns(ids))


def _in_turns(ids: list[str]) -> Iterator[list[str]]:
    """Yield ids `AT_A_TIME` at a time, and let others have their turn in between."""
    for at in range(0, len(ids), AT_A_TIME):
        yield ids[at : at + AT_A_TIME]
        # One process answers everybody: without this nobody hears anything until the last one is changed.
        time.sleep(0)


def _ids(form: MultiDict[str, str], name: str) -> Iterator[str]:
    for value in form.getlist(name):
        yield from filter(is_id, value.split(","))


def names(text: str) -> list[str]:
    """Return the names in a text that has commas between them."""
    return [name for name in (piece.strip() for piece in text.split(",")) if name]


def back() -> str | None:
    """Return the address within the library that a form names as the one to go back to, or None."""
    given = request.form.get("back", "")
    return given if given.startswith("/library") and "\\" not in given and "//" not in given else None
