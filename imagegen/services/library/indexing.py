"""Keeping the index true: what changes a picture, a tag or a collection changes the index in the same transaction.

Rows that go through the unit of work are seen by `_follow`; a verb that writes with a bulk statement calls `reindex`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, and_, bindparam, event, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, UOWTransaction

from imagegen.models import Collection, CollectionImage, Image, ImageEra, ImageIndex, ImageTag, Tag, UnitOfWork, User
from imagegen.models.bare import table_of
from imagegen.models.image_index import FTS_TABLE
from imagegen.models.triggers import install
from imagegen.services.library import marks
from imagegen.services.library.words import fold, index_words

BATCH = 500
LONGEST_NAME = 80
"""Characters by which pictures are put in the order of their names."""

_GIN = "ix_image_index_terms"
_FILL_FTS = (
    f"INSERT INTO {FTS_TABLE} (rowid, words, terms) SELECT -image_id, words, terms FROM image_index "  # noqa: S608
    "ORDER BY image_id DESC"
)
_WIDEN = (
    "INSERT INTO image_eras (era, first_day, last_day) VALUES (:of, :first, :last) ON CONFLICT (era) DO UPDATE SET "
    "first_day = CASE WHEN excluded.first_day < image_eras.first_day THEN excluded.first_day "
    "ELSE image_eras.first_day END, last_day = CASE WHEN excluded.last_day > image_eras.last_day "
    "THEN excluded.last_day ELSE image_eras.last_day END"
)


_images, _users, _index, _eras = table_of(Image), table_of(User), table_of(ImageIndex), table_of(ImageEra)
_earlier = _images.alias()
_tags, _image_tags = table_of(Tag), table_of(ImageTag)
_collections, _collection_images = table_of(Collection), table_of(CollectionImage)

_PERSONS = select(_users.c.id, _users.c.public_id).where(_users.c.id.in_(bindparam("ids", expanding=True)))

_KNOWN = select(_eras.c.era).where(
    _eras.c.era == bindparam("of"), _eras.c.first_day <= bindparam("first"), _eras.c.last_day >= bindparam("last")
)

_FACTS = [
    "id",
    "organisation_id",
    "user_id",
    "kind",
    "filename",
    "original_filename",
    "title",
    "alt_text",
    "prompt",
    "provider",
    "model",
    "style",
    "width",
    "height",
    "colours",
    "phash",
    "favourite",
    "usage_count",
    "created_at",
    "deleted_at",
    "stack_size",
]


def reindex(uow: UnitOfWork, image_ids: Iterable[int]) -> None:
    """Write the index rows of these pictures anew, after a statement that changed them in bulk."""
    uow.flush()
    _write(uow.connection(), set(image_ids))


def hold(uow: UnitOfWork, image_ids: Iterable[int]) -> None:
    """Wait for others who change these pictures, before a statement that changes many of them.

    Statements hold rows in an order of their own: two of them could wait for each other.
    """
    _hold(uow.connection(), sorted(image_ids))


def catch_up(connection: Connection) -> int:
    """Index the pictures that have no index row yet, after an upgrade; return how many there were."""
    missing = select(_images.c.id).outerjoin(_index, _index.c.image_id == _images.c.id)
    ids = connection.scalars(missing.where(_index.c.image_id.is_(None))).all()
    _write(connection, ids)
    return len(ids)


def entries(connection: Connection, image_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return what the index should hold of these pictures, the newest first."""
    alike = and_(_earlier.c.id == _images.c.near_id, _earlier.c.deleted_at.is_(None))
    rows = connection.execute(
        select(
            *(_images.c[name] for name in _FACTS), _users.c.public_id.label("person"), _earlier.c.id.label("near_id")
        )
        .join(_users, _users.c.id == _images.c.user_id)
        .outerjoin(_earlier, alike)
        .where(_images.c.id.in_(image_ids))
        .order_by(_images.c.id.desc())
    ).all()
    tags = _lists(connection, select(_image_tags.c.image_id, _tags.c.key).join(_tags), _image_tags, image_ids)
    collections = _lists(
        connection,
        select(_collection_images.c.image_id, _collections.c.public_id).join(_collections),
        _collection_images,
        image_ids,
    )
    return [entry(row, person=row.person, tags=tags[row.id], collections=collections[row.id]) for row in rows]


def entry(row: Any, *, person: str, tags: Sequence[str] = (), collections: Sequence[str] = ()) -> dict[str, Any]:
    """Return the index row of a picture; `row` has the columns of `Image`, `tags` are keys."""
    words = index_words(row.filename, row.original_filename, row.title, row.alt_text, *tags, row.prompt)
    all_marks = f" {' '.join(marks.facets(row, person=person, tags=tags, collections=collections))} "
    return {
        "image_id": row.id,
        "organisation_id": row.organisation_id,
        "trashed": row.deleted_at is not None,
        "usage_count": row.usage_count,
        "kind": row.kind,
        "name": fold(row.filename)[:LONGEST_NAME],
        "words": words,
        "marks": all_marks,
        "terms": (words, all_marks, marks.windows(row.id)),
    }


