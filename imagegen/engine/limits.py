"""Limits and the breaker of each provider and key: shared by all workers, and kept where a crash loses nothing.

A 429 pauses the provider for as long as it says and halves how many calls may be under way; each success gives one
back. Failures in a row open the breaker; when its time is over, one call tries whether the provider is well again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select, true

from imagegen.core.errors import ErrorKind
from imagegen.extensions import runtime
from imagegen.models import ProviderState, Shot, UnitOfWork
from imagegen.models.columns import db_now
from imagegen.models.provider_states import NO_KEY
from imagegen.models.states import ShotStatus
from imagegen.providers.errors import ProviderError

FAILURES_TO_OPEN = 5
FIRST_OPEN_SECONDS = 15.0
LONGEST_OPEN_SECONDS = 600.0
SHORTEST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 600.0

_ILL = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT, ErrorKind.UNKNOWN, ErrorKind.BAD_ANSWER})
"""What says something of the provider, not of the request."""


@dataclass(frozen=True)
class Closed:
    """A provider and key with which no call may be begun now."""

    provider: str
    key: str


def closed(uow: UnitOfWork) -> Sequence[Closed]:
    """Return with whom no call may be begun now: paused, broken, or as busy as it may be."""
    counted = select(Shot.provider, func.count(Shot.id)).where(Shot.status == ShotStatus.RUNNING)
    running: dict[str, int] = dict(uow.execute(counted.group_by(Shot.provider)).all())
    found = [Closed(name, NO_KEY) for name, count in running.items() if count >= _most(name)]
    rows = uow.execute(
        select(
            ProviderState.provider,
            ProviderState.key,
            ProviderState.slots,
            ProviderState.failures,
            or_(ProviderState.paused_until > db_now(), ProviderState.open_until > db_now()).label("shut"),
        )
    ).all()
    for row in rows:
        slots = 1 if row.failures >= FAILURES_TO_OPEN else row.slots
        if row.shut or (slots is not None and running.get(row.provider, 0) >= slots):
            found.append(Closed(row.provider, row.key))
    return list(dict.fromkeys(found))


def _most(provider_id: str) -> int:
    """Return how many calls to a provider may be under way; what draws here is bounded by the slots alone."""
    built_in = any(p.id == provider_id and p.built_in for p in runtime.providers.providers())
    return 10**9 if built_in else runtime.settings.provider_concurrency


def allowed(shut: Sequence[Closed]) -> ColumnElement[bool]:
    """Return the condition that a shot is not for any of those that are closed."""
    return and_(true(), *(Shot.provider != one.provider for one in shut))


def note_success(uow: UnitOfWork, *, provider: str, key: str = NO_KEY) -> None:
    """Take back what earlier trouble had closed; does nothing for a provider that was well."""
    row = _row(uow, provider, key)
    if row is None or (row.slots is None and not row.failures):
        return
    row.failures = 0
    row.open_until = None
    if row.slots is not None:
        row.slots = None if row.slots + 1 >= runtime.settings.provider_concurrency else row.slots + 1


def note_failure(uow: UnitOfWork, *, provider: str, error: ProviderError, key: str = NO_KEY) -> None:
    """Draw the lesson from a failed call, for all workers; a refused prompt or a bad request teaches nothing."""
    if error.kind != ErrorKind.RATE_LIMITED and error.kind not in _ILL:
        return
    row = _row(uow, provider, key)
    if row is None:
        row = ProviderState(provider=provider, key=key, failures=0)
        uow.add(row)
    row.error_kind, row.error_message, row.error_at = error.kind, error.message, db_now()
    if error.kind == ErrorKind.RATE_LIMITED:
        wait = min(max(error.retry_after or 0.0, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        row.paused_until = db_now(wait)
        row.slots = max(1, _running(uow, provider) // 2)
        return
    row.failures += 1
    if row.failures >= FAILURES_TO_OPEN:
        doubled = FIRST_OPEN_SECONDS * 2.0 ** (row.failures - FAILURES_TO_OPEN)
        row.open_until = db_now(min(LONGEST_OPEN_SECONDS, doubled))


def _running(uow: UnitOfWork, provider: str) -> int:
    query = select(func.count(Shot.id)).where(Shot.status == ShotStatus.RUNNING, Shot.provider == provider)
    return uow.scalar(query) or 0


def _row(uow: UnitOfWork, provider: str, key: str) -> ProviderState | None:
    query = select(ProviderState).where(ProviderState.provider == provider, ProviderState.key == key)
    found: ProviderState | None = uow.scalar(query.with_for_update())
    return found
