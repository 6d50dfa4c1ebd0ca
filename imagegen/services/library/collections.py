"""Collections: pictures that belong together, put there by hand."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select

from imagegen.core.errors import Conflict, NotFound, StudioError
from imagegen.core.ids import is_id
from imagegen.core.text import N_, clean, is_visible
from imagegen.extensions import db
from imagegen.models import Collection, CollectionImage, UnitOfWork, writes
from imagegen.services import ceilings
from imagegen.services.library import indexing
from imagegen.services.library.selecting import AT_A_TIME, chosen
from imagegen.services.library.words import fold

LONGEST = 120
LONGEST_KEY = 240
"""Without its variants one letter may become eighteen (U+FDFA)."""


def all_collections() -> Sequence[Collection]:
    """Return the collections of the organisation in scope, by name."""
    return db.session.scalars(select(Collection).order_by(Collection.key)).all()


def get(public_id: str) -> Collection:
    """Return a collection of the organisation in scope; raises NotFound."""
    found = (
        db.session.scalar(select(Collection).where(Collection.public_id == public_id)) if is_id(public_id) else None
    )
    if found is None:
        raise _no_such()
    return found


def exists(public_id: str) -> bool:
    """Say whether there is such a collection in the organisation in scope."""
    query = select(Collection.id).where(Collection.public_id == public_id)
    return is_id(public_id) and db.session.scalar(query) is not None


def collections_of(image_id: int) -> Sequence[Collection]:
    """Return the collections that a picture is in, by name."""
    query = select(Collection).join(CollectionImage).where(CollectionImage.image_id == image_id)
    return db.session.scalars(query.order_by(Collection.key)).all()


@writes
def make(uow: UnitOfWork, *, organisation_id: int, user_id: int, name: str) -> Collection:
    """Make an empty collection; raises Conflict if there is one of that name, StudioError if no more fit."""
    spelt, key = _named(uow, name)
    ceilings.check(uow, Collection, organisation_id=organisation_id)
    made = Collection(organisation_id=organisation_id, user_id=user_id, name=spelt, key=key)
    uow.add(made)
    return made


@writes
def begin(
    uow: UnitOfWork, *, organisation_id: int, user_id: int, name: str, image_ids: Iterable[str]
) -> tuple[Collection, list[str]]:
    """Make a collection of pictures; return it, and those that are in it.

    Raises StudioError if none of them is in the library, or no more collections fit, and Conflict if there is one of
    that name.
    """
    spelt, key = _named(uow, name)
    images = dict(chosen(uow, image_ids))
    if not images:
        raise StudioError(N_("Choose at least one picture."), field="ids")
    ceilings.check(uow, Collection, organisation_id=organisation_id)
    made = Collection(organisation_id=organisation_id, user_id=user_id, name=spelt, key=key)
    uow.add(made)
    uow.flush()
    _put_in(uow, made, images)
    return made, list(images.values())


@writes
def rename(uow: UnitOfWork, *, public_id: str, name: str) -> Collection:
    """Call a collection something else; raises NotFound, Conflict."""
    found = _collection(uow, public_id)
    found.name, found.key = _named(uow, name, but=found.id)
    return found


def remove(*, public_id: str) -> None:
    """Delete a collection; its pictures stay where they are. Raises NotFound.

    A few leave it at a time where they are many, and others can write in between.
    """
    while not _remove(public_id=public_id):
        time.sleep(0)


@writes
def _remove(uow: UnitOfWork, *, public_id: str) -> bool:
    """Take some pictures out of a collection; with the last of them it goes. Tell whether it has."""
    found = _collection(uow, public_id)
    inside = select(CollectionImage.image_id).where(CollectionImage.collection_id == found.id)
    images = uow.scalars(inside.order_by(CollectionImage.image_id).limit(AT_A_TIME)).all()
    gone = delete(CollectionImage).where(
        CollectionImage.collection_id == found.id, CollectionImage.image_id.in_(images)
    )
    uow.execute(gone, execution_options={"synchronize_session": False})
    last = len(images) < AT_A_TIME
    if last:
        uow.delete(found)
    indexing.reindex(uow, images)
    return last


@writes
def put_in(uow: UnitOfWork, *, public_id: str, image_ids: Iterable[str]) -> list[str]:
    """Put pictures into a collection; return those that were not in it."""
    collection = _collection(uow, public_id)
    images = dict(chosen(uow, image_ids))
    had = set(
        uow.scalars(
            select(CollectionImage.image_id).where(
                CollectionImage.collection_id == collection.id, CollectionImage.image_id.in_(images)
            )
        )
    )
    fresh = [image_id for image_id in images if image_id not in had]
    _put_in(uow, collection, fresh)
    return [images[image_id] for image_id in fresh]


@writes
def take_out(uow: UnitOfWork, *, public_id: str, image_ids: Iterable[str]) -> list[str]:
    """Take pictures out of a collection; return those that were in it."""
    collection = _collection(uow, public_id)
    images = dict(chosen(uow, image_ids))
    gone = delete(CollectionImage).where(
        CollectionImage.collection_id == collection.id, CollectionImage.image_id.in_(images)
    )
    changed = set(
        uow.scalars(gone.returning(CollectionImage.image_id), execution_options={"synchronize_session": False})
    )
    indexing.reindex(uow, changed)
    return [public_id for image_id, public_id in images.items() if image_id in changed]


def _collection(uow: UnitOfWork, public_id: str) -> Collection:
    """Return a collection that nobody else changes or deletes until the commit; raises NotFound."""
    query = select(Collection).where(Collection.public_id == public_id).with_for_update(key_share=True)
    found = uow.scalar(query) if is_id(public_id) else None
    if found is None:
        raise _no_such()
    return found


def _put_in(uow: UnitOfWork, collection: Collection, image_ids: Iterable[int]) -> None:
    uow.add_all(
        CollectionImage(collection_id=collection.id, image_id=image_id, organisation_id=collection.organisation_id)
        for image_id in image_ids
    )


def _no_such() -> NotFound:
    return NotFound(N_("There is no such collection."))


def _no_name() -> StudioError:
    return StudioError(N_("Give it a name of up to {most} characters.").format(most=LONGEST), field="name")


def _named(uow: UnitOfWork, name: str, *, but: int | None = None) -> tuple[str, str]:
    spelt = " ".join(clean(name).split())
    if not is_visible(spelt) or len(spelt) > LONGEST:
        raise _no_name()
    key = fold(spelt)
    if len(key) > LONGEST_KEY:
        raise _no_name()
    taken = select(Collection.id).where(Collection.key == key)
    if uow.scalar(taken if but is None else taken.where(Collection.id != but)) is not None:
        raise Conflict(N_("There is a collection of that name already. Choose another name."), field="name")
    return spelt, key
