"""One page, one query, however large the library and however rare what is looked for.

Two ways lead to the rows of a page. *Walking* reads a sort's index from the cursor on and keeps what fits: quick
where much fits. *Looking up* asks the inverted index for all that fits: quick where little does. Nobody knows
beforehand which it is, and planners guess wrongly, so the query does both, one after the other: it walks `WALK` rows,
and looks up what lies behind them only if the page is not full by then (a UNION ALL under a LIMIT goes no further
than it must).

In the order of ids the looking up goes window by window (`eras`). FTS5 keeps its lists in that order, so on SQLite
the newest and oldest need no walk. In other orders what is looked up is sorted; the pictures of one kind, which are
many and named alike, have walks of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    String,
    Subquery,
    and_,
    bindparam,
    cast,
    column,
    false,
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

from imagegen.models import ImageEra, ImageIndex
from imagegen.models.bare import table_of
from imagegen.models.image_index import FTS_TABLE, mark_term, mark_trigram, quoted
from imagegen.services.library import marks
from imagegen.services.library.eras import Look, look
from imagegen.services.library.paging import decode_cursor, decode_keyed_cursor, encode_cursor, encode_keyed_cursor
from imagegen.services.library.wishes import Wish

WALK = 1_000
SORTED_WALK = 4_000
"""Where what lies behind has to be looked up as a whole, and sorted."""

_FEW_MARKS = 3

_KIND = marks.mark("kind", "")

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

    @property
    def kind(self) -> str | None:
        """The only kind of picture that fits, if there is one."""
        kinds = (mark for mark in self.wish.marks if mark.startswith(_KIND))
        return next((mark.removeprefix(_KIND) for mark in kinds), None)

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

    def query(self) -> str:
        """Return the conditions in the inverted index's language; it may find a little more than `fits`.

        Days are left to the row where they need more than a few marks.
        """
        days = marks.months_around(*self.wish.days) if self.wish.days is not None else []
        days = days if len(days) <= _FEW_MARKS else []
        return self._fts_query(days) if self.dialect == "sqlite" else self._ts_query(days)

    def _fts_query(self, days: list[str]) -> str:
        parts = [_trigram(mark) for mark in (self.place, *self.wish.marks)]
        parts += [piece.phrase for piece in self.wish.typed]
        return " AND ".join(parts + ([f"({' OR '.join(map(_trigram, days))})"] if days else []))

    def _ts_query(self, days: list[str]) -> str:
        parts = [_lexeme(mark) for mark in (self.place, *self.wish.marks)]
        parts += [lexeme for piece in self.wish.typed for lexeme in piece.lexemes]
        return " & ".join(parts + ([f"({' | '.join(map(_lexeme, days))})"] if days else []))

    def bare_query(self) -> str:
        """Return `query` for PostgreSQL without the list's own mark, if it has anything else."""
        return self.query().removeprefix(f"{_lexeme(self.place)} & ")

    def look(self, *, descending: bool, after: int | None, walked: int = 0) -> Look:
        """Return what to look for in the windows of ids."""
        words = tuple(piece.text for piece in self.wish.typed)
        return Look(
            self.organisation_id,
            self.wish.trashed,
            descending,
            self.query() if self.dialect == "sqlite" else self.bare_query(),
            _lexeme(self.place),
            words=words,
            days=self.wish.days,
            after=after,
            walked=walked,
        )


def page(search: Search, *, cursor: str | None, limit: int) -> Subquery:
    """Return up to `limit` rows that fit: `image_id`, and the sort's key if it has one; in no promised order.

    Where it looks from window to window it also has `position` and `late`, as in `eras.COLUMNS`, and is in order.
    """
    order = search.order
    after = order.read(cursor)
    if not search.narrowed:
        return _walked(search, after, limit, "page")
    if order.key is not None:
        return _both_ways(search, after, limit)
    last = after[0] if after is not None else None
    if search.dialect == "sqlite":
        return look(search.look(descending=order.descending, after=last), dialect="sqlite")
    near = _walked(search, after, WALK, "near")
    walked = select(near.c.image_id, near.c.image_id.label("position"), false().label("late")).where(
        search.fits(near)
    )
    far = look(search.look(descending=order.descending, after=last, walked=WALK), dialect=search.dialect)
    both = union_all(walked, select(far.c.image_id, far.c.position, far.c.late)).limit(limit).subquery("both")
    return select(both).subquery("page")


