"""Looking through the ids of a library, from the newest down or from the oldest up, window by window.

A search for words that are common, but hardly ever meet, reads much and finds little. Between two windows somebody
therefore looks at the clock: past `PATIENCE` the page ends with what it has, and the next one goes on behind the last
window. What is rare costs a few windows however many pictures there are, and what comes often ends in the first.

FTS5 intersects sorted lists, so that a window costs what lies in it; a row is yielded as soon as it is found, and
whoever reads them looks at the clock, at the marker behind each window. It keeps its lists newest first, as nearly
everybody asks (`models.image_index`).

GIN knows no order, and reads all of the rarest list for each window; it only need not look at the rows of the others.
So PostgreSQL first asks for a few rows from anywhere: if there are no more, they are all. It answers at once, and so
looks at the clock itself.
"""

# ruff: noqa: S608 - the statements are made of constants and names; whatever people type is a parameter

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Float, String, Subquery, bindparam, column, text

from imagegen.models.columns import BigId
from imagegen.models.image_index import FTS_TABLE, POSITION, era_term_sql, era_trigram_sql, mark_trigram
from imagegen.services.library import marks
from imagegen.services.library.shapes import Shape

PATIENCE = 0.003
"""Seconds after which no further window is begun."""

_BRANCHES = 10
_FURTHEST = 2**62

COLUMNS = (column("image_id", BigId), column("position", BigId), column("late", Boolean))
"""`image_id` is null in a marker; `position` is the last id looked at, `late` that no window comes behind it."""

_PARAMETERS: dict[str, Any] = {
    "organisation_id": BigId,
    "trashed": Boolean,
    "after": BigId,
    "query": String,
    "place": String,
    "patience": Float,
    "since": String,
    "until": String,
}


def before_all(descending: bool) -> int:
    """Return the position before the first picture."""
    return _FURTHEST if descending else -1


def look(shape: Shape, *, descending: bool, walked: int = 0) -> Subquery:
    """Return rows of `COLUMNS` in the order of ids; the first window is looked through whatever the clock says.

    `walked` is how many rows behind the cursor are known already; on SQLite that is not asked. On PostgreSQL the
    statement has one more parameter: `patience`, in seconds.
    """
    if shape.dialect == "sqlite":
        statement = _by_fts(shape, descending)
    else:
        statement = _by_gin(shape, descending, walked)
    typed = [bindparam(name, type_=kind) for name, kind in _PARAMETERS.items() if f":{name}" in statement]
    return text(statement).bindparams(*typed).columns(*COLUMNS).subquery("far")


def _listed(shape: Shape) -> str:
    return f"FROM image_index r WHERE {_ours(shape)}"


def _ours(shape: Shape) -> str:
    return f"r.organisation_id = {shape.given('organisation_id')} AND r.trashed = {shape.given('trashed')}"


def _edges(shape: Shape) -> tuple[str, str]:
    """Return the first and the last id that can fit, as SQL: a library's, or those of the eras with such days."""
    position, plot, listed = POSITION[shape.dialect], shape.sizes.plot, _listed(shape)
    least, most = f"(SELECT min({position}) {listed})", f"(SELECT max({position}) {listed})"
    if shape.days:
        wanted = f"FROM image_eras WHERE last_day >= {shape.given('since')} AND first_day <= {shape.given('until')}"
        first, last = f"(SELECT min(era) * {plot} {wanted})", f"(SELECT max(era) * {plot} + {plot - 1} {wanted})"
        least = f"(SELECT max(id) FROM (SELECT {least} AS id UNION ALL SELECT coalesce({first}, {_FURTHEST})) e)"
        most = f"(SELECT min(id) FROM (SELECT {most} AS id UNION ALL SELECT coalesce({last}, -1)) e)"
    return least, most


def _says(shape: Shape) -> str:
    """Return what the row `r` itself has to say, beyond what the inverted index knows."""
    words = (f" AND {shape.holds}(r.words, :word{number}) > 0" for number in range(shape.words))
    day = f"substr(r.marks, {marks.DAY_AT[0]}, {marks.DAY_AT[1]})"
    days = f" AND {day} BETWEEN {shape.given('since')} AND {shape.given('until')}" if shape.days else ""
    return "".join(words) + days


