"""What OpenAI's refusals and failures mean: from a status, a code or a lost line to one typed error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from imagegen.core.clock import now
from imagegen.core.errors import ErrorKind
from imagegen.core.text import N_, one_line
from imagegen.providers.base import ModelSpec, Usage
from imagegen.providers.errors import Outcome, ProviderError, retry_after, scrub
from imagegen.providers.openai_models import SUCCESSOR
from imagegen.providers.transport import ExchangeError, Failure

QUICK_SECONDS = 10.0
"""A server error that comes later than this may come after the picture was made: nobody can tell."""

_LONGEST_QUOTE = 200
_VIOLATIONS = re.compile(r"safety_violations\s*=\s*\[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with an error status: the error object's fields, as far as they are what they should be."""

    status: int
    headers: Mapping[str, str]
    body: object
    elapsed: float
    model: ModelSpec
    key: SecretStr

    @property
    def _error(self) -> Mapping[str, Any]:
        return self.body if isinstance(self.body, Mapping) else {}

    def text(self, name: str) -> str:
        """Return the field `name` as text; empty if it is missing or something else."""
        value = self._error.get(name)
        return value if isinstance(value, str) else ""

    @property
    def code(self) -> str:
        """Return the provider's code, or its type where it sent no code."""
        return self.text("code") or self.text("type")

    @property
    def words(self) -> str:
        """Return the provider's own words, in quotes, cleaned and without keys; empty if it sent none."""
        quote = one_line(scrub(self.text("message"), (self.key,)), _LONGEST_QUOTE)
        return f" “{quote}”" if quote else ""

    @property
    def violations(self) -> list[str]:
        """Return what the content rules objected to, as the provider names it."""
        named = _VIOLATIONS.search(self.text("message"))
        found = [word.strip(" '\"") for word in named[1].split(",")] if named else []
        details = self._error.get("moderation_details")
        categories = details.get("categories") if isinstance(details, Mapping) else None
        if isinstance(categories, list):
            found += [word for word in categories if isinstance(word, str)]
        return [word for word in dict.fromkeys(found) if word]

    def error(
        self, message: str, kind: ErrorKind, *, retryable: bool = False, outcome: Outcome = Outcome.REJECTED
    ) -> ProviderError:
        """Return `message` as an error of this answer."""
        return ProviderError(
            message,
            kind=kind,
            outcome=outcome,
            retryable=retryable,
            retry_after=retry_after(self.headers, now()) if retryable else None,
            code=self.code or str(self.status),
            request_id=self.headers.get("x-request-id"),
            secrets=(self.key,),
        )


def refused(refusal: Refusal) -> ProviderError:
    """Return the error that `refusal` means: by its code where that says more than the status."""
    meaning = _BY_CODE.get(refusal.text("code")) or _BY_CODE.get(refusal.text("type"))
    if meaning is None and refusal.violations:
        meaning = _moderation
    if meaning is None:
        meaning = _BY_STATUS.get(refusal.status)
    if meaning is None:
        meaning = _server_error if refusal.status >= 500 else _not_accepted
    return meaning(refusal)


def broken_off(error: ExchangeError, key: SecretStr) -> ProviderError:
    """Return the error that a call without a whole answer means."""
    message, kind = _BROKEN_OFF.get((error.failure, error.sent), _FATE_UNKNOWN)
    if not error.sent:
        return ProviderError(message, kind=kind, outcome=Outcome.NOT_SENT, retryable=True, secrets=(key,))
    # Too long or packed, it was an answer: the picture was made, we just will not read it.
    outcome = Outcome.ACCEPTED if kind is ErrorKind.BAD_ANSWER else Outcome.UNKNOWN
    return ProviderError(message, kind=kind, outcome=outcome, secrets=(key,))


