"""Fetch the pictures that a provider has made and only tells the addresses of; they are paid for already."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from imagegen.core.addresses import AddressRefused, Origin
from imagegen.core.deadlines import Deadline, DeadlinePassed
from imagegen.core.errors import ErrorKind
from imagegen.core.fetch import Fetcher, FetchError, Problem
from imagegen.core.text import N_
from imagegen.providers.calls import Accepted, ImagePayload
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.payloads import recognised

WAITS = (0.5, 1.5)
"""Seconds before a download is tried again. Only the download: nothing is drawn again."""

ACCEPT = "image/png, image/jpeg, image/webp"

_KINDS: dict[Problem, ErrorKind] = {
    Problem.UNREACHABLE: ErrorKind.UNAVAILABLE,
    Problem.LOST: ErrorKind.UNAVAILABLE,
    Problem.LATE: ErrorKind.TIMEOUT,
}
"""What may still be had later; of everything else the picture is lost."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    """How one provider's pictures are fetched: at most `max_bytes` each, `own` being its configured base URL.

    No key is sent along. An address is as good as a key, so it is in no error and no log.
    """

    label: str
    own: Origin
    max_bytes: int
    fetcher: Fetcher

    def pictures(self, urls: Iterable[str], accepted: Accepted, seconds: float) -> tuple[ImagePayload, ...]:
        """Return the pictures at `urls`, all within `seconds`; raise ProviderError, always ACCEPTED."""
        deadline = Deadline(seconds)
        try:
            return tuple(self._picture(url, accepted, deadline) for url in urls)
        except DeadlinePassed:
            raise self._lost(FetchError(Problem.LATE), accepted) from None
        except (FetchError, AddressRefused) as error:
            raise self._lost(error, accepted) from None

    def _picture(self, url: str, accepted: Accepted, deadline: Deadline) -> ImagePayload:
        payload = recognised(self._data(url, deadline))
        if payload is not None:
            return payload
        sentence = N_("Where {provider}'s picture should be lies something that is no PNG, JPEG or WebP.")
        raise _billed(sentence.format(provider=self.label), ErrorKind.BAD_ANSWER, accepted)

    def _data(self, url: str, deadline: Deadline) -> bytes:
        for wait in WAITS:
            try:
                return self._fetch(url, deadline)
            except FetchError as error:
                if not error.may_pass:
                    raise
                log.info(
                    "provider.download_failed", provider=self.label, problem=error.problem, status=error.answered
                )
                time.sleep(deadline.within(wait))
        return self._fetch(url, deadline)

    def _fetch(self, url: str, deadline: Deadline) -> bytes:
        return self.fetcher.fetch(
            url,
            max_bytes=self.max_bytes,
            deadline_seconds=deadline.within(),
            allowed=(self.own,),
            accept=ACCEPT,
        ).data

    def _lost(self, error: FetchError | AddressRefused, accepted: Accepted) -> ProviderError:
        sentence = N_("{provider} has made the picture, but it cannot be fetched.").format(provider=self.label)
        return _billed(sentence + " " + error.message, _kind(error), accepted)


def _kind(error: FetchError | AddressRefused) -> ErrorKind:
    if isinstance(error, AddressRefused):
        return ErrorKind.BAD_ANSWER
    if error.answered is not None and error.answered >= 500:
        return ErrorKind.UNAVAILABLE
    return _KINDS.get(error.problem, ErrorKind.BAD_ANSWER)


def _billed(message: str, kind: ErrorKind, accepted: Accepted) -> ProviderError:
    return ProviderError(
        message, kind=kind, outcome=Outcome.ACCEPTED, request_id=accepted.request_id, usage=accepted.usage
    )
