"""Pictures that look alike: perceptual hashes that differ in a few of their 64 bits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, exists, select, update

from imagegen.extensions import db
from imagegen.models import Image, UnitOfWork, built_once
from imagegen.models.bare import table_of
from imagegen.services.library import finding, indexing
from imagegen.services.library.listing import GRID_COLUMNS

NEAR = 6
"""Bits that two hashes may differ in: the same picture scaled, recompressed or a little brighter stays below."""

MOST = 40
_MOST_LOOKED_AT = 2_000

_earlier = table_of(Image).alias("earlier")
LOOKS_LIKE_EARLIER = (
    exists().where(_earlier.c.id == Image.near_id, _earlier.c.deleted_at.is_(None)).correlate(Image).label("near")
)
"""A column, `near`: whether a picture looks like an earlier one that is not in the trash."""


def near_duplicates(image: Image, *, limit: int = MOST, columns: Sequence[Any] = GRID_COLUMNS) -> Sequence[Any]:
    """Return pictures (rows with `columns`) that look like `image`, the most alike first, without itself."""
    if image.phash is None:
        return []
    dialect = db.engine.dialect.name
    rows = db.session.execute(_candidates(dialect, tuple(columns)), _looked_for(image, image.phash, dialect)).all()
    distances = [(distance(image.phash, row.phash), -row.id, row) for row in rows]
    return [row for bits, _, row in sorted(distances, key=lambda found: found[:2]) if bits <= NEAR][:limit]


def note(uow: UnitOfWork, image: Image) -> None:
    """Remember the earlier picture that a new one looks like, but for its siblings: those are alike by intent."""
    if image.phash is None:
        return
    dialect = uow.get_bind().dialect.name
    found = uow.execute(_candidates(dialect, (Image.id, Image.job_id)), _looked_for(image, image.phash, dialect))
    others = [row for row in found if row.job_id is None or row.job_id != image.job_id]
    alike = [(bits, row.id) for row in others if (bits := distance(image.phash, row.phash)) <= NEAR]
    if alike:
        noted = update(Image).where(Image.id == image.id)
        uow.execute(noted.values(near_id=min(alike)[1], updated_at=Image.updated_at))
        indexing.reindex(uow, [image.id])


def distance(one: str, other: str) -> int:
    """Return in how many bits two hashes (16 hex digits) differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


@cache
def _candidates(dialect: str, columns: tuple[Any, ...]) -> Select[Any]:
    """Return the query for pictures of which a quarter of the hash is all but the same."""
    # Every picture asks it.
    alike = finding.alike(dialect=dialect, limit=_MOST_LOOKED_AT)
    query = select(*columns, Image.phash).join(alike, alike.c.image_id == Image.id)
    others = Image.id != bindparam("own")
    return built_once(query.where(others, Image.phash.is_not(None), Image.deleted_at.is_(None)))


def _looked_for(image: Image, phash: str, dialect: str) -> dict[str, Any]:
    return {"own": image.id, "alike": finding.alike_query(image.organisation_id, phash, dialect=dialect)}