def counted(search: Search, *, most: int) -> Select[Any]:
    """Return the query for how many rows fit, counting no further than `most`."""
    if not search.narrowed:
        return select(func.count()).select_from(_walked(search, None, most, "found"))
    looked = look(search.look(descending=True, after=None), dialect=search.dialect, patience=_PATIENT)
    found = select(looked.c.image_id).where(looked.c.image_id.is_not(None)).limit(most).subquery("found")
    return select(func.count()).select_from(found)


_PATIENT = 60.0


def _walked(search: Search, after: Cursor | None, limit: int, name: str, *, skip: int = 0) -> Subquery:
    rows = _rows.alias()
    order = search.order
    query = select(*order.columns(rows), rows.c.words, rows.c.marks)
    query = query.where(search.all_rows(rows), order.after(rows, after)).order_by(*order.by(rows))
    if order.key is not None and search.kind is not None:
        query = query.where(rows.c.kind == search.kind)
    if order.key is None and search.wish.days is not None:
        query = query.where(_within_eras(rows, *search.wish.days))
    return query.limit(limit).offset(skip or None).subquery(name)


def _within_eras(rows: Any, first: date, last: date) -> ColumnElement[bool]:
    """Return the condition that a row is of an era, or between eras, in which pictures of these days came."""
    eras = table_of(ImageEra)
    of_days = and_(eras.c.last_day >= first.isoformat(), eras.c.first_day <= last.isoformat())
    least = select(func.min(eras.c.era) * marks.PLOT).where(of_days).scalar_subquery()
    most = select(func.max(eras.c.era) * marks.PLOT + marks.PLOT - 1).where(of_days).scalar_subquery()
    found: ColumnElement[bool] = rows.c.image_id.between(least, most)
    return found


def _both_ways(search: Search, after: Cursor | None, limit: int) -> Subquery:
    order = search.order
    near = _walked(search, after, SORTED_WALK, "near")
    # The last row of the walk; none where the walk came to the end, and so nothing behind it.
    far = _looked_up(search, _walked(search, after, 1, "last", skip=SORTED_WALK - 1), limit)
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
        found = found.join(_fts, _fts.c.rowid == rows.c.image_id).where(_matches(search.query()))
    else:
        found = _found_by(found, rows, search.query())
    found = found.where(
        search.says(rows), order.behind(keys, [select(each).scalar_subquery() for each in order.columns(last)])
    )
    return found.order_by(*(key.desc() if order.descending else key for key in keys)).limit(limit).subquery("far")


def _matches(query: str | BindParameter[str]) -> ColumnElement[bool]:
    found: ColumnElement[bool] = literal_column(FTS_TABLE).bool_op("MATCH")(query)
    return found


def _finds(rows: Any, query: ColumnElement[str]) -> ColumnElement[bool]:
    found: ColumnElement[bool] = rows.c.terms.bool_op("@@")(cast(query, TSQUERY))
    return found


def _found_by(found: Select[Any], rows: Any, query: str | BindParameter[str]) -> Select[Any]:
    """Narrow to what GIN finds. The planner must not see the query: it overrates marks that it does not know."""
    said = literal(query) if isinstance(query, str) else query
    unseen = select(said.label("query")).offset(0).subquery("unseen")
    return found.join(unseen, _finds(rows, unseen.c.query))


def _has(row: Any, mark: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = row.c.marks.contains(f" {mark} ", autoescape=True)
    return found


def _trigram(mark: str) -> str:
    return f'"{mark_trigram(mark)}"'


def _lexeme(mark: str) -> str:
    return quoted(mark_term(mark))


def alike(*, dialect: str, limit: int) -> Subquery:
    """Return ids (`image_id`) of pictures whose perceptual hash has a quarter that is all but the same.

    What is looked for is its parameter `alike`: `alike_query`.
    """
    query = bindparam("alike", type_=String)
    if dialect == "sqlite":
        found = select(_fts.c.rowid.label("image_id")).where(_matches(query))
    else:
        rows = _rows.alias()
        found = _found_by(select(rows.c.image_id), rows, query)
    return found.limit(limit).subquery("alike")


def alike_query(organisation_id: int, phash: str, *, dialect: str) -> str:
    """Return what `alike` looks for, in the inverted index's language."""
    place, bands = marks.place(organisation_id, trashed=False), list(marks.bands_near(phash))
    if dialect == "sqlite":
        return f"{_trigram(place)} AND ({' OR '.join(map(_trigram, bands))})"
    return f"{_lexeme(place)} & ({' | '.join(map(_lexeme, bands))})"
