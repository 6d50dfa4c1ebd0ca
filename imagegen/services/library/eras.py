"""Looking through the ids of a library, from the newest down or from the oldest up, window by window.

Each window is an intersection of sorted lists in the inverted index, and grows with the way that lies behind: what is
rare costs some twenty windows however many pictures there are, and what comes often ends in the first. A search for
words that are common, but hardly ever meet, reads much and finds little. Between two windows somebody therefore looks
at the clock: past `PATIENCE` the page ends with what it has, and the next one goes on behind the last window.

SQLite yields row after row, so there whoever reads them looks at the clock, at the marker behind each window.
PostgreSQL answers at once, and so looks itself; its windows are marks in the index, for GIN knows no order. For each
window it reads all of the rarest list, and so it has fewer.
"""

# ruff: noqa: S608 - the statements are made of constants and names; whatever people type is a parameter

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

from sqlalchemy import Boolean, Float, String, Subquery, bindparam, column, text

from imagegen.models.columns import BigId
from imagegen.models.image_index import FTS_TABLE, POSITION, era_term_sql, era_trigram_sql, mark_trigram
from imagegen.services.library import marks
from imagegen.services.library.shapes import Shape

PATIENCE = 0.006
"""Seconds after which no further window is begun."""

_BRANCHES = 10
_DENSE = 4
"""An organisation with one of so many pictures, or more, looks at all of a window: its own mark is too common."""

_FURTHEST = 2**62

COLUMNS = (column("image_id", BigId), column("position", BigId), column("late", Boolean))
"""`image_id` is null in a marker; `position` is the last id looked at, `late` that no window comes behind it."""

