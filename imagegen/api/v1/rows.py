"""From rows to what the API says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import url_for
from sqlalchemy import Select, func, select

from imagegen.api.v1 import schemas
from imagegen.core.errors import ErrorKind
from imagegen.core.money import Micro, to_usd
from imagegen.extensions import db
from imagegen.models import Image, Job
from imagegen.models.states import ShotStatus
from imagegen.providers.sizes import RATIOS, size_for_ratio
from imagegen.providers.specs import ModelSpec, Size, SizeRule
from imagegen.services import jobs, library
from imagegen.services.jobs import JobView, ShotView
from imagegen.web.language import said

CURRENCY = "USD"
_TILE_WIDTH = 512

IMAGE_COLUMNS = (
    Image.id,
    Image.public_id,
    Image.job_id,
    Image.parent_id,
    Image.kind,
    Image.filename,
    Image.original_filename,
    Image.title,
    Image.alt_text,
    Image.prompt,
    Image.provider,
    Image.model,
    Image.seed,
    Image.mime_type,
    Image.width,
    Image.height,
    Image.file_size,
    Image.sha256,
    Image.storage_provider,
    Image.renditions,
    Image.favourite,
    Image.usage_count,
    Image.last_used_at,
    Image.created_at,
    Image.updated_at,
    Image.deleted_at,
)
"""What `images` needs of a row: whole objects would cost half as much again."""


def money(amount: Micro | None) -> str | None:
    """Return an amount as the API writes it; None if it is not known."""
    return None if amount is None else to_usd(amount)


def capped(query: Select[Any]) -> int:
    """Return how many rows `query` has, counting no further than the API tells."""
    counted = query.order_by(None).limit(schemas.MOST_COUNTED).subquery()
    return db.session.scalar(select(func.count()).select_from(counted)) or 0


def size(pixels: Size) -> str:
    """Return a size as requests write it: 1024x1280."""
    return "{}x{}".format(*pixels)


def sizes(model: ModelSpec) -> list[str]:
    """Return the exact sizes of `model`: all that it has, or the best of each shape if it draws freely."""
    if not isinstance(model.sizes, SizeRule):
        return [size(pixels) for pixels in model.sizes]
    best = (size_for_ratio(model, ratio).size for ratio in RATIOS)
    return [size(pixels) for pixels in dict.fromkeys((model.default_size, *best))]


def images(rows: Sequence[Any]) -> list[schemas.Image]:
    """Return pictures (objects, or rows with `IMAGE_COLUMNS`): three queries at most, however many."""
    job_ids = _public_ids(Job, {row.job_id for row in rows})
    parent_ids = _public_ids(Image, {row.parent_id for row in rows})
    tags = library.tags_of(row.id for row in rows)
    return [_image(row, job_ids.get(row.job_id), parent_ids.get(row.parent_id), tags.get(row.id, [])) for row in rows]


def _public_ids(table: type[Job] | type[Image], ids: set[int | None]) -> dict[int | None, str]:
    wanted = [number for number in ids if number is not None]
    if not wanted:
        return {}
    found = db.session.execute(select(table.id, table.public_id).where(table.id.in_(wanted)))
    return {row.id: row.public_id for row in found}


def _image(row: Any, job_id: str | None, parent_id: str | None, tags: list[str]) -> schemas.Image:
    return schemas.Image(
        id=row.public_id,
        filename=row.filename,
        original_filename=row.original_filename,
        title=row.title,
        alt_text=row.alt_text,
        tags=tags,
        kind=row.kind,
        mime_type=row.mime_type,
        width=row.width,
        height=row.height,
        file_size=row.file_size,
        sha256=row.sha256,
        storage_provider=row.storage_provider,
        url=_file_url(row.public_id),
        thumbnail_urls={
            str(width): _thumbnail_url(row.public_id, width)
            for width in sorted(rendition["width"] for rendition in row.renditions)
        },
        prompt=row.prompt,
        provider=row.provider,
        model=row.model,
        seed=row.seed,
        job_id=job_id,
        parent_id=parent_id,
        usage_count=row.usage_count,
        last_used_at=row.last_used_at,
        favourite=row.favourite,
        created_at=row.created_at,
        updated_at=row.updated_at,
        deleted_at=row.deleted_at,
    )


def _file_url(image_id: str) -> str:
    return url_for("api-images.file", image_id=image_id)


def _thumbnail_url(image_id: str, width: int) -> str:
    return url_for("api-images.thumbnail", image_id=image_id, width=width)


def job_list(rows: Sequence[Job]) -> list[schemas.Job]:
    """Return jobs with their shots and pictures: two queries, however many."""
    return [_job(view) for view in jobs.view(rows)]


def job(row: Job) -> schemas.Job:
    """Return one job with its shots and pictures."""
    return job_list([row])[0]


def _job(view: JobView) -> schemas.Job:
    row = view.job
    shots = [_shot(each) for each in view.shots]
    return schemas.Job(
        id=row.public_id,
        kind=row.kind,
        status=row.status,
        paused=row.paused_at is not None,
        progress=schemas.Progress(done=row.done, total=row.total, percent=100 * row.done // max(row.total, 1)),
        shots=shots,
        images=[_job_image(each.image) for each in view.shots if each.image is not None],
        cost=schemas.JobCost(estimated=money(row.estimated_micro), actual=money(_actual(view)), currency=CURRENCY),
        error=next((shot.error for shot in shots if shot.error), None) if row.finished else None,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _actual(view: JobView) -> Micro | None:
    """Return what the job has cost so far; None if something was delivered at a price that nobody knows."""
    unknown = any(each.shot.status == ShotStatus.SUCCEEDED and each.shot.actual_micro is None for each in view.shots)
    return None if unknown else view.job.actual_micro


def _shot(view: ShotView) -> schemas.Shot:
    row = view.shot
    return schemas.Shot(
        id=row.public_id,
        index=row.slot,
        status=row.status,
        provider=row.provider,
        model=row.model,
        image_id=view.image.public_id if view.image is not None else None,
        reused=row.reused,
        error=_error(row.error_kind, row.error_message),
    )


def _error(kind: str | None, message: str | None) -> schemas.ShotError | None:
    if kind is None:
        return None
    return schemas.ShotError(kind=ErrorKind(kind), message=said(message or ""))


def _job_image(row: Image) -> schemas.JobImage:
    return schemas.JobImage(
        id=row.public_id,
        url=_file_url(row.public_id),
        thumbnail_url=_thumbnail_url(row.public_id, _TILE_WIDTH),
        width=row.width,
        height=row.height,
        mime_type=row.mime_type,
    )