def _lists(
    connection: Connection, query: Select[Any], table: Table, image_ids: Sequence[int]
) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for image_id, value in connection.execute(query.where(table.c.image_id.in_(image_ids))):
        found[image_id].append(value)
    return {image_id: sorted(found[image_id]) for image_id in image_ids}


def _write(connection: Connection, image_ids: Iterable[int], *, fresh: AbstractSet[int] = frozenset()) -> None:
    """Write the index rows of pictures; `fresh` are those that nobody else can see yet.

    The newest come first: FTS5 begins another segment wherever its order is left.
    """
    upsert, newest_first = _upsert(connection.dialect.name), sorted(image_ids, reverse=True)
    _hold(connection, [image_id for image_id in reversed(newest_first) if image_id not in fresh])
    for at in range(0, len(newest_first), BATCH):
        found = entries(connection, newest_first[at : at + BATCH])
        if found:
            connection.execute(upsert, found)
            widen_eras(connection, found)


def widen_eras(connection: Connection, found: Iterable[Mapping[str, Any]]) -> None:
    """Let the eras of these index rows know their days; seldom is there one that does not."""
    days: dict[int, list[str]] = defaultdict(list)
    for each in found:
        days[each["image_id"] // marks.ERA].append(marks.day_of(each["marks"]))
    wanted = [{"of": era, "first": min(each), "last": max(each)} for era, each in sorted(days.items())]
    rows = [each for each in wanted if connection.scalar(_KNOWN, each) is None]
    if rows:
        connection.execute(text(_WIDEN), rows)


@cache
def _upsert(dialect: str) -> Insert:
    upsert = sqlite.insert(_index) if dialect == "sqlite" else postgresql.insert(_index)
    others = {column.name: upsert.excluded[column.name] for column in _index.c if column.name != "image_id"}
    return upsert.on_conflict_do_update(index_elements=["image_id"], set_=others)


def _write_bare(connection: Connection, images: Sequence[Image]) -> None:
    """Write the index rows of pictures that have just come in, without a tag and in no collection."""
    ids = {image.user_id for image in images}
    persons = dict(connection.execute(_PERSONS, {"ids": sorted(ids)}).all())
    newest_first = sorted(images, key=lambda image: -image.id)
    found = [entry(image, person=persons[image.user_id]) for image in newest_first]
    connection.execute(insert(_index), found)
    widen_eras(connection, found)


def _hold(connection: Connection, oldest_first: Sequence[int]) -> None:
    """Wait for others who change these pictures: else the later row would not know what the earlier one did.

    All are held before any is written, and by everybody from the oldest on: two who held theirs in different orders
    would wait for each other.
    """
    if connection.dialect.name != "postgresql":
        return
    for at in range(0, len(oldest_first), BATCH):
        rows = select(_images.c.id).where(_images.c.id.in_(oldest_first[at : at + BATCH])).order_by(_images.c.id)
        connection.execute(rows.with_for_update(key_share=True))


@contextmanager
def filled_at_once(connection: Connection) -> Iterator[None]:
    """Within, the inverted index does not follow; at the end it is built anew: for hundreds of thousands of rows."""
    if connection.dialect.name == "sqlite":
        for verb in ("insert", "update", "delete"):
            connection.execute(text(f"DROP TRIGGER {FTS_TABLE}_{verb}"))
        yield
        connection.execute(text(f"INSERT INTO {FTS_TABLE} ({FTS_TABLE}) VALUES ('delete-all')"))  # noqa: S608
        connection.execute(text(_FILL_FTS))
        install(connection)
    else:
        connection.execute(text(f"DROP INDEX {_GIN}"))
        yield
        connection.execute(text(f"CREATE INDEX {_GIN} ON image_index USING gin (terms) WITH (fastupdate = off)"))


@event.listens_for(UnitOfWork, "after_flush")
def _follow(session: Session, _context: UOWTransaction) -> None:
    fresh = {row.id: row for row in session.new if isinstance(row, Image)}
    filed = {row.image_id for row in (*session.new, *session.deleted) if isinstance(row, ImageTag | CollectionImage)}
    bare = [image for image_id, image in fresh.items() if image_id not in filed]
    if bare:
        _write_bare(session.connection(), bare)
    changed = {row.id for row in session.dirty if isinstance(row, Image)} | filed
    if changed:
        _write(session.connection(), changed, fresh=fresh.keys())
