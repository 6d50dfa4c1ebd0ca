"""How many jobs a person may ask for in a while: counted in Redis, so that all processes count together.

Without Redis nobody counts: what costs money is refused then, what the studio draws itself is not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from imagegen.core.errors import TooMany
from imagegen.core.text import N_, Message
from imagegen.extensions import runtime
from imagegen.services.limits import CannotCount
from imagegen.settings import NO_LIMIT

log = structlog.get_logger(__name__)

_NAMESPACE = "jobs"


@dataclass(frozen=True)
class Pace:
    """How many jobs a person may ask for, how many more now, and in how many seconds one more."""

    limit: int
    remaining: int
    reset: int


def count_job(*, user_id: int, free: bool) -> None:
    """Count one job that a person asks for; raises TooMany, or CannotCount for one that may cost money."""
    item = _item()
    if item is None:
        return
    try:
        if _limiter().hit(item, _NAMESPACE, str(user_id)):
            return
        wait = _wait(item, user_id)
    except StorageError as error:
        log.error("pace.cannot_count", error=str(error.storage_error))
        if free:
            return
        raise CannotCount(
            N_("The studio can't count jobs just now, so it begins none that cost money. Try again in a minute.")
        ) from None
    raise TooMany(_sentence(item, wait), retry_after=wait)


def of(*, user_id: int) -> Pace | None:
    """Return how a person stands; None if nothing is limited, or nobody counts."""
    item = _item()
    if item is None:
        return None
    try:
        stats = _limiter().get_window_stats(item, _NAMESPACE, str(user_id))
    except StorageError:
        return None
    return Pace(item.amount, stats.remaining, _seconds_until(stats.reset_time))


def _item() -> RateLimitItem | None:
    text = runtime.settings.generate_rate_limit
    return None if text == NO_LIMIT else parse(text)


def _limiter() -> MovingWindowRateLimiter:
    pool = runtime.redis.connection_pool
    return MovingWindowRateLimiter(RedisStorage("redis://", connection_pool=pool, wrap_exceptions=True))


def _wait(item: RateLimitItem, user_id: int) -> int:
    return _seconds_until(_limiter().get_window_stats(item, _NAMESPACE, str(user_id)).reset_time)


def _seconds_until(moment: float) -> int:
    return max(1, round(moment - time.time() + 0.5))


_WINDOWS: dict[int, Message] = {
    1: N_("You may ask for {count} jobs a second."),
    60: N_("You may ask for {count} jobs a minute."),
    3600: N_("You may ask for {count} jobs an hour."),
    86400: N_("You may ask for {count} jobs a day."),
}
_OTHER = N_("You may ask for {count} jobs in {seconds} seconds.")


def _sentence(item: RateLimitItem, wait: int) -> Message:
    window = item.get_expiry()
    first = _WINDOWS.get(window, _OTHER).format(count=item.amount, seconds=window)
    if wait <= 90:
        return first + " " + N_("It goes on in {seconds} seconds.").format(seconds=wait)
    return first + " " + N_("It goes on in {minutes} minutes.").format(minutes=-(-wait // 60))
