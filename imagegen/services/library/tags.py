"""Tags: an organisation's own words on its pictures."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import delete, select, update

from imagegen.core.errors import Conflict, NotFound, StudioError
from imagegen.core.text import N_, clean, is_visible
from imagegen.extensions import db
from imagegen.models import Image, ImageTag, Organisation, Tag, UnitOfWork, writes
from imagegen.models.scope import current_organisation
from imagegen.services import ceilings
from imagegen.services.library import indexing
from imagegen.services.library.selecting import AT_A_TIME, chosen
from imagegen.services.library.words import fold

LONGEST = 60
LONGEST_KEY = 120
"""Without its variants one letter may become eighteen (U+FDFA)."""

MOST_OF_PICTURE = 50
SUGGESTIONS = 10


def suggest(q: str = "", *, limit: int = SUGGESTIONS) -> Sequence[Tag]:
    """Return the tags that begin with what was typed, in the order of the alphabet."""
    query = select(Tag).order_by(Tag.key).limit(limit)
    start = key_of(q)
    return db.session.scalars(query.where(Tag.key.startswith(start, autoescape=True)) if start else query).all()


def all_tags() -> Sequence[Tag]:
    """Return all tags of the organisation in scope, in the order of the alphabet."""
    return db.session.scalars(select(Tag).order_by(Tag.key)).all()


def tags_of(image_ids: Iterable[int]) -> dict[int, list[str]]:
    """Return the names of each picture's tags, in the order of the alphabet; pictures without any are left out."""
    query = select(ImageTag.image_id, Tag.name).join(Tag).where(ImageTag.image_id.in_(list(image_ids)))
    found: dict[int, list[str]] = {}
    for image_id, name in db.session.execute(query.order_by(Tag.key)):
        found.setdefault(image_id, []).append(name)
    return found