def _fits(shape: Shape) -> str:
    """Return what the row `r` has to say where the inverted index is not asked."""
    return "".join(f" AND {shape.holds}(r.marks, :mark{n}) > 0" for n in range(shape.marks)) + _says(shape)


def _windows(descending: bool, small: int, large: int, *, begin: str, one: str, where: str) -> str:
    """Return the recursive table `windows(nth, bits, low, high)`, from the `id` in `begin` to the one in `edge`.

    The first window is a small era and its neighbour, the second all small ones that are left of a large era, and
    each further one a large era; where both are the same, each is one. `one` is the number 1, as wide as an id.
    """
    neighbour = int(small < large)
    at, sign, rest = ("w.low", "-", f"((w.low - 1) >> {large}) << {large}")
    first = f"((id >> {small}) - {neighbour}) << {small}, ((id >> {small}) + 1) << {small}"
    if not descending:
        at, sign, rest = ("w.high", "+", f"((w.high >> {large}) + 1) << {large}")
        first = f"(id >> {small}) << {small}, ((id >> {small}) + {1 + neighbour}) << {small}"
    whole = f"{at} % ({one} << {large}) = 0"
    bits = f"CASE WHEN {whole} THEN {large} ELSE {small} END"
    to = f"CASE WHEN {whole} THEN {at} {sign} ({one} << {large}) ELSE {rest} END"
    return (
        f"windows(nth, bits, low, high) AS ("
        f"SELECT 0, {small}, {first} FROM {begin} UNION ALL "
        f"SELECT w.nth + 1, {bits}, {f'{to}, {at}' if descending else f'{at}, {to}'} "
        f"FROM windows w CROSS JOIN edge WHERE {at} {'>' if descending else '<='} edge.id AND {where})"
    )


def _by_fts(shape: Shape, descending: bool) -> str:
    """Return the statement for FTS5: a branch for each window.

    The window is a term of the search too, but where it is the last: a condition on ids would end it only with a row
    that is found. Where only few rows are left they are read one by one: their library may lie in many windows.
    """
    era, position = shape.sizes.eras[-1], POSITION[shape.dialect]
    least, most = _edges(shape)
    begin, edge = (f"min({most}, :after - 1)", least) if descending else (f"max({least}, :after + 1)", most)
    order, compare, flipped, last = ("DESC", "<", ">", "low") if descending else ("ASC", ">", "<", "high - 1")
    left = f"{_listed(shape)} AND {position} {compare} :after"
    more = "low > id" if descending else "high <= id"
    within = f"""' AND "' || {era_trigram_sql("bits", "(low >> bits)")} || '"'"""
    parts = [
        f"SELECT * FROM (SELECT image_id, image_id AS position, 0 AS late {left}{_fits(shape)} "
        f"ORDER BY {position} {order} LIMIT (SELECT CASE WHEN EXISTS (SELECT 1 FROM many) THEN 0 ELSE -1 END))"
    ]
    for nth in range(_BRANCHES):
        this = f"FROM windows CROSS JOIN edge WHERE +nth = {nth}"
        start = f"SELECT -({'high - 1' if descending else 'low'}) {this}" if nth else "SELECT -id FROM first"
        behind = f"AND f.rowid {flipped}= ({start})"
        wanted = f"SELECT :query || CASE WHEN {more} THEN {within} ELSE '' END {this}"
        parts.append(_branch(wanted, shape, behind, descending))
        parts.append(f"SELECT NULL, {last}, 0 {this} AND {more}")
    ending = f"FROM windows CROSS JOIN edge WHERE +nth = {_BRANCHES - 1} AND {more}"
    behind = f"AND f.rowid {flipped} (SELECT -({last}) {ending})"
    parts.append(_branch(f"SELECT :query {ending}", shape, behind, descending))
    begun, where = "first WHERE id IS NOT NULL", f"nth < {_BRANCHES - 1}"
    return (
        f"WITH RECURSIVE many AS MATERIALIZED ("
        f"SELECT 1 {left} ORDER BY {position} {order} LIMIT 1 OFFSET {shape.sizes.walk}), "
        f"first(id) AS MATERIALIZED (SELECT {begin} FROM many), edge(id) AS MATERIALIZED (SELECT {edge}), "
        f"{_windows(descending, era, era, begin=begun, one='1', where=where)} {' UNION ALL '.join(parts)}"
    )


