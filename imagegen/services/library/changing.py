"""Changing what people say of pictures: title, alt text, star."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select, update

from imagegen.core.errors import NotFound, StudioError
from imagegen.core.ids import is_id
from imagegen.core.text import N_, clean
from imagegen.models import Image, UnitOfWork, writes
from imagegen.services.library import indexing, tags
from imagegen.services.library.selecting import chosen, the_one

LONGEST_TITLE = 200
LONGEST_ALT_TEXT = 2_000


@writes
def change(
    uow: UnitOfWork,
    *,
    public_id: str,
    title: str | None = None,
    alt_text: str | None = None,
    favourite: bool | None = None,
    tag_names: Sequence[str] | None = None,
) -> None:
    """Change what is given of a picture, and leave the rest; `tag_names` are all that it has afterwards.

    Raises NotFound, or StudioError with the field for what is too long.
    """
    image = uow.scalar(select(Image).where(Image.public_id == public_id, Image.deleted_at.is_(None)))
    if image is None:
        raise NotFound(N_("There is no such picture."))
    if title is not None:
        image.title = _within(" ".join(clean(title).split()), LONGEST_TITLE, "title")
    if alt_text is not None:
        image.alt_text = _within(clean(alt_text).strip(), LONGEST_ALT_TEXT, "alt_text")
    if favourite is not None:
        image.favourite = favourite
    if tag_names is not None:
        tags.set_tags(uow, image=image, names=tag_names)


def _within(text: str, most: int, field: str) -> str:
    if len(text) > most:
        raise StudioError(N_("This is too long: {most} characters at most.").format(most=most), field=field)
    return text


@writes
def star(uow: UnitOfWork, *, public_id: str, on: bool) -> None:
    """Keep a picture in sight, or not any more; raises NotFound."""
    the_one(chosen(uow, [public_id] if is_id(public_id) else []))
    _star(uow, [public_id], on=on)


@writes
def star_all(uow: UnitOfWork, *, public_ids: Iterable[str], on: bool) -> list[str]:
    """Star pictures, or take their stars; return those that changed, whose inverse undoes it."""
    return _star(uow, public_ids, on=on)


def _star(uow: UnitOfWork, public_ids: Iterable[str], *, on: bool) -> list[str]:
    ids = [image_id for image_id, _ in chosen(uow, public_ids)]
    indexing.hold(uow, ids)
    changed = uow.execute(
        update(Image)
        .where(Image.id.in_(ids), Image.favourite.is_(not on))
        .values(favourite=on)
        .returning(Image.id, Image.public_id),
        execution_options={"synchronize_session": False},
    ).all()
    indexing.reindex(uow, (row.id for row in changed))
    return [row.public_id for row in changed]
