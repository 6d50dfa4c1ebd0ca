"""The trash: out of sight first, gone for ever only when somebody says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import delete, select, update

from imagegen.core.clock import now
from imagegen.models import Image, Shot, UnitOfWork, writes
from imagegen.services.library import indexing, stacks, usage
from imagegen.services.library.selecting import chosen, the_one


@writes
def put_into_trash(uow: UnitOfWork, *, public_ids: Iterable[str]) -> list[str]:
    """Put pictures into the trash; return those that were not in it, whose `restore_all` undoes it.

    Those in use stay where they are used: ask `usage.where_used(…, warning=True)` before, and say so.
    """
    return [public_id for _, public_id in _move(uow, dict(chosen(uow, public_ids)), deleted_at=now())]


@writes
def restore_all(uow: UnitOfWork, *, public_ids: Iterable[str]) -> list[str]:
    """Take pictures out of the trash, as they were; return those that were in it."""
    return [public_id for _, public_id in _move(uow, dict(chosen(uow, public_ids, trashed=True)), deleted_at=None)]


@writes
def trash(uow: UnitOfWork, *, public_id: str) -> None:
    """Put one picture into the trash; raises NotFound."""
    the_one(_move(uow, dict(chosen(uow, [public_id])), deleted_at=now()))


@writes
def restore(uow: UnitOfWork, *, public_id: str) -> None:
    """Take one picture out of the trash; raises NotFound if it is not there."""
    the_one(_move(uow, dict(chosen(uow, [public_id], trashed=True)), deleted_at=None))


@writes
def delete_for_ever(uow: UnitOfWork, *, public_ids: Iterable[str]) -> list[str]:
    """Delete pictures that lie in the trash; return their ids. Their files go with the next clean-up.

    Rows go before files: a file without a row is swept, a row without its file would be a broken picture.
    """
    images = dict(chosen(uow, public_ids, trashed=True, held=True))
    forget(uow, images)
    return list(images.values())


def forget(uow: UnitOfWork, images: Mapping[int, str]) -> None:
    """Delete pictures, by their ids and public ids, and what is known of them elsewhere."""
    for public_id in usage.users_among(uow, kind=usage.VERSION, references=images.values()):
        usage.release(uow, kind=usage.VERSION, reference=public_id)
    alike = _alike(uow, images)
    made_for = select(Image.shot_id).where(Image.id.in_(images))
    for statement in (
        update(Shot).where(Shot.id.in_(made_for)).values(picture_deleted_at=now()),
        delete(Image).where(Image.id.in_(images)),
    ):
        uow.execute(statement, execution_options={"synchronize_session": False})
    indexing.reindex(uow, alike)


def _move(uow: UnitOfWork, images: dict[int, str], *, deleted_at: datetime | None) -> list[tuple[int, str]]:
    """Move those that nobody else has moved or deleted meanwhile; return them by id and public id."""
    jobs = stacks.held_jobs(uow, images)
    alike = _alike(uow, images)
    indexing.hold(uow, {*images, *alike, *stacks.pictures_of(uow, jobs)})
    there = Image.deleted_at.is_not(None) if deleted_at is None else Image.deleted_at.is_(None)
    moving = update(Image).where(Image.id.in_(images), there).values(deleted_at=deleted_at, stack_size=1)
    moved = set(uow.scalars(moving.returning(Image.id), execution_options={"synchronize_session": False}))
    indexing.reindex(uow, {*moved, *alike, *stacks.restack(uow, jobs)})
    return [(image_id, public_id) for image_id, public_id in images.items() if image_id in moved]


def _alike(uow: UnitOfWork, images: Mapping[int, str]) -> set[int]:
    """Return the ids of other pictures that are known to look like one of these."""
    return set(uow.scalars(select(Image.id).where(Image.near_id.in_(images)))) - images.keys()
