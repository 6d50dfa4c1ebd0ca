"""One page, one query, however large the library and however rare what is looked for.

Two ways lead to the rows of a page. *Walking* reads a sort's index from the cursor on and keeps what fits: quick
where much fits. *Looking up* asks the inverted index for all that fits: quick where little does. Nobody knows
beforehand which it is, and planners guess wrongly, so the query does both, one after the other: it walks `WALK` rows,
and looks up what lies behind them only if the page is not full by then (a UNION ALL under a LIMIT goes no further
than it must).

FTS5 keeps its lists in the order of ids and stops by itself, so on SQLite the newest and oldest need no walk. GIN has
no order: there the looking up goes from era to era (`marks.era`), and stops with the one that fills the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Subquery,
    and_,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from imagegen.models import ImageIndex
from imagegen.models.image_index import FTS_TABLE, mark_term, mark_trigram, quoted
from imagegen.services.library import marks
from imagegen.services.library.paging import decode_cursor, decode_keyed_cursor, encode_cursor, encode_keyed_cursor
from imagegen.services.library.wishes import Wish

WALK = 3_000
_FEW_DAYS = 16

# A bare table: aliases and subqueries of a mapped one take as long to build as the query takes to run.
_rows = table(ImageIndex.__tablename__, *(column(each.name, each.type) for each in ImageIndex.__table__.columns))
_fts = table(FTS_TABLE, column("rowid", Integer))


@dataclass(frozen=True)
class Order:
    """How a list is sorted: by `key`, and by id among equals."""

    descending: bool
    key: str | None = None
    letter: str = "i"

    def columns(self, source: Any) -> list[ColumnElement[Any]]:
        """Return the sort's columns in `source`, the id last."""
        return [*([source.c[self.key]] if self.key else []), source.c.image_id]

    def by(self, source: Any) -> list[ColumnElement[Any]]:
        """Return the ORDER BY over `source`."""
        return [each.desc() if self.descending else each.asc() for each in self.columns(source)]

    def after(self, source: Any, cursor: Cursor | None) -> ColumnElement[bool]:
        """Return the condition that a row comes behind the cursor."""
        if cursor is None:
            return true()
        return self.behind(self.columns(source), list(cursor))

    def behind(self, row: list[Any], other: list[Any]) -> ColumnElement[bool]:
        """Return the condition that `row` comes behind `other`."""
        left, right = (row[0], other[0]) if len(row) == 1 else (tuple_(*row), tuple_(*other))
        found: ColumnElement[bool] = left < right if self.descending else left > right
        return found

    def read(self, cursor: str | None) -> Cursor | None:
        """Return the position that a cursor names; raises StudioError."""
        if self.key is None:
            row_id = decode_cursor(cursor)
            return None if row_id is None else (row_id,)
        found = decode_keyed_cursor(cursor, self.letter)
        if found is None:
            return None
        return (int(found[0]) if self.key == "usage_count" else found[0], found[1])

    def write(self, row: Any) -> str:
        """Return the cursor behind a row that has the sort's columns."""
        if self.key is None:
            return encode_cursor(row.id)
        return encode_keyed_cursor(self.letter, row.id, row.sort_key)


Cursor = tuple[Any, ...]

ORDERS = {
    "newest": Order(descending=True),
    "oldest": Order(descending=False),
    "most_used": Order(descending=True, key="usage_count", letter="u"),
    "name": Order(descending=False, key="name", letter="n"),
}


