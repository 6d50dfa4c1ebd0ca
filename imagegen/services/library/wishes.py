"""What somebody wants to see of the library, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property
from typing import Any, Self

from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.services.library import marks
from imagegen.services.library.palette import COLOURS
from imagegen.services.library.words import Typed, fold, typed

FILTERS: dict[str, str | None] = {
    "all": None,
    "uploaded": marks.mark("kind", "uploaded"),
    "ai_generated": marks.mark("kind", "ai_generated"),
    "edited": marks.mark("kind", "edited"),
    "favourites": "favourite",
    "unused": "unused",
    "trash": None,
}
"""The filters, and the mark of what each shows."""

SORTS = ("newest", "oldest", "most_used", "name")

_CHOICES: dict[str, tuple[str, ...]] = {
    "filter": tuple(FILTERS),
    "sort": SORTS,
    "colour": tuple(COLOURS),
    "orientation": marks.ORIENTATIONS,
}
_FACETS = {
    "collection": "set",
    "person": "by",
    "provider": "provider",
    "model": "model",
    "style": "style",
    "colour": "colour",
    "orientation": "shape",
}
_OF_WHOLE_JOBS = frozenset({"q", "person", "style"})
"""Wishes that all pictures of a job meet, or none, so that one can stand for them.

Not so a provider and a model: where one fails, another stands in. Words are the prompt's as a rule.
"""

_FIRST_DAY, _LAST_DAY = date(1990, 1, 1), date(2199, 12, 31)


@dataclass(frozen=True)
class Wish:
    """Which pictures, and in what order; whatever is empty narrows nothing.

    `tag` is a tag's name, `collection` and `person` are public ids, `since` and `until` days in UTC, both included.
    `stack` shows the variants of a job as one, where all of them would be shown; `near` only what looks like an
    earlier picture. Raises StudioError with the field.
    """

    filter: str = "all"
    q: str = ""
    sort: str = "newest"
    tag: str = ""
    collection: str = ""
    person: str = ""
    provider: str = ""
    model: str = ""
    style: str = ""
    colour: str = ""
    orientation: str = ""
    since: date | None = None
    until: date | None = None
    stack: bool = False
    near: bool = False

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices and (value or name in ("filter", "sort")):
                raise _no_such(name, choices)

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Self:
        """Return the wish that `given` holds in its own words or as a saved search does; other keys are left out."""
        known = {field.name for field in fields(cls)}
        kept = {name: value for name, value in given.items() if name in known and value not in (None, "")}
        for name in ("since", "until"):
            if isinstance(kept.get(name), str):
                kept[name] = _day(kept[name], name)
        for name in ("stack", "near"):
            if name in kept:
                kept[name] = kept[name] in (True, "1")
        return cls(**kept)

    def to_mapping(self) -> dict[str, Any]:
        """Return what differs from the whole library, newest first, as JSON can hold it."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        narrowed = {name: value for name, value in found.items() if value not in ("", None, False)}
        defaults = {"filter": "all", "sort": "newest"}
        return {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in narrowed.items()
            if defaults.get(name) != value
        }

    @property
    def trashed(self) -> bool:
        """Whether it is about the trash."""
        return self.filter == "trash"

    @cached_property
    def typed(self) -> tuple[Typed, ...]:
        """What was typed, piece by piece."""
        return typed(self.q)

    @cached_property
    def stacked(self) -> bool:
        """Whether one picture stands for the others of its job."""
        others = set(self.to_mapping()) - {"stack", "sort"} - _OF_WHOLE_JOBS
        return self.stack and others <= {"filter"} and self.filter in ("all", "ai_generated")

    @cached_property
    def marks(self) -> list[str]:
        """The marks that a picture must have, all of them."""
        return list(self._marks())

    def _marks(self) -> Iterator[str]:
        of_filter = FILTERS[self.filter]
        if of_filter:
            yield of_filter
        if self.tag:
            yield marks.mark("tag", fold(self.tag).strip())
        for name, facet in _FACETS.items():
            if getattr(self, name):
                yield marks.mark(facet, getattr(self, name))
        if self.stacked:
            yield "head"
        if self.near:
            yield "near"

    @property
    def days(self) -> tuple[date, date] | None:
        """The first and the last day on which a picture may have come; None if any day will do."""
        if self.since is None and self.until is None:
            return None
        return max(self.since or _FIRST_DAY, _FIRST_DAY), min(self.until or _LAST_DAY, _LAST_DAY)


def _no_such(name: str, choices: tuple[str, ...]) -> StudioError:
    sentences = {
        "filter": N_("There is no such filter. Choose one of: {choices}."),
        "sort": N_("There is no such order. Choose one of: {choices}."),
        "colour": N_("There is no such colour. Choose one of: {choices}."),
        "orientation": N_("There is no such orientation. Choose one of: {choices}."),
    }
    return StudioError(sentences[name].format(choices=", ".join(choices)), field=name)


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise StudioError(N_("Write the day like 2026-11-21."), field=field) from None