@writes
def tag_all(uow: UnitOfWork, *, public_ids: Iterable[str], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Put tags on pictures; return the pictures that lacked one of them, each with those that it lacked."""
    images = dict(chosen(uow, public_ids))
    wanted = {tag.id: tag.name for tag in _tags_named(uow, names)}
    pairs = select(ImageTag.image_id, ImageTag.tag_id).where(
        ImageTag.image_id.in_(images), ImageTag.tag_id.in_(wanted)
    )
    had = {(row.image_id, row.tag_id) for row in uow.execute(pairs)}
    organisation_id = _organisation()
    fresh = [(i, t) for i in images for t in wanted if (i, t) not in had]
    uow.add_all(ImageTag(image_id=i, tag_id=t, organisation_id=organisation_id) for i, t in fresh)
    return _changed(images, wanted, fresh)


@writes
def untag_all(uow: UnitOfWork, *, public_ids: Iterable[str], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Take tags off pictures; return the pictures that had one of them, each with those that it had."""
    images = dict(chosen(uow, public_ids))
    keys = [key for key, _ in _checked(names)]
    unwanted = {tag.id: tag.name for tag in uow.scalars(select(Tag).where(Tag.key.in_(keys)))}
    gone = delete(ImageTag).where(ImageTag.image_id.in_(images), ImageTag.tag_id.in_(unwanted))
    pairs = uow.execute(
        gone.returning(ImageTag.image_id, ImageTag.tag_id), execution_options={"synchronize_session": False}
    ).all()
    indexing.reindex(uow, {row.image_id for row in pairs})
    return _changed(images, unwanted, [(row.image_id, row.tag_id) for row in pairs])


def _changed(
    images: Mapping[int, str], names: Mapping[int, str], pairs: Iterable[tuple[int, int]]
) -> dict[str, tuple[str, ...]]:
    """Return the public ids of pictures with the names of their tags, both in the order of what was asked for."""
    found = set(pairs)
    per_image = {i: tuple(name for t, name in names.items() if (i, t) in found) for i in images}
    return {images[i]: changed for i, changed in per_image.items() if changed}


def set_tags(uow: UnitOfWork, *, image: Image, names: Iterable[str]) -> None:
    """Let a picture have exactly these tags; raises StudioError with the field `tags`."""
    wanted = {tag.id for tag in _tags_named(uow, names)}
    rows = uow.scalars(select(ImageTag).where(ImageTag.image_id == image.id)).all()
    for row in rows:
        if row.tag_id not in wanted:
            uow.delete(row)
    had = {row.tag_id for row in rows}
    uow.add_all(
        ImageTag(image_id=image.id, tag_id=tag_id, organisation_id=image.organisation_id) for tag_id in wanted - had
    )


def rename(*, public_id: str, name: str) -> Tag:
    """Write a tag differently, on all its pictures; raises NotFound, Conflict if there is another of that name.

    Where they are many they go over to a tag of the new name a few at a time, and others can write in between.
    """
    tag, successor = _rename(public_id=public_id, name=name)
    while successor is not None:
        time.sleep(0)
        tag, successor = _hand_over(public_id=public_id, to=successor)
    return tag


@writes
def _rename(uow: UnitOfWork, *, public_id: str, name: str) -> tuple[Tag, str | None]:
    """Rename a tag of a few pictures; for one of many, make the tag that succeeds it and return its public id."""
    tag = _tag(uow, public_id)
    if not key_of(name):
        raise StudioError(N_("Write a tag."), field="name")
    ((key, spelt),) = _checked([name])
    if uow.scalar(select(Tag.id).where(Tag.key == key, Tag.id != tag.id)) is not None:
        raise Conflict(N_("There is a tag of that name already. Choose another name."), field="name")
    images = [] if tag.key == key else _some_with(uow, tag)
    if len(images) == AT_A_TIME:
        successor = Tag(organisation_id=tag.organisation_id, name=spelt, key=key)
        uow.add(successor)
        uow.flush()
        return successor, successor.public_id
    tag.name, tag.key = spelt, key
    indexing.reindex(uow, images)
    return tag, None


@writes
def _hand_over(uow: UnitOfWork, *, public_id: str, to: str) -> tuple[Tag, str | None]:
    """Put the tag `to` on some pictures instead of another; with the last of them that goes, and leaves its id."""
    tag, successor = _tag(uow, public_id), _tag(uow, to)
    images = _some_with(uow, tag)
    have = select(ImageTag.image_id).where(ImageTag.tag_id == successor.id, ImageTag.image_id.in_(images))
    _take_off(uow, tag, uow.scalars(have).all())
    given = update(ImageTag).where(ImageTag.tag_id == tag.id, ImageTag.image_id.in_(images))
    uow.execute(given.values(tag_id=successor.id), execution_options={"synchronize_session": False})
    last = len(images) < AT_A_TIME
    if last:
        uow.delete(tag)
        uow.flush()
        successor.public_id = public_id
    indexing.reindex(uow, images)
    return successor, None if last else to


def remove(*, public_id: str) -> None:
    """Delete a tag, and so take it off all pictures; raises NotFound.

    Off a few at a time where they are many, and others can write in between.
    """
    while not _remove(public_id=public_id):
        time.sleep(0)


@writes
def _remove(uow: UnitOfWork, *, public_id: str) -> bool:
    """Take a tag off some pictures; with the last of them it goes. Tell whether it has."""
    tag = _tag(uow, public_id)
    images = _some_with(uow, tag)
    _take_off(uow, tag, images)
    last = len(images) < AT_A_TIME
    if last:
        uow.delete(tag)
    indexing.reindex(uow, images)
    return last


def _take_off(uow: UnitOfWork, tag: Tag, image_ids: Sequence[int]) -> None:
    gone = delete(ImageTag).where(ImageTag.tag_id == tag.id, ImageTag.image_id.in_(image_ids))
    uow.execute(gone, execution_options={"synchronize_session": False})


def key_of(name: str) -> str:
    """Return what names have in common that mean the same tag; nothing for what nobody could see."""
    return " ".join(fold(clean(name)).split()) if is_visible(name) else ""


def _alone(uow: UnitOfWork) -> None:
    """Let nobody else make, rename or delete a tag of the organisation until the commit."""
    organisation = select(Organisation.id).where(Organisation.id == _organisation())
    uow.execute(organisation.with_for_update(key_share=True))


def _tag(uow: UnitOfWork, public_id: str) -> Tag:
    _alone(uow)
    tag = uow.scalar(select(Tag).where(Tag.public_id == public_id))
    if tag is None:
        raise NotFound(N_("There is no such tag."))
    return tag


def _some_with(uow: UnitOfWork, tag: Tag) -> Sequence[int]:
    """Return pictures with the tag: all of them, if they are fewer than `AT_A_TIME`."""
    images = select(ImageTag.image_id).where(ImageTag.tag_id == tag.id).order_by(ImageTag.image_id)
    return uow.scalars(images.limit(AT_A_TIME)).all()


def _tags_named(uow: UnitOfWork, names: Iterable[str]) -> list[Tag]:
    """Return the tags of these names, made where there are none."""
    wanted = _checked(names)
    _alone(uow)
    found = {tag.key: tag for tag in uow.scalars(select(Tag).where(Tag.key.in_([key for key, _ in wanted])))}
    fresh = [Tag(organisation_id=_organisation(), name=name, key=key) for key, name in wanted if key not in found]
    if fresh:
        ceilings.check(uow, Tag, organisation_id=_organisation(), more=len(fresh))
    uow.add_all(fresh)
    uow.flush()
    return [*found.values(), *fresh]


def _checked(names: Iterable[str]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for name in names:
        spelt = " ".join(clean(name).split())
        if len(spelt) > LONGEST or len(key_of(spelt)) > LONGEST_KEY:
            raise StudioError(N_("A tag is too long: {most} characters at most.").format(most=LONGEST), field="tags")
        if key_of(spelt):
            found.setdefault(key_of(spelt), spelt)
    if len(found) > MOST_OF_PICTURE:
        raise StudioError(N_("A picture has {most} tags at most.").format(most=MOST_OF_PICTURE), field="tags")
    return list(found.items())


def _organisation() -> int:
    organisation_id = current_organisation()
    if organisation_id is None:
        raise RuntimeError("tags belong to an organisation, and none is in scope")
    return organisation_id
