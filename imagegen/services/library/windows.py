"""Looking through the ids of a library, from the newest down or from the oldest up, window by window.

A search for words that are common, but hardly ever meet, reads much and finds little. Between two windows somebody
therefore looks at the clock: past `PATIENCE` the page ends with what it has, and the next one goes on behind the last
window. What is rare costs a few windows however many pictures there are, and what comes often ends in the first.

How a window is looked through is each database's own: `by_fts`, `by_gin`.
"""

# ruff: noqa: S608 - the SQL is made of constants and names

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Boolean, column

from imagegen.models.columns import BigId

PATIENCE = 0.003
"""Seconds after which no further window is begun."""

COLUMNS = (column("image_id", BigId), column("position", BigId), column("given_up", Boolean))
"""`image_id` is null in a marker between two windows; `position` is the last id looked at, `given_up` that it was so
late that no window comes behind it."""


class Way(NamedTuple):
    """Through the ids: their ORDER BY, how a later one compares, where earlier ones are, a window's ends."""

    descending: bool
    order: str
    behind: str
    inward: str
    first: str
    last: str


DOWN = Way(True, "DESC", behind="<", inward="+", first="high - 1", last="low")
UP = Way(False, "ASC", behind=">", inward="-", first="low", last="high - 1")


def table(way: Way, bits: tuple[int, int], *, begin: str, one: str = "1", where: str = "true") -> str:
    """Return the recursive table `windows(nth, bits, low, high)`, from the `id` in `begin` to the one in `edge`.

    The first window has the ids of `bits[0]` and as many beside it, the second those that are left of `bits[1]`, and
    each further one `bits[1]`; where both are the same, each is one. `one` is the number 1, as wide as an id.
    """
    small, large = bits
    neighbour = int(small < large)
    if way.descending:
        at, sign, rest = "w.low", "-", f"((w.low - 1) >> {large}) << {large}"
        first = f"((id >> {small}) - {neighbour}) << {small}, ((id >> {small}) + 1) << {small}"
    else:
        at, sign, rest = "w.high", "+", f"((w.high >> {large}) + 1) << {large}"
        first = f"(id >> {small}) << {small}, ((id >> {small}) + {1 + neighbour}) << {small}"
    whole = f"{at} % ({one} << {large}) = 0"
    of_bits = f"CASE WHEN {whole} THEN {large} ELSE {small} END"
    to = f"CASE WHEN {whole} THEN {at} {sign} ({one} << {large}) ELSE {rest} END"
    return f"""windows(nth, bits, low, high) AS (
            SELECT 0, {small}, {first} FROM {begin}
            UNION ALL
            SELECT w.nth + 1, {of_bits}, {f"{to}, {at}" if way.descending else f"{at}, {to}"}
            FROM windows w CROSS JOIN edge WHERE {at} {">" if way.descending else "<="} edge.id AND {where}
        )"""