def bad_answer(
    message: str, *, key: SecretStr, request_id: str | None = None, usage: Usage | None = None
) -> ProviderError:
    """Return the error of a success that has no usable picture: billed, so it is not sent again."""
    return ProviderError(
        message,
        kind=ErrorKind.BAD_ANSWER,
        outcome=Outcome.ACCEPTED,
        request_id=request_id,
        usage=usage,
        secrets=(key,),
    )


def key_refused(refusal: Refusal) -> ProviderError:
    """Return what the refusal of a list of models says of the key: fewer things can be wrong than with a picture."""
    meaning = _TEST_BY_STATUS.get(refusal.status)
    return meaning(refusal) if meaning else refused(refusal)


def key_not_tested(error: ExchangeError, key: SecretStr) -> ProviderError:
    """Return the error of a list of models that did not come: asked again, it costs nothing."""
    message, kind = _TEST_BROKEN_OFF.get(error.failure, _TEST_BROKEN_OFF[Failure.LOST])
    return ProviderError(message, kind=kind, outcome=Outcome.REJECTED, secrets=(key,))


def no_list_of_models(key: SecretStr) -> ProviderError:
    """Return the error of an answer that is no list of models."""
    message, kind = _TEST_BROKEN_OFF[Failure.TOO_LONG]
    return ProviderError(message, kind=kind, outcome=Outcome.REJECTED, secrets=(key,))


def _moderation(refusal: Refusal) -> ProviderError:
    named = ", ".join(refusal.violations)
    if named:
        sentence = N_("OpenAI refused this because of its content rules ({violations}).").format(
            violations=one_line(named, _LONGEST_QUOTE)
        )
    else:
        sentence = N_("OpenAI refused this because of its content rules.")
    return refusal.error(sentence, ErrorKind.REFUSED)


def _billing(refusal: Refusal) -> ProviderError:
    return refusal.error(
        N_("The OpenAI account has no credit left or has reached its spending limit."), ErrorKind.BILLING
    )


def _unknown_model(refusal: Refusal) -> ProviderError:
    sentence = N_("OpenAI has no model {model} for this key.").format(model=refusal.model.label)
    successor = refusal.model.replaced_by or SUCCESSOR
    if successor != refusal.model.id:
        sentence += " " + N_("Use {successor} instead.").format(successor=successor)
    return refusal.error(sentence, ErrorKind.BAD_REQUEST)


def _bad_key(refusal: Refusal) -> ProviderError:
    # The provider's own words quote the key's beginning and end: they are left out.
    return refusal.error(N_("OpenAI did not accept the key."), ErrorKind.AUTH)


def _forbidden(refusal: Refusal) -> ProviderError:
    if "verif" in refusal.text("message").lower():
        sentence = N_(
            "OpenAI wants the organisation behind this key to be verified before it may use {model}. "
            "That is done in the organisation's settings at OpenAI."
        ).format(model=refusal.model.label)
    else:
        sentence = N_("OpenAI does not let this key use {model}.").format(model=refusal.model.label)
        sentence += refusal.words
    return refusal.error(sentence, ErrorKind.AUTH)


def _region(refusal: Refusal) -> ProviderError:
    return refusal.error(N_("OpenAI does not serve the country that this studio runs in."), ErrorKind.AUTH)


def _rate_limited(refusal: Refusal) -> ProviderError:
    return refusal.error(N_("OpenAI takes no more requests for the moment."), ErrorKind.RATE_LIMITED, retryable=True)


def _nothing_there(refusal: Refusal) -> ProviderError:
    return refusal.error(
        N_("There is no image service at the address set for OpenAI. Check the base URL."),
        ErrorKind.BAD_REQUEST,
    )


def _busy(refusal: Refusal) -> ProviderError:
    return refusal.error(N_("OpenAI could not take the request just now."), ErrorKind.UNAVAILABLE, retryable=True)


