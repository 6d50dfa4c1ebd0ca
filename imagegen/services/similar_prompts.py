"""Pictures whose words are like those being written: to look at, never used by themselves.

How alike two texts are is the share of three-letter pieces that they have in common. It finds what is about the same
things; it cannot tell a paraphrase from a negation, so nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from imagegen.core.text import clean
from imagegen.extensions import db
from imagegen.models import Image
from imagegen.services.library import GRID_COLUMNS

MOST_SHOWN = 6
SHORTEST = 8
"""Characters from which on words say something."""
LONGEST = 400
"""Characters that are compared."""
_NEWEST = 600
"""Pictures among whose words is looked: the organisation's newest."""
_ALIKE = 0.15
"""Hides what is about something else; unrelated sentences share up to a tenth of their pieces."""

_BITS = 2048
Bits = NDArray[np.uint64]


def find(prompt: str, *, also_the_same: bool = True) -> Sequence[Any]:
    """Return up to six of the organisation's pictures (rows of `GRID_COLUMNS`), the most alike first.

    Each distinct text is there once, with its newest picture; `prompt` itself only with `also_the_same`.
    """
    text = _compared(prompt)
    if len(text) < SHORTEST:
        return []
    newest = _newest_of_each_text()
    if not also_the_same:
        newest.pop(text, None)
    if not newest:
        return []
    scores = _likeness(_pieces(text), np.stack([_pieces(other) for other in newest]))
    best = [int(place) for place in np.argsort(-scores, kind="stable")[:MOST_SHOWN] if scores[place] >= _ALIKE]
    ids = list(newest.values())
    order = {ids[place]: rank for rank, place in enumerate(best)}
    rows = db.session.execute(select(*GRID_COLUMNS).where(Image.id.in_(order), Image.deleted_at.is_(None))).all()
    return sorted(rows, key=lambda row: order[row.id])


def _compared(prompt: str) -> str:
    return " ".join(clean(prompt[:LONGEST]).casefold().split())


def _newest_of_each_text() -> dict[str, int]:
    """Return the newest picture's id for each text of the newest pictures: a short walk on one index."""
    query = (
        select(Image.id, func.substr(Image.prompt, 1, LONGEST))
        .where(Image.deleted_at.is_(None), Image.prompt.is_not(None))
        .order_by(Image.id.desc())
        .limit(_NEWEST)
    )
    found: dict[str, int] = {}
    for image_id, prompt in db.session.execute(query):
        found.setdefault(_compared(prompt), image_id)
    return found


@lru_cache(maxsize=8192)
def _pieces(text: str) -> Bits:
    """Return the set of the text's three-letter pieces as `_BITS` bits, hashed; shape (32,)."""
    letters = np.frombuffer(f" {text} ".encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    mixed = (letters[:-2] * np.uint64(0x1000193) + letters[1:-1]) * np.uint64(0x1000193) + letters[2:]
    places = (mixed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _BITS.bit_length() + 1)
    bits = np.zeros(_BITS, dtype=bool)
    bits[places.astype(np.intp)] = True
    packed: Bits = np.packbits(bits).view(np.uint64)
    packed.flags.writeable = False
    return packed


def _likeness(one: Bits, others: Bits) -> NDArray[np.float64]:
    """Return the share of pieces that `one` (32,) has in common with each of `others` (n, 32), from 0 to 1."""
    shared = np.bitwise_count(one & others).sum(axis=1, dtype=np.float64)
    likeness: NDArray[np.float64] = shared / np.bitwise_count(one | others).sum(axis=1)
    return likeness
