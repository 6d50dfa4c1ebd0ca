"""How many things of a kind may be kept: more than people need, less than a program gone wild makes. One table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from imagegen.core.errors import StudioError
from imagegen.core.text import N_, Message
from imagegen.models import Collection, Organisation, SavedSearch, Schedule, Tag, UnitOfWork


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How many there may be at most, and what is said to whoever wants more; `{most}` stands for the number."""

    most: int
    sentence: Message


CEILINGS: Mapping[type[Any], Ceiling] = {
    SavedSearch: Ceiling(500, N_("You keep {most} searches already, and no more fit. Delete one first.")),
    Tag: Ceiling(2_000, N_("The organisation has {most} tags already, and no more fit. Delete one first.")),
    Collection: Ceiling(1_000, N_("There are {most} collections already, and no more fit. Delete one first.")),
    Schedule: Ceiling(200, N_("There are {most} schedules already, and no more fit. Delete one first.")),
}
"""Searches are a person's, the others an organisation's; of schedules those count that have something to do yet."""


def check(
    uow: UnitOfWork,
    table: type[Any],
    *,
    organisation_id: int,
    more: int = 1,
    where: ColumnElement[bool] | None = None,
) -> None:
    """Raise StudioError if `more` of a kind do not fit; until the commit nobody else of the organisation is asked.

    `where` is the condition of those that count, of all that are the organisation's.
    """
    ceiling = CEILINGS[table]
    organisation = select(Organisation.id).where(Organisation.id == organisation_id)
    uow.execute(organisation.with_for_update(key_share=True))
    mine = select(func.count(table.id)).where(table.organisation_id == organisation_id)
    there = uow.scalar(mine if where is None else mine.where(where)) or 0
    if there + more > ceiling.most:
        raise StudioError(ceiling.sentence.format(most=ceiling.most))
