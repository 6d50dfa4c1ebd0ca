"""Errors that a person may see: a kind, a plain sentence, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

from imagegen.core.text import N_


class ErrorKind(StrEnum):
    """How a shot, an attempt or a request can fail; every error ends in exactly one of these."""

    BAD_REQUEST = "bad_request"
    AUTH = "auth"
    BILLING = "billing"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    BAD_ANSWER = "bad_answer"
    UNKNOWN = "unknown"
    BUDGET = "budget"
    CANCELED = "canceled"
    INTERNAL = "internal"


ADVICE: dict[ErrorKind, str] = {
    ErrorKind.BAD_REQUEST: N_("Change the request and try again."),
    ErrorKind.AUTH: N_("Ask whoever runs the studio to check the provider's key."),
    ErrorKind.BILLING: N_("Top up the account with the provider, or choose another model."),
    ErrorKind.RATE_LIMITED: N_("Wait a little and try again, or choose another model."),
    ErrorKind.REFUSED: N_("Change the words, or try another model."),
    ErrorKind.UNAVAILABLE: N_("Try again in a few minutes, or choose another model."),
    ErrorKind.TIMEOUT: N_("Try again, or choose a faster model or a lower quality."),
    ErrorKind.BAD_ANSWER: N_("Try again, or choose another model."),
    ErrorKind.UNKNOWN: N_("It may have been billed. Check with the provider before you try again."),
    ErrorKind.BUDGET: N_("Ask an admin to raise the budget, or choose a cheaper model."),
    ErrorKind.CANCELED: N_("Generate again if you still want it."),
    ErrorKind.INTERNAL: N_("Try again; if it happens again, tell whoever runs the studio."),
}


class StudioError(Exception):
    """Something a person has to hear about.

    `message` is a sentence fit for a page; `field` names the form field that it is about, if any.
    `status` is the HTTP status with which pages and API answer.
    """

    kind = ErrorKind.BAD_REQUEST
    status = 422
    advice: str | None = None
    """What to do about it, where that is not what the kind says; empty where the message says it."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class NotFound(StudioError):
    """The thing does not exist, or not for this person: both look the same from outside."""

    status = 404


class Forbidden(StudioError):
    """The person may see the thing but not do this to it."""

    status = 403
    advice = ""


class Conflict(StudioError):
    """The thing has moved on since the request was made."""

    status = 409


class TooMany(StudioError):
    """A limit was reached; `retry_after` is in seconds."""

    kind = ErrorKind.RATE_LIMITED
    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after
