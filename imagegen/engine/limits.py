"""Limits and the breaker of each provider and key: shared by all workers, and kept where a crash loses nothing.

A 429 pauses the provider for as long as it says and halves how many calls may be under way; each success gives one
back. Failures in a row open the breaker; when its time is over, one call tries whether the provider is well again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, not_, or_, select, true

from imagegen.core.errors import ErrorKind
from imagegen.core.text import N_
from imagegen.extensions import runtime
from imagegen.models import Attempt, Fallback, ProviderKey, ProviderState, Shot, UnitOfWork
from imagegen.models.columns import db_now
from imagegen.models.jobs import running as is_running
from imagegen.models.provider_states import NO_KEY
from imagegen.models.states import AttemptStatus
from imagegen.providers.errors import Outcome, ProviderError

FAILURES_TO_OPEN = 5
FIRST_OPEN_SECONDS = 15.0
LONGEST_OPEN_SECONDS = 600.0
_MOST_DOUBLINGS = 32
SHORTEST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 600.0
SHORT_PAUSE_SECONDS = 10.0
"""A pause up to this long is waited for even where another model may stand in."""
MINUTE = 60.0
_ANY_NUMBER = 10**9

_ILL = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT, ErrorKind.UNKNOWN, ErrorKind.BAD_ANSWER})
"""What says something of the provider, not of the request."""

Account = tuple[str, str]
"""A provider, and the digest of the key under which it is called."""


@dataclass(frozen=True)
class Closed:
    """A provider and key with which no call may be begun now.

    `until` is when that ends, None if it ends when another call does. Where it is `out_of_reach`, the shots of
    organisations that have named stand-ins move on at once; where it is `hopeless`, nobody's wait any longer.
    """

    provider: str
    key: str
    until: datetime | None = None
    kind: ErrorKind = ErrorKind.UNAVAILABLE
    out_of_reach: bool = False
    hopeless: bool = False

    def stops(self) -> ColumnElement[bool]:
        """Return the condition that a waiting shot has to go on waiting for this."""
        passes: list[ColumnElement[bool]] = []
        if self.out_of_reach:
            passes.append(Shot.organisation_id.in_(select(Fallback.organisation_id)))
        if self.hopeless:
            passes.append(Shot.created_at < db_now(-patience()))
        return and_(Shot.provider == self.provider, self._whose(), not_(or_(*passes)) if passes else true())

    def _whose(self) -> ColumnElement[bool]:
        own = select(ProviderKey.organisation_id).where(ProviderKey.provider == self.provider)
        if self.key == NO_KEY:
            return Shot.organisation_id.not_in(own)
        return Shot.organisation_id.in_(own.where(ProviderKey.digest == self.key))

    def error(self) -> ProviderError:
        """Return why a call was not even tried."""
        sentence = (
            N_("The provider takes no more requests for now. Try again in a few minutes.")
            if self.kind == ErrorKind.RATE_LIMITED
            else N_("The provider has not been answering for a while. Try again in a few minutes.")
        )
        return ProviderError(sentence, kind=self.kind, outcome=Outcome.NOT_SENT)


def patience() -> float:
    """Return how many seconds a shot waits for a provider that does not come back; half a lease, 45 s by default."""
    return runtime.settings.lease_seconds / 2


@dataclass(frozen=True)
class Gate:
    """With whom no call may be begun now, and how many with each of the others."""

    shut: Sequence[Closed]
    room: int


def gate(uow: UnitOfWork) -> Gate:
    """Return with whom no call may be begun now: paused, broken, or as busy as they may be; `room` is at least 1."""
    running = _running(uow)
    troubled = {(row.provider, row.key): row for row in uow.scalars(_not_blank())}
    clock = uow.scalars(select(db_now())).one() if troubled else None
    shut, room = [], runtime.settings.provider_concurrency
    for account in running.keys() | troubled.keys():
        row = troubled.get(account)
        closed = _shut(row, clock) if row is not None and clock is not None else None
        left = 0 if closed else min(_most(account[0], row) - running.get(account, 0), _left_of_minute(uow, row))
        if left <= 0:
            shut.append(closed or Closed(*account))
        else:
            room = min(room, left)
    return Gate(shut, room)


@cache
def _not_blank() -> Select[ProviderState]:
    return select(ProviderState).where(
        or_(
            ProviderState.slots.is_not(None),
            ProviderState.failures > 0,
            ProviderState.paused_until.is_not(None),
            ProviderState.concurrency.is_not(None),
            ProviderState.per_minute.is_not(None),
        )
    )


def _shut(row: ProviderState, clock: datetime) -> Closed | None:
    """Return how the row's provider is shut by its own trouble; None if it is not."""
    if row.paused_until is not None and row.paused_until > clock:
        wait = (row.paused_until - clock).total_seconds()
        return Closed(
            row.provider,
            row.key,
            row.paused_until,
            ErrorKind.RATE_LIMITED,
            out_of_reach=wait > SHORT_PAUSE_SECONDS,
            hopeless=wait > MINUTE,
        )
    if row.open_until is not None and row.open_until > clock:
        lasting = row.broken_since is not None and row.broken_since < clock - timedelta(seconds=patience())
        return Closed(row.provider, row.key, row.open_until, out_of_reach=True, hopeless=lasting)
    return None


