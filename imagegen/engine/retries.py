"""Which calls are made again, how often, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

from imagegen.core.errors import ErrorKind
from imagegen.providers.errors import ProviderError


@dataclass(frozen=True)
class RetryRule:
    """How often a call is made in all before the error stands, and how long to wait between, in seconds."""

    tries: int
    first_wait: float
    longest_wait: float


RETRIES: dict[ErrorKind, RetryRule] = {
    ErrorKind.RATE_LIMITED: RetryRule(tries=5, first_wait=2, longest_wait=60),
    ErrorKind.UNAVAILABLE: RetryRule(tries=3, first_wait=1, longest_wait=20),
    ErrorKind.TIMEOUT: RetryRule(tries=3, first_wait=1, longest_wait=20),
}
"""Only what the provider has certainly not taken on is called again; other kinds end the shot at once."""


def seconds_to_wait(error: ProviderError, tries: int) -> float | None:
    """Return how long to wait before the call is made again, in seconds; None if it must not be."""
    rule = RETRIES.get(error.kind)
    if not error.retryable or rule is None or tries >= rule.tries:
        return None
    if error.retry_after is not None and error.retry_after > rule.longest_wait:
        return None
    backoff: float = min(rule.longest_wait, rule.first_wait * 2.0 ** (tries - 1))
    # Jitter, so that shots that failed together don't come back together.
    return max(error.retry_after or 0.0, backoff) * random.uniform(1.0, 1.3)  # noqa: S311