def _branch(wanted: str, shape: Shape, behind: str, descending: bool) -> str:
    says, order = _says(shape), "ASC" if descending else "DESC"
    rows = f"{FTS_TABLE} f CROSS JOIN image_index r ON r.image_id = -f.rowid" if says else f"{FTS_TABLE} f"
    nothing = f"""'"{mark_trigram("nothing")}"'"""
    return (
        f"SELECT * FROM (SELECT -f.rowid AS image_id, -f.rowid AS position, 0 AS late FROM {rows} "
        f"WHERE {FTS_TABLE} MATCH coalesce(({wanted}), {nothing}) {behind}{says} ORDER BY f.rowid {order})"
    )


def _by_gin(shape: Shape, descending: bool, walked: int) -> str:
    """Return the statement for GIN: in each window all that is found is sorted.

    OFFSET 0 keeps from a planner what it could use another index for.
    """
    (small, large), position = shape.sizes.eras, POSITION[shape.dialect]
    least, most = _edges(shape)
    order, compare, inward = ("DESC", "<", "+") if descending else ("ASC", ">", "-")
    within = f" AND {position} BETWEEN {least} AND {most}" if shape.days else ""
    after, one, era = shape.given("after"), "CAST(1 AS bigint)", era_term_sql("w.bits", "number")
    numbers = "generate_series(w.low >> w.bits, (w.high - 1) >> w.bits)"
    begin = "last CROSS JOIN rare WHERE NOT rare.found"
    said = "image_id, organisation_id, trashed, words, marks"
    ours = f"{_ours(shape)} AND r.image_id {compare} last.id {inward} {int(not walked)}{_says(shape)}"
    return f"""
        WITH RECURSIVE last(id, since) AS MATERIALIZED (
            SELECT image_id, clock_timestamp() {_listed(shape)} AND {position} {compare} {after}{within}
            ORDER BY {position} {order} LIMIT 1 OFFSET {max(walked - 1, 0)}
        ), few AS MATERIALIZED (
            SELECT {said} FROM last CROSS JOIN LATERAL (
                SELECT {said} FROM image_index
                WHERE terms @@ CAST({shape.given("query")} AS tsquery) AND last.id IS NOT NULL
                LIMIT {shape.sizes.rare}
            ) anywhere
        ), rare(found) AS MATERIALIZED (SELECT count(*) < {shape.sizes.rare} FROM few),
        edge(id) AS (SELECT {least if descending else most}),
        {_windows(descending, small, large, begin=begin, one=one, where="true")}
        (SELECT r.image_id, r.image_id AS position, false AS late FROM last CROSS JOIN rare CROSS JOIN few r
        WHERE rare.found AND {ours} ORDER BY r.image_id {order})
        UNION ALL
        SELECT found.image_id, found.position, found.late
        FROM last CROSS JOIN windows w CROSS JOIN LATERAL (
            SELECT w.nth > 0 AND clock_timestamp() >= last.since + :patience * interval '1 second' AS late
            OFFSET 0
        ) clock CROSS JOIN LATERAL (
            (SELECT r.image_id, r.image_id AS position, false AS late FROM (
                SELECT {said} FROM image_index
                WHERE NOT clock.late
                AND terms @@ CAST(concat(
                    :place, ' & ', :query, ' & (', (SELECT string_agg({era}, ' | ') FROM {numbers} number), ')'
                ) AS tsquery)
                OFFSET 0
            ) r
            WHERE {ours} ORDER BY r.image_id {order})
            UNION ALL
            SELECT NULL, {"w.high" if descending else "w.low - 1"}, true WHERE clock.late
        ) found
    """