def _most(provider_id: str, row: ProviderState | None) -> int:
    """Return how many calls to a provider may be under way; what draws here is bounded by the slots alone."""
    if any(p.id == provider_id and p.built_in for p in runtime.providers.providers()):
        return _ANY_NUMBER
    allowed = [runtime.settings.provider_concurrency]
    if row is not None:
        allowed += [limit for limit in (row.slots, row.concurrency) if limit is not None]
        if row.failures >= FAILURES_TO_OPEN:
            allowed.append(1)
    return min(allowed)


def _left_of_minute(uow: UnitOfWork, row: ProviderState | None) -> int:
    """Return how many more calls a person allows within this minute."""
    if row is None or row.per_minute is None:
        return _ANY_NUMBER
    begun = select(func.count(Attempt.id)).where(
        Attempt.provider == row.provider,
        Attempt.provider_key == row.key,
        or_(
            Attempt.sent_at > db_now(-MINUTE),
            Attempt.sent_at.is_(None) & (Attempt.status == AttemptStatus.PREPARED),
        ),
    )
    return row.per_minute - (uow.scalar(begun) or 0)


def allowed(shut: Sequence[Closed]) -> ColumnElement[bool]:
    """Return the condition that a shot need not wait for any of those that are closed."""
    return and_(true(), *(not_(one.stops()) for one in shut))


def note_success(uow: UnitOfWork, *, provider: str, key: str = NO_KEY) -> None:
    """Take back what earlier trouble had closed; does nothing for a provider that was well."""
    # Looked for without a lock: else the pictures of all workers would wait for each other here.
    if uow.scalar(_troubled(), {"one": provider, "mine": key}) is None:
        return
    row = _row(uow, provider, key)
    if row is None:
        return
    row.failures = 0
    row.open_until = row.broken_since = None
    if row.slots is not None:
        row.slots = None if row.slots + 1 >= runtime.settings.provider_concurrency else row.slots + 1


@cache
def _troubled() -> Select[int]:
    return select(ProviderState.id).where(
        ProviderState.provider == bindparam("one"),
        ProviderState.key == bindparam("mine"),
        or_(ProviderState.slots.is_not(None), ProviderState.failures > 0),
    )


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
        until = uow.scalars(select(db_now(wait))).one()
        # Of calls that were under way together one may be told a short wait after another was told a long one.
        row.paused_until = max(until, row.paused_until or until)
        row.slots = max(1, _running(uow).get((provider, key), 0) // 2)
        return
    row.failures += 1
    if row.failures >= FAILURES_TO_OPEN:
        # Who has been away for weeks has failed so often that no float holds the doubled wait.
        doubled = FIRST_OPEN_SECONDS * 2.0 ** min(row.failures - FAILURES_TO_OPEN, _MOST_DOUBLINGS)
        row.open_until = db_now(min(LONGEST_OPEN_SECONDS, doubled))
        row.broken_since = row.broken_since or db_now()


def _running(uow: UnitOfWork) -> Mapping[Account, int]:
    return {(provider, key): count for provider, key, count in uow.execute(_counted())}


@cache
def _counted() -> Select[str, str, int]:
    counted = select(Shot.provider, Shot.provider_key, func.count(Shot.id)).where(is_running())
    return counted.group_by(Shot.provider, Shot.provider_key)


def _row(uow: UnitOfWork, provider: str, key: str) -> ProviderState | None:
    query = select(ProviderState).where(ProviderState.provider == provider, ProviderState.key == key)
    found: ProviderState | None = uow.scalar(query.with_for_update())
    return found
