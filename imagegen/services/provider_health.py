"""How providers are doing, from the calls that were really made: figures of the last day, and what the workers found.

An organisation is told of the keys that it uses: its own, else the installation's. The figures of the installation's
key come from everybody's calls, for they are about the provider; what went wrong is told of its own calls alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, or_, select, tuple_

from imagegen.core.errors import ErrorKind
from imagegen.extensions import db, runtime
from imagegen.models import Attempt, ProviderKey, ProviderState, system_scope
from imagegen.models.columns import db_now
from imagegen.models.provider_states import NO_KEY
from imagegen.models.scope import current_organisation
from imagegen.models.states import AttemptStatus

DAY_SECONDS = 24 * 3600.0
MOST_CALLS = 1000
"""Of how many of the newest calls the figures are, at most."""
NEWEST = 10
"""How many pictures have to come slowly before the provider is called slow."""
SLOWER = 2.0
"""Slow is a provider whose newest pictures take so many times as long as the day's do."""
FEWEST_TO_JUDGE = 4
CHOOSER_SECONDS = 15.0

OF_THE_PROVIDER = frozenset(
    {
        ErrorKind.AUTH,
        ErrorKind.BILLING,
        ErrorKind.RATE_LIMITED,
        ErrorKind.UNAVAILABLE,
        ErrorKind.TIMEOUT,
        ErrorKind.BAD_ANSWER,
        ErrorKind.UNKNOWN,
    }
)
"""Errors that say something of the provider or the key; a refused prompt or a cancelled job says nothing of them."""

Account = tuple[str, str]
"""A provider, and the digest of the key under which it is called; blank: the installation's."""


class Status(StrEnum):
    """How a provider is doing, the worst that is known."""

    QUIET = "quiet"
    WELL = "well"
    SLOW = "slow"
    FAILING = "failing"
    PAUSED = "paused"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Hold:
    """Why no call is begun: paused or broken. `until` is when the next may be (None: now), `since` when it broke."""

    status: Status
    until: datetime | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class LastError:
    """What went wrong last: its kind, the sentence, and when."""

    kind: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Figures:
    """The calls of the last day: how many, the share that gave pictures (0 to 1), and how long those took."""

    calls: int = 0
    success_rate: float | None = None
    p50: float | None = None
    p95: float | None = None
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """How a provider is doing with one key."""

    provider: str
    own_key: bool
    figures: Figures
    hold: Hold | None = None
    error: LastError | None = None

    @property
    def status(self) -> Status:
        """The worst that is known."""
        if self.hold is not None:
            return self.hold.status
        rate = self.figures.success_rate
        if rate is None:
            return Status.QUIET
        if rate < 0.5 and self.figures.calls >= FEWEST_TO_JUDGE:
            return Status.FAILING
        return Status.SLOW if self.figures.slow else Status.WELL


def of_organisation() -> Mapping[str, Health]:
    """Return the health of every provider with the key that the organisation in scope uses, by provider."""
    accounts = _accounts()
    # Figures of all organisations, and no more than figures: one alone makes too few calls to tell.
    with system_scope():
        figures, holds = {account: _figures(account) for account in accounts}, _holds(accounts)
    return {account[0]: _health(account, figures[account], holds.get(account)) for account in accounts}


def of_installation() -> Mapping[str, Health]:
    """Return the health of every provider with the installation's key, by provider; for operators alone."""
    accounts = {(provider.id, NO_KEY) for provider in runtime.providers.providers()}
    with system_scope():
        holds = _holds(accounts)
        return {account[0]: _health(account, _figures(account), holds.get(account)) for account in accounts}


def held() -> Mapping[str, Hold]:
    """Return which providers are paused or broken for the organisation in scope, by provider.

    For every page that offers models: the same answer for 15 seconds in each process.
    """
    organisation_id = current_organisation()
    return runtime.lately.get(("held", organisation_id), _held, seconds=CHOOSER_SECONDS)


def _held() -> Mapping[str, Hold]:
    return {provider: hold for (provider, _key), hold in _holds(_accounts()).items()}


def _accounts() -> set[Account]:
    own = dict(db.session.execute(select(ProviderKey.provider, ProviderKey.digest)).all())
    return {(provider.id, own.get(provider.id, NO_KEY)) for provider in runtime.providers.providers()}


def _health(account: Account, figures: Figures, hold: Hold | None) -> Health:
    provider, key = account
    return Health(provider=provider, own_key=key != NO_KEY, figures=figures, hold=hold, error=_last_error(account))


def _holds(accounts: set[Account]) -> dict[Account, Hold]:
    query = select(ProviderState, db_now().label("clock")).where(
        tuple_(ProviderState.provider, ProviderState.key).in_(accounts),
        or_(ProviderState.paused_until > db_now(), ProviderState.broken_since.is_not(None)),
    )
    found = {}
    for row, clock in db.session.execute(query):
        hold = _hold(row, clock)
        if hold is not None:
            found[(row.provider, row.key)] = hold
    return found


def _hold(row: ProviderState, clock: datetime) -> Hold | None:
    if row.broken_since is not None:
        until = row.open_until if row.open_until is not None and row.open_until > clock else None
        return Hold(Status.BROKEN, until, row.broken_since)
    if row.paused_until is not None and row.paused_until > clock:
        return Hold(Status.PAUSED, row.paused_until, None)
    return None


def _newest(account: Account, *columns: Any, where: ColumnElement[bool], most: int) -> Sequence[Any]:
    """Return the newest `most` calls of the last day: the index of providers and times gives them in order."""
    provider, key = account
    query = select(*columns).where(
        Attempt.provider == provider, Attempt.provider_key == key, Attempt.sent_at > db_now(-DAY_SECONDS), where
    )
    return db.session.execute(query.order_by(Attempt.sent_at.desc()).limit(most)).all()


def _figures(account: Account) -> Figures:
    told = or_(Attempt.status == AttemptStatus.SUCCEEDED, Attempt.error_kind.in_(OF_THE_PROVIDER))
    rows = _newest(account, Attempt.status, Attempt.sent_at, Attempt.answered_at, where=told, most=MOST_CALLS)
    return _figures_of([(status, sent, answered) for status, sent, answered in rows])


def _figures_of(calls: Sequence[tuple[str, datetime, datetime | None]]) -> Figures:
    """Return the figures of calls, the newest first."""
    seconds = [
        (answered - sent).total_seconds()
        for status, sent, answered in calls
        if status == AttemptStatus.SUCCEEDED and answered is not None
    ]
    delivered = sum(status == AttemptStatus.SUCCEEDED for status, _, _ in calls)
    ordered = sorted(seconds)
    enough = len(seconds) >= 2 * NEWEST
    return Figures(
        calls=len(calls),
        success_rate=delivered / len(calls) if calls else None,
        p50=percentile(ordered, 0.50),
        p95=percentile(ordered, 0.95),
        slow=enough and median(seconds[:NEWEST]) > SLOWER * median(seconds[NEWEST:]),
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest of `ordered` that at least `share` (0 to 1) of them do not exceed; None of nothing."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


def _last_error(account: Account) -> LastError | None:
    wrong = Attempt.error_kind.in_(OF_THE_PROVIDER)
    rows = _newest(account, Attempt.error_kind, Attempt.error_message, Attempt.sent_at, where=wrong, most=1)
    return next((LastError(kind, message or "", at) for kind, message, at in rows), None)
