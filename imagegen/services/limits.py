"""How often a secret may be guessed: counted in Redis, so that all processes count together.

An attempt is counted before it is judged, and taken back when it was right: many wrong ones at once can't slip
through together. Without Redis nobody is let in, for then nobody counts.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from imagegen.core.errors import ErrorKind, StudioError, TooMany
from imagegen.core.secrets import digest
from imagegen.core.text import N_
from imagegen.extensions import runtime

log = structlog.get_logger(__name__)

ACCOUNT = RateLimitItemPerMinute(10, 15, namespace="guess-account")
ADDRESS = RateLimitItemPerMinute(20, 1, namespace="guess-address")
LETTERS = RateLimitItemPerHour(5, 1, namespace="letters")
"""Letters that anybody may have sent to one person."""


class CannotCount(StudioError):
    """Redis can't be reached, so guesses can't be counted."""

    kind = ErrorKind.UNAVAILABLE
    status = 503
    retry_after = 60


@contextmanager
def guarded(*, address: str, account: str = "") -> Iterator[None]:
    """Let the block judge a secret; if it raises StudioError, that was one wrong guess.

    `account` is the e-mail address that is tried, whether somebody has it or not. Raises TooMany or CannotCount.
    """
    counters = [(ADDRESS, address)] + ([(ACCOUNT, account)] if account else [])
    for item, whose in counters:
        count(item, whose)
    yield
    for item, whose in counters:
        _take_back(item, whose)


def count_letter(*, email: str) -> bool:
    """Count a letter to this person; tell whether it may still be sent."""
    try:
        return _limiter().hit(LETTERS, _key(LETTERS, email))
    except StorageError as error:
        raise _cannot_count(error) from None


def _limiter() -> MovingWindowRateLimiter:
    pool = runtime.redis.connection_pool
    return MovingWindowRateLimiter(RedisStorage("redis://", connection_pool=pool, wrap_exceptions=True))


def count(item: RateLimitItem, whose: str) -> None:
    """Count one attempt of an address or an account; raises TooMany or CannotCount."""
    limiter, key = _limiter(), _key(item, whose)
    try:
        if limiter.hit(item, key):
            return
        reset = limiter.get_window_stats(item, key).reset_time
    except StorageError as error:
        raise _cannot_count(error) from None
    wait = max(1, round(reset - time.time() + 0.5))
    raise TooMany(_wait_sentence(wait), retry_after=wait)


def _wait_sentence(seconds: int) -> str:
    if seconds <= 60:
        return N_("That was wrong too often. Wait {seconds} seconds and try again.").format(seconds=seconds)
    return N_("That was wrong too often. Wait {minutes} minutes and try again.").format(minutes=-(-seconds // 60))


def _take_back(item: RateLimitItem, whose: str) -> None:
    """Forget a person's wrong guesses once they are known; of an address only this one attempt."""
    storage = _limiter().storage
    assert isinstance(storage, RedisStorage)  # noqa: S101 - for the type checker
    redis: Any = storage.get_connection()
    name = storage.prefixed_key(item.key_for(_key(item, whose)))
    try:
        if item is ACCOUNT:
            redis.delete(name)
        else:
            redis.lpop(name)  # the window is a list of moments, the newest first
    except storage.base_exceptions as error:
        log.warning("limits.not_taken_back", error=str(error))


def _cannot_count(error: StorageError) -> CannotCount:
    log.error("limits.cannot_count", error=str(error.storage_error))
    return CannotCount(N_("The studio can't check this just now, so nobody is let in. Try again in a minute."))


def _key(item: RateLimitItem, whose: str) -> str:
    """Return the counter's key: no e-mail address stands in Redis."""
    return _network(whose) if item is ADDRESS else digest(whose.strip().lower())


def _network(address: str) -> str:
    """Return what counts as one address: of IPv6 the network, for everybody has a whole one."""
    try:
        parsed = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return address
    if parsed.version == 6:
        mapped = parsed.ipv4_mapped
        return str(mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
