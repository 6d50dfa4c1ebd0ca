"""What can go wrong with a provider: how far the call got, what kind of error it is, and a plain sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from pydantic import SecretStr

from imagegen.core.errors import ErrorKind, StudioError
from imagegen.core.text import one_line
from imagegen.providers.usage import Usage

LONGEST_MESSAGE = 400
LONGEST_CODE = 80
LONGEST_WAIT_SECONDS = 600.0
SHORTEST_SECRET = 4
_HIDDEN = "[key]"
# Keys of the networks we speak to, also half masked by the provider itself (`sk-abc***xyz`).
_KEY_SHAPES = re.compile(r"\b(?:sk|pk|rk|r8|hf)[-_][\w*.\-…]{6,}|(?i:\bbearer\s+)[\w.*~+/=\-]{6,}")

_HTTP_STATUS: dict[ErrorKind, int] = {
    ErrorKind.BAD_REQUEST: 422,
    ErrorKind.REFUSED: 422,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.TIMEOUT: 504,
}
_BAD_GATEWAY = 502


class Outcome(StrEnum):
    """How far a call to a provider got, which decides about money and about trying again."""

    NOT_SENT = "not_sent"
    """The provider never saw it: nothing is owed."""
    REJECTED = "rejected"
    """The provider said no: nothing was made, nothing is owed."""
    ACCEPTED = "accepted"
    """The provider took it and has probably billed it: never send it again."""
    UNKNOWN = "unknown"
    """It was sent and no answer came: it may have been made and billed."""


class ProviderError(StudioError):
    """A call that gave no pictures.

    `retryable` says that the same call may be sent again (never after ACCEPTED or UNKNOWN: it would be paid
    twice), `retry_after` is in seconds. `code` and `request_id` are the provider's own, for the log and for
    its support. `usage` is set where the provider billed without delivering. No text in it holds a key:
    what `secrets` names and whatever looks like a key is taken out.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        outcome: Outcome,
        retryable: bool = False,
        retry_after: float | None = None,
        code: str | None = None,
        request_id: str | None = None,
        usage: Usage | None = None,
        field: str | None = None,
        secrets: Iterable[SecretStr] = (),
    ) -> None:
        if retryable and outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN):
            raise ValueError(f"a call that ended {outcome} must not be sent again")
        hidden = tuple(secrets)
        cleaned = one_line(scrub(message, hidden), LONGEST_MESSAGE)
        # Untouched it stays a Message, which pages can translate.
        super().__init__(message if cleaned == message else cleaned, field=field)
        self.kind = kind
        self.status = _HTTP_STATUS.get(kind, _BAD_GATEWAY)
        self.outcome = outcome
        self.retryable = retryable
        self.retry_after = retry_after
        self.code = one_line(scrub(code, hidden), LONGEST_CODE) if code else None
        self.request_id = one_line(scrub(request_id, hidden), LONGEST_CODE) if request_id else None
        self.usage = usage


def scrub(text: str, secrets: Iterable[SecretStr] = ()) -> str:
    """Return `text` without the `secrets` and without anything that has the form of a provider's key."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret.get_secret_value(), _HIDDEN)
    return _KEY_SHAPES.sub(_HIDDEN, text)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds that an answer asks us to wait, between 0 and 600; None if it does not say.

    Reads `retry-after-ms`, and `Retry-After` as seconds or as an HTTP date. `headers` ignores case.
    """
    for name, seconds_per_unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        wait = None if text is None else _seconds(text, seconds_per_unit, now)
        if wait is not None:
            return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)
    return None


def _seconds(text: str, seconds_per_unit: float, now: datetime) -> float | None:
    try:
        wait = float(text) * seconds_per_unit
    except ValueError:
        return _seconds_until(text, now)
    return None if math.isnan(wait) else wait


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    # "-0000" instead of "GMT" gives a naive time; HTTP dates are always UTC.
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - now).total_seconds()
