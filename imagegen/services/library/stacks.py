"""Stacks: the variants of a job shown as one, with their number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from sqlalchemy import case, func, select, update

from imagegen.models import Image, Job, UnitOfWork


def join(uow: UnitOfWork, image: Image) -> None:
    """Put a picture that is about to be added behind the first of its job, or let it be the first."""
    alive = select(Image.id).where(Image.job_id == image.job_id, Image.deleted_at.is_(None))
    head = uow.scalar(alive.order_by(Image.id).limit(1))
    if head is None:
        return
    image.stack_size = 0
    uow.execute(
        update(Image)
        .where(Image.id == head)
        .values(stack_size=Image.stack_size + 1, updated_at=Image.updated_at)
        .execution_options(synchronize_session=False)
    )


def restack(uow: UnitOfWork, jobs: AbstractSet[int]) -> Sequence[int]:
    """Let the first picture of each job that is not in the trash stand for the others; return those that it changed.

    Whoever calls it holds all pictures of these jobs (`pictures_of`), and indexes them.
    """
    alive = (
        select(func.min(Image.id).label("head"), func.count().label("size"))
        .where(Image.job_id.in_(jobs), Image.deleted_at.is_(None))
        .group_by(Image.job_id)
    )
    sizes = {row.head: row.size for row in uow.execute(alive)}
    if not sizes:
        return ()
    wanted = case(sizes, value=Image.id, else_=0)
    stale = update(Image).where(Image.job_id.in_(jobs), Image.deleted_at.is_(None), Image.stack_size != wanted)
    return uow.scalars(
        stale.values(stack_size=wanted, updated_at=Image.updated_at).returning(Image.id),
        execution_options={"synchronize_session": False},
    ).all()


def held_jobs(uow: UnitOfWork, image_ids: Iterable[int]) -> set[int]:
    """Return the ids of the jobs of these pictures; until the commit nobody else changes their stacks.

    Whoever brings a picture of a job holds the job first, too: two who saw a stack as it was before the other would
    count it wrongly, or hide a picture behind one that is gone.
    """
    of_images = select(Image.job_id).where(Image.id.in_(list(image_ids)), Image.job_id.is_not(None))
    jobs = select(Job.id).where(Job.id.in_(of_images)).order_by(Job.id).with_for_update(key_share=True)
    return set(uow.scalars(jobs))


def pictures_of(uow: UnitOfWork, jobs: AbstractSet[int]) -> Sequence[int]:
    """Return the ids of the pictures of these jobs."""
    return uow.scalars(select(Image.id).where(Image.job_id.in_(jobs))).all() if jobs else ()
