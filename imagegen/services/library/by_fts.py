"""How SQLite looks through windows: one branch of a UNION ALL for each.

FTS5 intersects sorted lists, so that a window costs what lies in it; a row is yielded as soon as it is found, and
whoever reads them looks at the clock, at the marker behind each window. It keeps its lists newest first, as nearly
everybody asks (`models.image_index`).
"""

# ruff: noqa: S608 - the statements are made of constants and names; whatever people type is a parameter

from __future__ import annotations

from collections.abc import Iterator

from imagegen.models.image_index import FTS_TABLE, POSITION, mark_trigram, window_trigram_sql
from imagegen.services.library import conditions
from imagegen.services.library.shapes import Shape
from imagegen.services.library.windows import Way, table

_MOST_WINDOWS = 10
"""Behind them all that is left is looked through at once."""

_POSITION = POSITION["sqlite"]
_BELOW_ZERO = {"<": (">", "ASC"), ">": ("<", "DESC")}
"""How ids below zero compare and are ordered, where those above do otherwise."""
_NOTHING = f"""'"{mark_trigram("nothing")}"'"""


def statement(shape: Shape, way: Way) -> str:
    """Return the statement for rows of `windows.COLUMNS`.

    Where only few rows are left they are read one by one: their library may lie in many windows.
    """
    least, most = conditions.edges(shape)
    begin, edge = (f"min({most}, :after - 1)", least) if way.descending else (f"max({least}, :after + 1)", most)
    bits = shape.sizes.window_bits[-1]
    windows = table(way, (bits, bits), begin="first WHERE id IS NOT NULL", where=f"nth < {_MOST_WINDOWS - 1}")
    branches = "\n        UNION ALL\n        ".join(_branches(shape, way))
    return f"""
        WITH RECURSIVE many AS MATERIALIZED (
            SELECT 1 {_left(shape, way)} ORDER BY {_POSITION} {way.order} LIMIT 1 OFFSET {shape.sizes.walk}
        ),
        first(id) AS MATERIALIZED (SELECT {begin} FROM many), edge(id) AS MATERIALIZED (SELECT {edge}),
        {windows}
        {branches}
    """


def _branches(shape: Shape, way: Way) -> Iterator[str]:
    more = "low > id" if way.descending else "high <= id"
    within = f"""' AND "' || {window_trigram_sql("bits", "(low >> bits)")} || '"'"""
    yield _few(shape, way)
    for nth in range(_MOST_WINDOWS):
        this = f"FROM windows CROSS JOIN edge WHERE +nth = {nth}"
        start = f"SELECT -({way.first}) {this}" if nth else "SELECT -id FROM first"
        # The window is a term of the search too: a condition on ids would end it only with a row that is found.
        query = f"SELECT :query || CASE WHEN {more} THEN {within} ELSE '' END {this}"
        yield _found(shape, way, query, f"= ({start})")
        yield f"SELECT NULL, {way.last}, 0 {this} AND {more}"
    rest = f"FROM windows CROSS JOIN edge WHERE +nth = {_MOST_WINDOWS - 1} AND {more}"
    yield _found(shape, way, f"SELECT :query {rest}", f" (SELECT -({way.last}) {rest})")


def _few(shape: Shape, way: Way) -> str:
    none_if_many = "SELECT CASE WHEN EXISTS (SELECT 1 FROM many) THEN 0 ELSE -1 END"
    return (
        f"SELECT * FROM (SELECT image_id, image_id AS position, 0 AS given_up {_left(shape, way)} "
        f"AND {conditions.fits(shape, 'r')} ORDER BY {_POSITION} {way.order} LIMIT ({none_if_many}))"
    )


def _left(shape: Shape, way: Way) -> str:
    return f"FROM image_index r WHERE {conditions.listed(shape, 'r')} AND {_POSITION} {way.behind} :after"


def _found(shape: Shape, way: Way, query: str, bound: str) -> str:
    """Return what FTS5 finds behind `bound`, an id below zero; `query` gives one row, or none.

    Rows are only looked up where they have something to say.
    """
    behind, order = _BELOW_ZERO[way.behind]
    rows = f"{FTS_TABLE} f"
    if shape.words or shape.days:
        rows += " CROSS JOIN image_index r ON r.image_id = -f.rowid"
    return (
        f"SELECT * FROM (SELECT -f.rowid AS image_id, -f.rowid AS position, 0 AS given_up FROM {rows} "
        f"WHERE {FTS_TABLE} MATCH coalesce(({query}), {_NOTHING}) AND f.rowid {behind}{bound} "
        f"AND {conditions.says(shape, 'r')} ORDER BY f.rowid {order})"
    )