@dataclass(frozen=True)
class Search:
    """A wish in one organisation, as conditions."""

    organisation_id: int
    wish: Wish
    dialect: str

    @property
    def order(self) -> Order:
        """The sort."""
        return ORDERS[self.wish.sort]

    @property
    def narrowed(self) -> bool:
        """Whether not everything fits."""
        return bool(self.wish.marks or self.wish.typed or self.wish.days is not None)

    def all_rows(self, rows: Any) -> ColumnElement[bool]:
        """Return the condition that a row is of the organisation's library, or of its trash."""
        return and_(rows.c.organisation_id == self.organisation_id, rows.c.trashed == self.wish.trashed)

    def fits(self, row: Any) -> ColumnElement[bool]:
        """Return the condition that a row fits, told by the row itself."""
        return and_(true(), *(_has(row, mark) for mark in self.wish.marks), self.says(row))

    def says(self, row: Any) -> ColumnElement[bool]:
        """Return the condition that a row's text holds all that was typed, and that its day is wanted."""
        conditions = [row.c.words.contains(piece.text, autoescape=True) for piece in self.wish.typed]
        if self.wish.days is not None:
            first, last = self.wish.days
            day = func.substr(row.c.marks, *marks.DAY_AT)
            conditions.append(day.between(first.isoformat(), last.isoformat()))
        return and_(true(), *conditions)

    @property
    def place(self) -> str:
        """The mark that all rows of the list have."""
        return marks.place(self.organisation_id, trashed=self.wish.trashed)

    def fts_query(self) -> str:
        """Return the conditions in FTS5's language, rare ones and common ones alike."""
        parts = [_trigram(mark) for mark in (self.place, *self.wish.marks)]
        parts += [piece.phrase for piece in self.wish.typed]
        if self.wish.days is not None:
            days = marks.dates_between(*self.wish.days) or ["never"]
            parts.append("(" + " OR ".join(map(_trigram, days)) + ")")
        return " AND ".join(parts)

    def ts_query(self) -> str:
        """Return the conditions in the language of tsquery; it may find a little more than `fits`."""
        parts = [_lexeme(mark) for mark in (self.place, *self.wish.marks)]
        parts += [lexeme for piece in self.wish.typed for lexeme in piece.lexemes]
        if self.wish.days is not None:
            first, last = self.wish.days
            few = (last - first).days < _FEW_DAYS
            days = (marks.dates_between if few else marks.months_around)(first, last) or ["never"]
            parts.append("(" + " | ".join(map(_lexeme, days)) + ")")
        return " & ".join(parts)


def page(search: Search, *, cursor: str | None, limit: int) -> Subquery:
    """Return up to `limit` rows that fit: `image_id`, and the sort's key if it has one; in no promised order."""
    after = search.order.read(cursor)
    if not search.narrowed:
        return _walked(search, after, limit, "page")
    if search.dialect == "sqlite" and search.order.key is None:
        return _streamed(search, after, limit).subquery("page")
    return _both_ways(search, after, limit)


def counted(search: Search, *, most: int) -> Select[Any]:
    """Return the query for how many rows fit, counting no further than `most`."""
    if not search.narrowed:
        found: Subquery = _walked(search, None, most, "found")
    elif search.dialect == "sqlite":
        found = _streamed(search, None, most).subquery("found")
    else:
        newest = select((func.max(_rows.c.image_id) + 1).label("image_id")).where(search.all_rows(_rows))
        found = _era_by_era(search, newest.subquery("last"), ORDERS["newest"], most)
        found = select(found.c.image_id).limit(most).subquery("found")
    return select(func.count()).select_from(found)


def _walked(search: Search, after: Cursor | None, limit: int, name: str, *, skip: int = 0) -> Subquery:
    rows = _rows.alias()
    order = search.order
    query = select(*order.columns(rows), rows.c.words, rows.c.marks)
    query = query.where(search.all_rows(rows), order.after(rows, after)).order_by(*order.by(rows))
    return query.limit(limit).offset(skip or None).subquery(name)


def _streamed(search: Search, after: Cursor | None, limit: int) -> Select[Any]:
    """Return what FTS5 finds, in its own order: that of the ids."""
    order = search.order
    query = select(_fts.c.rowid.label("image_id")).where(_matches(search.fts_query()))
    if after is not None:
        query = query.where(order.behind([_fts.c.rowid], list(after)))
    return query.order_by(_fts.c.rowid.desc() if order.descending else _fts.c.rowid).limit(limit)


def _both_ways(search: Search, after: Cursor | None, limit: int) -> Subquery:
    order = search.order
    near = _walked(search, after, WALK, "near")
    # The last row of the walk; none where the walk came to the end, and so nothing behind it.
    last = _walked(search, after, 1, "last", skip=WALK - 1)
    far = _era_by_era(search, last, order, limit) if order.key is None else _looked_up(search, last, limit)
    walked = select(*order.columns(near)).where(search.fits(near))
    return select(union_all(walked, select(*order.columns(far))).limit(limit).subquery("both")).subquery("page")