def _server_error(refusal: Refusal) -> ProviderError:
    if refusal.elapsed > QUICK_SECONDS:
        return refusal.error(
            N_("OpenAI failed while it was working on this, so nobody can tell whether it was billed."),
            ErrorKind.UNKNOWN,
            outcome=Outcome.UNKNOWN,
        )
    return refusal.error(N_("OpenAI has a problem of its own."), ErrorKind.UNAVAILABLE, retryable=True)


def _redirected(refusal: Refusal) -> ProviderError:
    return refusal.error(
        N_("The address set for OpenAI sends requests on to another one. Set the final base URL."),
        ErrorKind.BAD_ANSWER,
    )


def _not_accepted(refusal: Refusal) -> ProviderError:
    if refusal.status < 400:
        return _redirected(refusal)
    return refusal.error(N_("OpenAI did not accept the request.") + refusal.words, ErrorKind.BAD_REQUEST)


def _may_not_list(refusal: Refusal) -> ProviderError:
    return refusal.error(
        N_("OpenAI knows this key but does not let it read the list of models. It may still draw."), ErrorKind.AUTH
    )


def _no_list(refusal: Refusal) -> ProviderError:
    return refusal.error(
        N_("The address set for OpenAI has no list of models, so the key cannot be tested there."),
        ErrorKind.BAD_REQUEST,
    )


_Meaning = Callable[[Refusal], ProviderError]

_BY_CODE: dict[str, _Meaning] = {
    "moderation_blocked": _moderation,
    "content_policy_violation": _moderation,
    "insufficient_quota": _billing,
    "billing_hard_limit_reached": _billing,
    "billing_not_active": _billing,
    "model_not_found": _unknown_model,
    "unsupported_country_region_territory": _region,
}

_BY_STATUS: dict[int, _Meaning] = {
    401: _bad_key,
    402: _billing,
    403: _forbidden,
    404: _nothing_there,
    405: _nothing_there,
    408: _busy,
    409: _busy,
    429: _rate_limited,
}

_FATE_UNKNOWN = (
    N_("The connection to OpenAI broke before the answer came, so nobody can tell whether it was billed."),
    ErrorKind.UNKNOWN,
)

_BROKEN_OFF: dict[tuple[Failure, bool], tuple[str, ErrorKind]] = {
    (Failure.UNREACHABLE, False): (N_("OpenAI cannot be reached."), ErrorKind.UNAVAILABLE),
    (Failure.LOST, False): (N_("OpenAI closed the connection."), ErrorKind.UNAVAILABLE),
    (Failure.LATE, False): (
        N_("There was no time left to send the request to OpenAI."),
        ErrorKind.TIMEOUT,
    ),
    (Failure.LATE, True): (
        N_("OpenAI did not answer in time, so nobody can tell whether it was billed."),
        ErrorKind.UNKNOWN,
    ),
    (Failure.TOO_LONG, True): (
        N_("OpenAI's answer was too long to be a picture."),
        ErrorKind.BAD_ANSWER,
    ),
    (Failure.ENCODED, True): (
        N_("OpenAI's answer came packed although it was asked for plain."),
        ErrorKind.BAD_ANSWER,
    ),
}

_TEST_BY_STATUS: dict[int, _Meaning] = {403: _may_not_list, 404: _no_list, 405: _no_list}

_TEST_BROKEN_OFF: dict[Failure, tuple[str, ErrorKind]] = {
    Failure.UNREACHABLE: (N_("OpenAI cannot be reached."), ErrorKind.UNAVAILABLE),
    Failure.LOST: (N_("OpenAI closed the connection."), ErrorKind.UNAVAILABLE),
    Failure.LATE: (N_("OpenAI did not answer in time."), ErrorKind.TIMEOUT),
    Failure.TOO_LONG: (N_("OpenAI sent something that is not the answer it promises."), ErrorKind.BAD_ANSWER),
    Failure.ENCODED: (N_("OpenAI's answer came packed although it was asked for plain."), ErrorKind.BAD_ANSWER),
}
