"""Saved searches: each person's own."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from imagegen.core.errors import Conflict, NotFound, StudioError
from imagegen.core.text import N_, clean, is_visible
from imagegen.extensions import db
from imagegen.models import SavedSearch, UnitOfWork, writes
from imagegen.services import ceilings
from imagegen.services.library.wishes import Wish

LONGEST = 80


def all_searches(*, user_id: int) -> Sequence[SavedSearch]:
    """Return a person's searches in the organisation in scope, by name."""
    return db.session.scalars(
        select(SavedSearch).where(SavedSearch.user_id == user_id).order_by(SavedSearch.name)
    ).all()


@writes
def save(uow: UnitOfWork, *, organisation_id: int, user_id: int, name: str, wish: Wish) -> SavedSearch:
    """Keep a search under a name; raises Conflict if the person has one of that name, StudioError for no name.

    StudioError too if they keep as many as they may.
    """
    spelt = _named(uow, user_id, name)
    ceilings.check(uow, SavedSearch, organisation_id=organisation_id, where=SavedSearch.user_id == user_id)
    made = SavedSearch(organisation_id=organisation_id, user_id=user_id, name=spelt, wish=wish.to_mapping())
    uow.add(made)
    return made


@writes
def rename(uow: UnitOfWork, *, user_id: int, public_id: str, name: str) -> None:
    """Call a search of one's own something else; raises NotFound, Conflict."""
    found = _search(uow, user_id, public_id)
    found.name = _named(uow, user_id, name, but=found.id)


@writes
def forget(uow: UnitOfWork, *, user_id: int, public_id: str) -> None:
    """Delete a search of one's own; raises NotFound."""
    uow.delete(_search(uow, user_id, public_id))


def _search(uow: UnitOfWork, user_id: int, public_id: str) -> SavedSearch:
    found = uow.scalar(select(SavedSearch).where(SavedSearch.user_id == user_id, SavedSearch.public_id == public_id))
    if found is None:
        raise NotFound(N_("There is no such search."))
    return found


def _named(uow: UnitOfWork, user_id: int, name: str, *, but: int | None = None) -> str:
    spelt = " ".join(clean(name).split())
    if not is_visible(spelt) or len(spelt) > LONGEST:
        raise StudioError(N_("Give it a name of up to {most} characters.").format(most=LONGEST), field="name")
    taken = select(SavedSearch.id).where(SavedSearch.user_id == user_id, SavedSearch.name == spelt)
    if uow.scalar(taken if but is None else taken.where(SavedSearch.id != but)) is not None:
        raise Conflict(N_("You have a search of that name already. Choose another name."), field="name")
    return spelt
