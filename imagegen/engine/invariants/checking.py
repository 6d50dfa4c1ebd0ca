"""The invariants by their numbers, and the one way to check them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from imagegen.engine.invariants import files, history, money, standing
from imagegen.engine.invariants.rule import PATIENCE, Broken, Invariant, Look, Progress
from imagegen.extensions import db
from imagegen.models import system_scope

INVARIANTS: tuple[Invariant, ...] = (
    money.BUDGETS,
    money.RESERVATIONS,
    money.BOOKS,
    money.BILL,
    files.PICTURES,
    files.FILES,
    files.WORKSPACES,
    standing.STATES,
    standing.LEASES,
    history.EVENTS,
    history.KEYS,
    standing.IDLE,
    standing.SETTLED,
)


def _unheard(what: str, done: int, total: int) -> None:
    """Report to nobody."""


def check(
    *,
    only: Collection[str] = (),
    hash_files: bool = True,
    patience: timedelta = PATIENCE,
    progress: Progress = _unheard,
) -> list[Broken]:
    """Return everything that does not hold, up to a hundred rows of each kind, in the order of the invariants.

    `only` names invariants, such as "I3"; without it all are checked. `hash_files` reads every stored picture.
    `patience` is how long something may wait for the sweeper. Reads alone; each invariant sees one snapshot of the
    database, so that it may run beside a studio at work.
    """
    look = Look(patience.total_seconds(), hash_files, progress)
    found: list[Broken] = []
    with system_scope():
        for invariant in INVARIANTS:
            if only and invariant.id not in only:
                continue
            # What is seen begins here; and on PostgreSQL no old snapshot holds up the cleaning of tables.
            db.session.rollback()
            found += invariant.broken(look)
        db.session.rollback()
    return found