def _looked_up(search: Search, last: Subquery, limit: int) -> Subquery:
    """Return what fits behind the row `last`, found by the inverted index and then sorted."""
    rows = _rows.alias()
    order = search.order
    # Sorted by expressions, or a planner would walk the sort's index and look each row up in the other.
    keys = [func.coalesce(each, each) for each in order.columns(rows)]
    found = select(*order.columns(rows))
    if search.dialect == "sqlite":
        found = found.join(_fts, _fts.c.rowid == rows.c.image_id).where(_matches(search.fts_query()))
    else:
        found = _found_by(found, rows, search.ts_query()).where(search.says(rows))
    found = found.where(order.behind(keys, [select(each).scalar_subquery() for each in order.columns(last)]))
    return found.order_by(*(key.desc() if order.descending else key for key in keys)).limit(limit).subquery("far")


def _era_by_era(search: Search, last: Subquery, order: Order, limit: int) -> Subquery:
    """Return what fits behind the row `last`, era by era, by GIN."""
    rows, ends = _rows.alias(), _rows.alias()
    furthest = func.min(ends.c.image_id) if order.descending else func.max(ends.c.image_id)
    to = select(furthest).where(search.all_rows(ends)).scalar_subquery()
    series = func.generate_series(_era(last.c.image_id), _era(to), -1 if order.descending else 1)
    eras = series.table_valued("number", name="eras").render_derived()
    mark = func.concat(search.ts_query(), f" & '{mark_term(marks.ERA_MARK)}:", eras.c.number, "'")
    unsorted = rows.c.image_id + 0  # an expression: this order is not for the sort's index to give
    in_era = select(rows.c.image_id).where(_finds(rows, mark), search.says(rows))
    in_era = in_era.where(order.behind([unsorted], [last.c.image_id]))
    in_era = in_era.order_by(unsorted.desc() if order.descending else unsorted).limit(limit)
    found = in_era.correlate(last, eras).lateral("in_era")
    return select(found.c.image_id).select_from(last.join(eras, true()).join(found, true())).subquery("far")


def _era(image_id: Any) -> ColumnElement[int]:
    return cast(image_id // marks.ERA, Integer)


def _matches(query: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = literal_column(FTS_TABLE).bool_op("MATCH")(query)
    return found


def _finds(rows: Any, query: ColumnElement[str]) -> ColumnElement[bool]:
    found: ColumnElement[bool] = rows.c.terms.bool_op("@@")(cast(query, TSQUERY))
    return found


def _found_by(found: Select[Any], rows: Any, query: str) -> Select[Any]:
    """Narrow to what GIN finds. The planner must not see the query: it overrates marks that it does not know."""
    unseen = select(literal(query).label("query")).offset(0).subquery("unseen")
    return found.join(unseen, _finds(rows, unseen.c.query))


def _has(row: Any, mark: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = row.c.marks.contains(f" {mark} ", autoescape=True)
    return found


def _trigram(mark: str) -> str:
    return f'"{mark_trigram(mark)}"'


def _lexeme(mark: str) -> str:
    return quoted(mark_term(mark))


def alike(organisation_id: int, phash: str, *, dialect: str, limit: int) -> Subquery:
    """Return ids (`image_id`) of pictures whose perceptual hash has a quarter that is all but the same."""
    place, bands = marks.place(organisation_id, trashed=False), list(marks.bands_near(phash))
    if dialect == "sqlite":
        query = f"{_trigram(place)} AND ({' OR '.join(map(_trigram, bands))})"
        found = select(_fts.c.rowid.label("image_id")).where(_matches(query))
    else:
        rows = _rows.alias()
        query = f"{_lexeme(place)} & ({' | '.join(map(_lexeme, bands))})"
        found = _found_by(select(rows.c.image_id), rows, query)
    return found.limit(limit).subquery("alike")
