"""One page, one query, however large the library and however rare what is looked for.

Two ways lead to the rows of a page. *Walking* reads a sort's index from the cursor on and keeps what fits: quick
where much fits. *Looking up* asks the inverted index for all that fits: quick where little does. Nobody knows
beforehand which it is, and planners guess wrongly, so the query does both, one after the other: it walks some rows
(`shapes.Sizes`), and looks up what lies behind them only if the page is not full by then (a UNION ALL under a LIMIT
goes no further than it must).

In the order of ids the looking up goes window by window (`windows`). FTS5 keeps its lists in that order, so on SQLite
the newest and oldest need no walk, but where it leads to the end. In other orders what is looked up is sorted; the
pictures of one kind, which are many and named alike, have walks of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    Subquery,
    bindparam,
    cast,
    column,
    false,
    func,
    literal_column,
    select,
    table,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from imagegen.models import ImageIndex
from imagegen.models.columns import BigId
from imagegen.models.image_index import FTS_TABLE, mark_term, mark_trigram, quoted
from imagegen.services.library import by_fts, by_gin, conditions, marks
from imagegen.services.library.paging import decode_cursor, decode_keyed_cursor, encode_cursor, encode_keyed_cursor
from imagegen.services.library.shapes import PROMISING, Shape, sizes
from imagegen.services.library.windows import COLUMNS, DOWN, UP
from imagegen.services.library.wishes import Wish

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

    def indexed(self, rows: Any, dialect: str) -> list[ColumnElement[Any]]:
        """Return what the sort's index is made of, over the rows of the library."""
        return self.columns(rows) if self.key or dialect == "sqlite" else [rows.c.image_id + literal_column("0")]

    def by(self, keys: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """Return the ORDER BY over `keys`."""
        return [each.desc() if self.descending else each.asc() for each in keys]

    def behind(self, row: Sequence[Any], other: Sequence[Any]) -> ColumnElement[bool]:
        """Return the condition that `row` comes behind `other`."""
        left, right = (row[0], other[0]) if len(row) == 1 else (tuple_(*row), tuple_(*other))
        found: ColumnElement[bool] = left < right if self.descending else left > right
        return found

    def read(self, cursor: str | None) -> dict[str, Any]:
        """Return the position that a cursor names, as parameters; raises StudioError."""
        if self.key is None:
            row_id = decode_cursor(cursor)
            return {"after": self._before_all if row_id is None else row_id}
        found = decode_keyed_cursor(cursor, self.letter)
        if found is None:
            return {}
        return {"after_key": int(found[0]) if self.key == "usage_count" else found[0], "after": found[1]}

    @property
    def _before_all(self) -> int:
        return conditions.BEHIND_THE_LAST if self.descending else conditions.BEFORE_THE_FIRST

    def write(self, row: Any) -> str:
        """Return the cursor behind a row that has the sort's columns."""
        if self.key is None:
            return encode_cursor(row.id)
        return encode_keyed_cursor(self.letter, row.id, row.sort_key)


ORDERS = {
    "newest": Order(descending=True),
    "oldest": Order(descending=False),
    "most_used": Order(descending=True, key="usage_count", letter="u"),
    "name": Order(descending=False, key="name", letter="n"),
}


@dataclass(frozen=True)
class Search:
    """A wish in one organisation, up to `most` rows of it: the shape of its statement, and its parameters.

    Both raise StudioError with the field `cursor`.
    """

    organisation_id: int
    wish: Wish
    dialect: str
    most: int
    cursor: str | None = None

    @property
    def order(self) -> Order:
        """The sort."""
        return ORDERS[self.wish.sort]

    @cached_property
    def shape(self) -> Shape:
        """What makes its statement another than that of other searches."""
        wish, keyed = self.wish, self.order.key is not None
        return Shape(
            self.dialect,
            sizes(self.dialect),
            self.most,
            wish.sort,
            marks=len(wish.marks),
            words=len(wish.typed),
            days=wish.days is not None,
            kind=keyed and self.kind is not None,
            after=keyed and "after" in self._position,
        )

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """The parameters of its statement."""
        wish = self.wish
        found = {"organisation_id": self.organisation_id, "trashed": wish.trashed, "kind": self.kind}
        found |= {f"mark{number}": f" {mark} " for number, mark in enumerate(wish.marks)}
        found |= {f"word{number}": piece.text for number, piece in enumerate(wish.typed)}
        if wish.days is not None:
            found |= {"since": wish.days[0].isoformat(), "until": wish.days[1].isoformat()}
        found |= {"query": self.query(), "place": _lexeme(self.place)}
        return found | self._position

    @cached_property
    def _position(self) -> dict[str, Any]:
        return self.order.read(self.cursor)

    @property
    def kind(self) -> str | None:
        """The only kind of picture that fits, if there is one."""
        kinds = (mark for mark in self.wish.marks if mark.startswith(_KIND))
        return next((mark.removeprefix(_KIND) for mark in kinds), None)

    @property
    def place(self) -> str:
        """The mark that all rows of the list have."""
        return marks.place(self.organisation_id, trashed=self.wish.trashed)

    def query(self) -> str:
        """Return the conditions in the inverted index's language; it may find a little more than what fits.

        Days are left to the row where they need more than a few marks. In the order of ids PostgreSQL's has the
        list's own mark only where there is nothing else.
        """
        days = marks.months_around(*self.wish.days) if self.wish.days is not None else []
        days = days if len(days) <= _FEW_MARKS else []
        return self._fts_query(days) if self.dialect == "sqlite" else self._ts_query(days)

    def _fts_query(self, days: list[str]) -> str:
        parts = [_trigram(mark) for mark in (self.place, *self.wish.marks)]
        parts += [phrase for piece in self.wish.typed for phrase in piece.phrases]
        return " AND ".join(parts + ([f"({' OR '.join(map(_trigram, days))})"] if days else []))

    def _ts_query(self, days: list[str]) -> str:
        parts = [_lexeme(mark) for mark in self.wish.marks]
        parts += [lexeme for piece in self.wish.typed for lexeme in piece.lexemes]
        parts += [f"({' | '.join(map(_lexeme, days))})"] if days else []
        place = [] if parts and self.order.key is None else [_lexeme(self.place)]
        return " & ".join(place + parts)


def page(shape: Shape) -> Subquery:
    """Return up to `most` rows that fit: `image_id`, and the sort's key if it has one; in no promised order.

    Where it goes from window to window it also has `position` and `given_up` (`windows.COLUMNS`), and is in order.
    """
    if not shape.narrowed:
        return _walk(shape, shape.most).subquery("page")
    if ORDERS[shape.sort].key is not None:
        return _both_ways(shape)
    if shape.dialect == "sqlite" or not shape.sizes.walk:
        return _through_windows(shape)
    return _walked_and_looked_up(shape)


def _walked_and_looked_up(shape: Shape) -> Subquery:
    """Return rows as `page` does, of PostgreSQL: the walk is a table, of which no more is read than is needed."""
    # Behind the first day of an era there may be rows of other days.
    more = shape.sizes.era if shape.days else 0
    walk, probe = shape.sizes.walk + more, shape.sizes.probe + more
    near = _walk(shape, walk).cte("near")
    fits = conditions.clause(conditions.fits(shape, "r"))
    begin = select(near).limit(_written_out(probe)).subquery("r")
    sparse = (
        select((func.count() < _written_out(PROMISING)).label("is_so")).select_from(begin).where(fits).cte("sparse")
    )
    rest = select(near).offset(_written_out(probe)).subquery("r")
    far = _through_windows(shape, walked=(probe, walk))
    parts = [
        select(begin.c.image_id, begin.c.image_id.label("position"), false().label("given_up")).where(fits),
        select(rest.c.image_id, rest.c.image_id, false()).where(fits, ~select(sparse.c.is_so).scalar_subquery()),
        select(far.c.image_id, far.c.position, far.c.given_up),
    ]
    return select(union_all(*parts).limit(_written_out(shape.most)).subquery("both")).subquery("page")


def counted(shape: Shape) -> Select[Any]:
    """Return the query for how many rows fit, counting no further than `most`; in the order of ids."""
    if not shape.narrowed:
        return select(func.count()).select_from(_walk(shape, shape.most).subquery("found"))
    looked = _through_windows(shape)
    found = select(looked.c.image_id).where(looked.c.image_id.is_not(None)).limit(_written_out(shape.most))
    return select(func.count()).select_from(found.subquery("found"))


def _through_windows(shape: Shape, *, walked: tuple[int, int] | None = None) -> Subquery:
    """Return rows of `windows.COLUMNS` in the order of ids; the first window is looked through in any case.

    `walked` is how many rows behind the cursor are known already, of the table `near`: the first number if they are
    `sparse`, else the second; on SQLite that is not asked.
    """
    way = DOWN if ORDERS[shape.sort].descending else UP
    if shape.dialect == "sqlite":
        statement = by_fts.statement(shape, way)
    else:
        statement = by_gin.statement(shape, way, walked=walked)
    return conditions.clause(statement).columns(*COLUMNS).subquery("far")


def _written_out(number: int) -> ColumnElement[int]:
    # PostgreSQL expects the worst of a LIMIT that it does not know, and would plan the statement each time anew.
    found: ColumnElement[int] = literal_column(str(number), Integer)
    return found


def _walk(shape: Shape, most: int, *, skip: int = 0) -> Select[Any]:
    rows = _rows.alias("r")
    order = ORDERS[shape.sort]
    query = select(*order.columns(rows), rows.c.words, rows.c.marks)
    query = query.where(conditions.clause(conditions.listed(shape, "r")))
    keys = order.indexed(rows, shape.dialect)
    if order.key is None:
        query = query.where(order.behind(keys, [_given(shape.dialect, "after", BigId)]))
    elif shape.after:
        after = [_given(shape.dialect, "after_key", rows.c[order.key].type), _given(shape.dialect, "after", BigId)]
        query = query.where(order.behind(keys, after))
    if shape.kind:
        query = query.where(rows.c.kind == _given(shape.dialect, "kind", String))
    if shape.days and order.key is None:
        first, last = map(conditions.clause, conditions.eras(shape))
        query = query.where(keys[0].between(first, last))
    query = query.order_by(*order.by(keys)).limit(_written_out(most))
    return query.offset(_written_out(skip) if skip else None)


def _given(dialect: str, name: str, kind: Any) -> ColumnElement[Any]:
    """Return a parameter, as `Shape.given` does."""
    value = bindparam(name, type_=kind)
    return value if dialect == "sqlite" else select(value).scalar_subquery()


def _both_ways(shape: Shape) -> Subquery:
    order = ORDERS[shape.sort]
    walk = shape.sizes.sorted_walk
    near = _walk(shape, walk).subquery("near")
    # The last row of the walk; none where the walk came to the end, and so nothing behind it.
    last = _walk(shape, 1, skip=walk - 1).subquery("last")
    far = _looked_up(shape, last)
    walked = select(*order.columns(near)).where(conditions.clause(conditions.fits(shape, "near")))
    both = union_all(walked, select(*order.columns(far)))
    return select(both.limit(_written_out(shape.most)).subquery("both")).subquery("page")


def _looked_up(shape: Shape, last: Subquery) -> Subquery:
    """Return what fits behind the row `last`, found by the inverted index and then sorted."""
    rows = _rows.alias("r")
    order = ORDERS[shape.sort]
    # Sorted by expressions, or a planner would walk the sort's index and look each row up in the other.
    keys = [func.coalesce(each, each) for each in order.columns(rows)]
    found = select(*order.columns(rows))
    query = _given(shape.dialect, "query", String)
    if shape.dialect == "sqlite":
        found = found.join(_fts, rows.c.image_id == -_fts.c.rowid).where(_matches(query))
    else:
        found = found.where(_finds(rows, query))
    found = found.where(
        conditions.clause(conditions.says(shape, "r")),
        order.behind(keys, [select(each).scalar_subquery() for each in order.columns(last)]),
    )
    return found.order_by(*order.by(keys)).limit(_written_out(shape.most)).subquery("far")


def _matches(query: ColumnElement[str]) -> ColumnElement[bool]:
    found: ColumnElement[bool] = literal_column(FTS_TABLE).bool_op("MATCH")(query)
    return found


def _finds(rows: Any, query: ColumnElement[str]) -> ColumnElement[bool]:
    found: ColumnElement[bool] = rows.c.terms.bool_op("@@")(cast(query, TSQUERY))
    return found


def _trigram(mark: str) -> str:
    return f'"{mark_trigram(mark)}"'


def _lexeme(mark: str) -> str:
    return quoted(mark_term(mark))


def alike(*, dialect: str, limit: int) -> Subquery:
    """Return ids (`image_id`) of pictures whose perceptual hash has a quarter that is all but the same.

    Which of them, where there are more than `limit`, is up to the index.
    What is looked for is its parameter `alike`: `alike_query`.
    """
    query = _given(dialect, "alike", String)
    if dialect == "sqlite":
        found = select((-_fts.c.rowid).label("image_id")).where(_matches(query))
    else:
        found = select(_rows.c.image_id).where(_finds(_rows, query))
    return found.limit(limit).subquery("alike")


def alike_query(organisation_id: int, phash: str, *, dialect: str) -> str:
    """Return what `alike` looks for, in the inverted index's language."""
    place, bands = marks.place(organisation_id, trashed=False), list(marks.bands_near(phash))
    if dialect == "sqlite":
        return f"{_trigram(place)} AND ({' OR '.join(map(_trigram, bands))})"
    return f"{_lexeme(place)} & ({' | '.join(map(_lexeme, bands))})"
