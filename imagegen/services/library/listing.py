"""Lists of pictures: pages, how many there are, and how each is called."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, select

from imagegen.extensions import db
from imagegen.models import Image, built_once
from imagegen.models.scope import ScopeMissing, current_organisation
from imagegen.services.library import finding, windows
from imagegen.services.library.paging import PAGE, Page, encode_cursor
from imagegen.services.library.shapes import Shape
from imagegen.services.library.wishes import Wish

_PATIENCE_OF_COUNTS = 60.0

MOST_COUNTED = 10_001
"""Where counting stops: going on would cost more than the number is worth."""

GRID_COLUMNS = (
    Image.id,
    Image.public_id,
    Image.kind,
    Image.filename,
    Image.title,
    Image.alt_text,
    Image.prompt,
    Image.mime_type,
    Image.width,
    Image.height,
    Image.sha256,
    Image.renditions,
    Image.placeholder,
    Image.favourite,
    Image.usage_count,
    Image.last_used_at,
    Image.stack_size,
    Image.created_at,
)
"""What a grid shows: whole objects would cost half as much again."""


def list_images(
    wish: Wish | None = None,
    *,
    cursor: str | None = None,
    limit: int = PAGE,
    columns: Sequence[Any] = GRID_COLUMNS,
) -> Page:
    """Return a page of the organisation's pictures: one query on an index, whatever the wish and however deep.

    What is hard to find may come on several pages: one that is not full, or even empty, is the last only if it has
    no cursor. `cursor` is that of the page before, of a wish in the same order. Raises StudioError with the field
    `cursor`.
    """
    search = _search(wish or Wish(), limit + 1, cursor)
    query = _page_query(search.shape, tuple(columns))
    # SQLite goes on looking only as far as somebody reads.
    options = {"yield_per": 1} if search.dialect == "sqlite" and "position" in query.selected_columns else {}
    given = search.parameters | {"patience": windows.PATIENCE}
    rows: list[Any] = []
    stopped: int | None = None
    with db.session.execute(query, given, execution_options=options) as found:
        # Work, not time: on a busy machine pages would be the shorter, and so the more.
        until = time.thread_time() + windows.PATIENCE
        while len(rows) <= limit and (row := found.fetchone()) is not None:
            if row.image_id is not None:
                rows.append(row)
            elif row.given_up or time.thread_time() >= until:
                stopped = row.position
                break
    if len(rows) > limit:
        return Page(rows[:limit], search.order.write(rows[limit - 1]))
    return Page(rows, None if stopped is None else encode_cursor(stopped))


@lru_cache(512)
def _page_query(shape: Shape, columns: tuple[Any, ...]) -> Select[Any]:
    """Return the query of one page, and of the row after it that tells whether there is another."""
    order = finding.ORDERS[shape.sort]
    ids = finding.page(shape)
    keys = [ids.c[order.key].label("sort_key")] if order.key else []
    if "position" not in ids.c:
        query = select(*columns, *keys, ids.c.image_id).join(ids, ids.c.image_id == Image.id)
        return built_once(query.order_by(*order.by(order.columns(ids))))
    # Between the windows come rows without a picture. SQLite must not sort: it would read all of them before.
    query = select(*columns, ids.c.image_id, ids.c.position, ids.c.given_up).select_from(ids)
    query = query.outerjoin(Image, Image.id == ids.c.image_id)
    if shape.dialect != "sqlite":
        query = query.order_by(*order.by([ids.c.position]), ids.c.given_up)
    return built_once(query)


def count_images(wish: Wish | None = None, *, most: int = MOST_COUNTED) -> int:
    """Return how many pictures fit, or `most` if there are more."""
    search = _search(replace(wish or Wish(), sort="newest"), most)
    given = search.parameters | {"patience": _PATIENCE_OF_COUNTS}
    return db.session.scalar(_count_query(search.shape), given) or 0


@lru_cache(256)
def _count_query(shape: Shape) -> Select[Any]:
    return built_once(finding.counted(shape))


def ids_of(wish: Wish, *, cursor: str | None, limit: int) -> Page:
    """Return a page of bare public ids: for verbs that go over all that fits."""
    return list_images(wish, cursor=cursor, limit=limit, columns=(Image.id, Image.public_id))


def _search(wish: Wish, most: int, cursor: str | None = None) -> finding.Search:
    organisation_id = current_organisation()
    if organisation_id is None:
        raise ScopeMissing("the library was asked for outside an organisation's scope")
    return finding.Search(organisation_id, wish, db.engine.dialect.name, most, cursor)
