"""Which pictures a verb is about: some by their ids, or all that fit a wish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import select

from imagegen.core.errors import NotFound, StudioError
from imagegen.core.ids import is_id
from imagegen.core.text import N_
from imagegen.models import Image, UnitOfWork
from imagegen.services.library.listing import ids_of
from imagegen.services.library.wishes import Wish

MOST_AT_ONCE = 500
"""How many pictures one call changes: a transaction of that size holds nobody up for long."""

AT_A_TIME = 100
"""How many one transaction changes where there may be any number: SQLite has one writer, others want their turn."""


def checked(public_ids: Iterable[str]) -> list[str]:
    """Return ids without repetitions and nonsense; raises StudioError for too many."""
    found = [public_id for public_id in dict.fromkeys(public_ids) if is_id(public_id)]
    if len(found) > MOST_AT_ONCE:
        raise StudioError(N_("That is too many at once: {most} at most.").format(most=MOST_AT_ONCE), field="ids")
    return found


def chosen(
    uow: UnitOfWork, public_ids: Iterable[str], *, trashed: bool = False, held: bool = False
) -> list[tuple[int, str]]:
    """Return id and public id of those that are in the library, or in the trash.

    With `held` they stay there, and nobody else changes them, until the commit.
    """
    query = select(Image.id, Image.public_id).where(
        Image.public_id.in_(checked(public_ids)),
        Image.deleted_at.is_not(None) if trashed else Image.deleted_at.is_(None),
    )
    query = query.order_by(Image.id)
    return [(row.id, row.public_id) for row in uow.execute(query.with_for_update() if held else query)]


def the_one(found: Sequence[tuple[int, str]]) -> int:
    """Return the id of the only picture; raises NotFound if there is none."""
    if not found:
        raise NotFound(N_("There is no such picture."))
    return found[0][0]


def batches(wish: Wish) -> Iterator[list[str]]:
    """Yield the public ids of all that fits, `MOST_AT_ONCE` at a time; what a batch changes shifts no later one.

    The sort is by id whatever the wish says: the others move with what is done to a picture.
    """
    by_id = Wish.from_mapping(wish.to_mapping() | {"sort": "newest"})
    cursor: str | None = None
    while True:
        page = ids_of(by_id, cursor=cursor, limit=MOST_AT_ONCE)
        if page.items:
            yield [row.public_id for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return
