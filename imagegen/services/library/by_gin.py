"""How PostgreSQL looks through windows: what is found in each is sorted.

GIN knows no order, and reads all of the rarest list for each window; it only need not look at the rows of the
others. So a few rows from anywhere are asked for first: if there are no more, they are all. It answers at once, and
so looks at the clock itself. OFFSET 0 keeps from a planner what it could use another index for.
"""

# ruff: noqa: S608 - the statements are made of constants and names; whatever people type is a parameter

from __future__ import annotations

from imagegen.models.image_index import POSITION, window_term_sql
from imagegen.services.library import conditions
from imagegen.services.library.shapes import Shape
from imagegen.services.library.windows import Way, table

_POSITION = POSITION["postgresql"]
_SAID = "image_id, organisation_id, trashed, words, marks"


def statement(shape: Shape, way: Way, *, walked: tuple[int, int] | None) -> str:
    """Return the statement for rows of `windows.COLUMNS`.

    They are those behind the first `walked` of the list, which are the table `near`: the first number of them where
    these are `sparse`, else the second.
    """
    least, most = conditions.edges(shape)
    begin = "last CROSS JOIN rare WHERE NOT rare.is_so"
    return f"""
        WITH RECURSIVE {_last(shape, way, walked)},
        {_few(shape)},
        rare(is_so) AS MATERIALIZED (SELECT count(*) < {shape.sizes.rare} FROM few),
        edge(id) AS (SELECT {least if way.descending else most}),
        {table(way, shape.sizes.window_bits, begin=begin, one="CAST(1 AS bigint)")}
        ({_fitting(shape, way, walked, "few", "last CROSS JOIN rare CROSS JOIN", "rare.is_so")})
        UNION ALL
        SELECT seen.image_id, seen.position, seen.given_up
        FROM last CROSS JOIN windows w CROSS JOIN LATERAL (
            SELECT w.nth > 0 AND clock_timestamp() >= last.since + :patience * interval '1 second' AS given_up
            OFFSET 0
        ) clock CROSS JOIN LATERAL (
            ({_fitting(shape, way, walked, f"({_in_window()})")})
            UNION ALL
            SELECT NULL, {"w.high" if way.descending else "w.low - 1"}, true WHERE clock.given_up
        ) seen
    """


def _last(shape: Shape, way: Way, walked: tuple[int, int] | None) -> str:
    """Return the last row that was walked over, or the first of all, with the time; none where there is no other."""
    if walked:
        few, many = walked
        rows = f"near LIMIT 1 OFFSET (SELECT CASE WHEN is_so THEN {few - 1} ELSE {many - 1} END FROM sparse)"
    else:
        within = "{} BETWEEN {} AND {}".format(_POSITION, *conditions.edges(shape)) if shape.days else "true"
        ours = f"{conditions.listed(shape, 'r')} AND {_POSITION} {way.behind} {shape.given('after')} AND {within}"
        rows = f"image_index r WHERE {ours} ORDER BY {_POSITION} {way.order} LIMIT 1"
    return f"last(id, since) AS MATERIALIZED (SELECT image_id, clock_timestamp() FROM {rows})"


def _few(shape: Shape) -> str:
    """Return the first few rows from anywhere; a LIMIT beside the search would lead the planner to read the table."""
    return f"""anywhere AS MATERIALIZED (
            SELECT {_SAID} FROM image_index
            WHERE terms @@ CAST({shape.given("query")} AS tsquery) AND EXISTS (SELECT 1 FROM last)
        ), few AS MATERIALIZED (SELECT * FROM anywhere LIMIT {shape.sizes.rare})"""


def _in_window() -> str:
    numbers = "generate_series(w.low >> w.bits, (w.high - 1) >> w.bits)"
    parts = f"SELECT string_agg({window_term_sql('w.bits', 'number')}, ' | ') FROM {numbers} number"
    return f"""
                SELECT {_SAID} FROM image_index
                WHERE NOT clock.given_up
                AND terms @@ CAST(concat(:place, ' & ', :query, ' & (', ({parts}), ')') AS tsquery)
                OFFSET 0
            """


def _fitting(
    shape: Shape, way: Way, walked: tuple[int, int] | None, rows: str, beside: str = "", where: str = "true"
) -> str:
    return f"""SELECT r.image_id, r.image_id AS position, false AS given_up FROM {beside} {rows} r
            WHERE {where} AND {conditions.listed(shape, "r")}
            AND r.image_id {way.behind} last.id {way.inward} {int(walked is None)} AND {conditions.says(shape, "r")}
            ORDER BY r.image_id {way.order}"""