_PARAMETERS = {
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


_DAY = f"substr(r.marks, {marks.DAY_AT[0]}, {marks.DAY_AT[1]}) BETWEEN :since AND :until"
_LISTED = "FROM image_index WHERE organisation_id = :organisation_id AND trashed = :trashed"
_ERAS = "FROM image_eras WHERE last_day >= :since AND first_day <= :until"


def _edges(shape: Shape) -> tuple[str, str]:
    """Return the first and the last id that can fit, as SQL: a library's, or those of the eras with such days."""
    position, plot = POSITION[shape.dialect], shape.sizes.plot
    least, most = f"(SELECT min({position}) {_LISTED})", f"(SELECT max({position}) {_LISTED})"
    if shape.days:
        first, last = f"(SELECT min(era) * {plot} {_ERAS})", f"(SELECT max(era) * {plot} + {plot - 1} {_ERAS})"
        least = f"(SELECT max(id) FROM (SELECT {least} AS id UNION ALL SELECT coalesce({first}, {_FURTHEST})) e)"
        most = f"(SELECT min(id) FROM (SELECT {most} AS id UNION ALL SELECT coalesce({last}, -1)) e)"
    return least, most


def _says(shape: Shape) -> str:
    """Return what the row `r` itself has to say, beyond what the inverted index knows."""
    words = (f" AND {shape.holds}(r.words, :word{number}) > 0" for number in range(shape.words))
    return "".join(words) + (f" AND {_DAY}" if shape.days else "")


def _fits(shape: Shape) -> str:
    """Return what the row `r` has to say where the inverted index is not asked."""
    return "".join(f" AND {shape.holds}(r.marks, :mark{n}) > 0" for n in range(shape.marks)) + _says(shape)


def _windows(descending: bool, eras: tuple[int, ...], *, begin: str, one: str, where: str) -> str:
    """Return the recursive table `windows(nth, bits, low, high)`; `one` is the number 1, as wide as an id.

    A window is all that is left of an era, in eras of the size below; so that few lists are read for any way. None of
    these is larger than the way that lies behind.
    """
    at, way = ("w.low", "b.id - w.low") if descending else ("w.high", "w.high - b.id")
    steps = [(eras[-1], f"{at} {'-' if descending else '+'} ({one} << {eras[-1]})")]
    steps += [(low, _rounded(at, high, descending)) for low, high in reversed(list(pairwise(eras)))]
    fits = [f"{at} % ({one} << {bits}) = 0 AND ({one} << {bits}) <= {way}" for bits, _to in steps[:-1]]
    bits = _case(fits, [str(bits) for bits, _to in steps])
    to = _case(fits, [to for _bits, to in steps])
    downwards, upwards = (eras[1], eras[0]) if descending else (eras[0], eras[1])
    first = f"(id >> {downwards}) << {downwards}, ((id >> {upwards}) + 1) << {upwards}"
    return (
        f"windows(nth, bits, low, high) AS ("
        f"SELECT 0, {eras[0]}, {first} FROM {begin} WHERE id IS NOT NULL UNION ALL "
        f"SELECT w.nth + 1, {bits}, {f'{to}, {at}' if descending else f'{at}, {to}'} "
        f"FROM windows w CROSS JOIN {begin} b CROSS JOIN edge "
        f"WHERE {at} {'>' if descending else '<='} edge.id AND {where})"
    )


def _case(conditions: Sequence[str], values: Sequence[str]) -> str:
    """Return the value of the first condition that holds; the last value is that of none."""
    *held, otherwise = values
    cases = " ".join(f"WHEN {condition} THEN {value}" for condition, value in zip(conditions, held, strict=True))
    return f"CASE {cases} ELSE {otherwise} END"


def _rounded(at: str, bits: int, descending: bool) -> str:
    """Return the next border of an era behind `at`."""
    return f"(({at} - 1) >> {bits}) << {bits}" if descending else f"(({at} >> {bits}) + 1) << {bits}"


@cache
def _by_fts(shape: Shape, descending: bool) -> str:
    """Return the statement for FTS5, which keeps its lists in the order of ids: a branch for each window.

    The window is a term of the search too: a condition on ids would end it only with a row that is found. Where only
    few rows are left they are read one by one: their library may lie in many windows.
    """
    eras, position = shape.sizes.eras, POSITION[shape.dialect]
    least, most = _edges(shape)
    begin, edge = (f"min({most}, :after - 1)", least) if descending else (f"max({least}, :after + 1)", most)
    order, compare, last = ("DESC", "<", "low") if descending else ("ASC", ">", "high - 1")
    left = f"{_LISTED} AND {position} {compare} :after"
    quoted = [f"""'"' || {era_trigram_sql("bits", f"((low >> bits) + {n})")} || '"'""" for n in range(_most(eras))]
    others = "".join(
        f" || CASE WHEN (low >> bits) + {n} < high >> bits THEN ' OR ' || {each} ELSE '' END"
        for n, each in enumerate(quoted[1:], 1)
    )
    parts = [
        f"SELECT * FROM (SELECT image_id, image_id AS position, 0 AS late "
        f"{left.replace('image_index', 'image_index AS r')}{_fits(shape)} ORDER BY {position} {order} "
        f"LIMIT (SELECT CASE WHEN EXISTS (SELECT 1 FROM many) THEN 0 ELSE -1 END))"
    ]
    for nth in range(_BRANCHES):
        behind = f"AND {FTS_TABLE}.rowid {compare}= (SELECT id FROM first)" if nth == 0 else ""
        wanted = f"SELECT :query || ' AND (' || {quoted[0]}{others} || ')' FROM windows WHERE nth = {nth}"
        parts.append(_branch(wanted, shape, behind, order))
        more = "low > id" if descending else "high <= id"
        parts.append(f"SELECT NULL, {last}, 0 FROM windows CROSS JOIN edge WHERE nth = {nth} AND {more}")
    ending = f"FROM windows WHERE nth = {_BRANCHES - 1}"
    behind = f"AND {FTS_TABLE}.rowid {compare} (SELECT {last} {ending})"
    parts.append(_branch(f"SELECT :query {ending}", shape, behind, order))
    windows = _windows(descending, eras, begin="first", one="1", where=f"nth < {_BRANCHES - 1}")
    return (
        f"WITH RECURSIVE many AS MATERIALIZED ("
        f"SELECT 1 {left} ORDER BY {position} {order} LIMIT 1 OFFSET {shape.sizes.walk}), "
        f"first(id) AS MATERIALIZED (SELECT {begin} FROM many), edge(id) AS MATERIALIZED (SELECT {edge}), "
        f"{windows} {' UNION ALL '.join(parts)}"
    )


def _most(eras: tuple[int, ...]) -> int:
    """Return how many eras a window has at most."""
    return max(1 << high - low for low, high in pairwise(eras))


def _branch(wanted: str, shape: Shape, behind: str, order: str) -> str:
    says = _says(shape)
    rows = f"{FTS_TABLE} CROSS JOIN image_index AS r ON r.image_id = {FTS_TABLE}.rowid" if says else FTS_TABLE
    nothing = f"""'"{mark_trigram("nothing")}"'"""
    return (
        f"SELECT * FROM (SELECT {FTS_TABLE}.rowid AS image_id, {FTS_TABLE}.rowid AS position, 0 AS late FROM {rows} "
        f"WHERE {FTS_TABLE} MATCH coalesce(({wanted}), {nothing}) {behind}{says} ORDER BY {FTS_TABLE}.rowid {order})"
    )


@cache
def _by_gin(shape: Shape, descending: bool, walked: int) -> str:
    """Return the statement for GIN: in each window all that is found is sorted.

    OFFSET 0 keeps from a planner what it could use another index for.
    """
    eras, position = (*shape.sizes.eras[:2], shape.sizes.eras[-1]), POSITION[shape.dialect]
    least, most = _edges(shape)
    order, compare, inward = ("DESC", "<", "+") if descending else ("ASC", ">", "-")
    skipped = max(walked - 1, 0)
    within = f" AND {position} BETWEEN {least} AND {most}" if shape.days else ""
    one, era = "CAST(1 AS bigint)", era_term_sql("w.bits", "number")
    numbers = "generate_series(w.low >> w.bits, (w.high - 1) >> w.bits)"
    # How far the rows lie apart that were walked over tells how common the organisation's mark is.
    apart = f"least(:after, {most}) - image_id" if descending else f"image_id - greatest(:after, {least})"
    return f"""
        WITH RECURSIVE last(id, since, dense) AS MATERIALIZED (
            SELECT image_id, clock_timestamp(), {apart} < {_DENSE * skipped}
            {_LISTED} AND {position} {compare} :after{within}
            ORDER BY {position} {order} LIMIT 1 OFFSET {skipped}
        ), edge(id) AS (SELECT {least if descending else most}),
        {_windows(descending, eras, begin="last", one=one, where="true")}
        SELECT found.image_id, found.position, found.late
        FROM last CROSS JOIN windows w CROSS JOIN LATERAL (
            SELECT w.nth > 0 AND clock_timestamp() >= last.since + :patience * interval '1 second' AS late
            OFFSET 0
        ) clock CROSS JOIN LATERAL (
            (SELECT r.image_id, r.image_id AS position, false AS late FROM (
                SELECT image_id, organisation_id, trashed, words, marks FROM image_index
                WHERE NOT clock.late
                AND terms @@ CAST(concat(
                    :query, CASE WHEN NOT last.dense THEN ' & ' || :place END,
                    ' & (', (SELECT string_agg({era}, ' | ') FROM {numbers} number), ')'
                ) AS tsquery)
                OFFSET 0
            ) r
            WHERE r.organisation_id = :organisation_id AND r.trashed = :trashed
            AND r.image_id {compare} last.id {inward} {int(not walked)}{_says(shape)}
            ORDER BY r.image_id {order})
            UNION ALL
            SELECT NULL, {"w.high" if descending else "w.low - 1"}, true WHERE clock.late
        ) found
    """
