"""Calls to a provider that can be stopped between any two steps, and that die where they are told to.

A call runs the engine's own `attempts.run` in a greenlet. It waits where a real one does: with the request sent, and
with the picture stored and nothing of it written down. The provider's bill is kept here, beside the studio's books.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from greenlet import GreenletExit, getcurrent, greenlet
from sqlalchemy import select

from imagegen.core.errors import ErrorKind
from imagegen.core.money import Micro
from imagegen.engine import attempts, pictures
from imagegen.engine.claims import Claim
from imagegen.extensions import db, in_app_context, runtime
from imagegen.imaging.errors import Unreadable
from imagegen.models import Attempt, Job, Organisation, Shot, User, attempt_shots, system_scope
from imagegen.providers.base import ImagePayload, ImageResult, Usage
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.local.provider import LocalProvider
from imagegen.providers.openai import OpenAIProvider
from imagegen.services.library import StoredFiles
from imagegen.storage import keys
from tests.fakes.pictures import picture

GARBAGE = b"not a picture"
PICTURE = picture(64, 64, "png")
DEAR = Usage(input_text_tokens=10, output_tokens=5_000)
"""More tokens than anything was set aside for."""


def _failure(kind: ErrorKind, outcome: Outcome, **facts: Any) -> Callable[[], ImageResult]:
    def fail() -> ImageResult:
        raise ProviderError("It did not work.", kind=kind, outcome=outcome, **facts)

    return fail


def _answer(data: bytes, usage: Usage | None = None) -> Callable[[], ImageResult]:
    return lambda: ImageResult(images=(ImagePayload(data=data, mime_type="image/png"),), usage=usage)


@dataclass(frozen=True)
class Fate:
    """What a provider makes of a call, and whether it bills that: the estimate, or by `usage`."""

    happen: Callable[[], ImageResult]
    billed: bool = False
    usage: Usage | None = None


FATES: Mapping[str, Fate] = {
    "picture": Fate(_answer(PICTURE), billed=True),
    "dear picture": Fate(_answer(PICTURE, DEAR), billed=True, usage=DEAR),
    "garbage": Fate(_answer(GARBAGE), billed=True),
    "nothing, and a bill": Fate(_failure(ErrorKind.BAD_ANSWER, Outcome.ACCEPTED), billed=True),
    "refused": Fate(_failure(ErrorKind.REFUSED, Outcome.REJECTED)),
    "bad key": Fate(_failure(ErrorKind.AUTH, Outcome.REJECTED)),
    "too many": Fate(_failure(ErrorKind.RATE_LIMITED, Outcome.REJECTED, retryable=True, retry_after=3.0)),
    "down": Fate(_failure(ErrorKind.UNAVAILABLE, Outcome.NOT_SENT, retryable=True)),
    "silence": Fate(_failure(ErrorKind.TIMEOUT, Outcome.UNKNOWN)),
    "silence, and a bill": Fate(_failure(ErrorKind.TIMEOUT, Outcome.UNKNOWN), billed=True),
}


@dataclass
class Bill:
    """What a provider would ask for: by attempt, from the moment in which it was sent."""

    by_attempt: dict[int, Micro] = field(default_factory=dict)

    @property
    def total(self) -> Micro:
        """All of it, in micro-USD."""
        return sum(self.by_attempt.values())


class Call:
    """One claim in the hands of a worker: claimed, then `sent`, then `stored`, then over."""

    def __init__(self, owner: str, claim: Claim, bill: Bill) -> None:
        self.owner = owner
        self.claim = claim
        self.waits = "claimed"
        self._bill = bill
        self._mistake: Exception | None = None
        self._fate = FATES["silence"]
        self._run = greenlet(in_app_context(self._make))

    def go_on(self, fate: Fate) -> None:
        """Run to the next place in which a call waits, or to the end; `fate` counts when it is first sent."""
        if self.waits == "claimed":
            self._fate = fate
        self.waits = "over"
        with system_scope():
            self._run.switch()
        if self._mistake is not None:
            raise self._mistake

    def die(self) -> None:
        """End where it stands, as a killed process does: nothing after that place happens."""
        self.waits = "over"
        if self._run:
            self._run.throw(GreenletExit)

    def stop(self) -> None:
        """Be told to stop: the worker says how far it got, and goes."""
        attempts.abandon(self.claim, message=attempts.STOPPED)
        self.die()

    def wait(self, where: str) -> None:
        """Hand over to whoever moves the calls."""
        self.waits = where
        parent = getcurrent().parent
        assert parent is not None
        parent.switch()

    def answered(self) -> ImageResult:
        """Be the provider."""
        try:
            self._bill.by_attempt[self.claim.attempt_id] = self._price()
        except Exception as mistake:
            # The studio takes it for the provider's; it is ours.
            self._mistake = mistake
            raise
        self.wait("sent")
        return self._fate.happen()

    def _price(self) -> Micro:
        if not self._fate.billed:
            return 0
        query = (
            select(Attempt.provider, Attempt.model, Shot.estimated_micro)
            .join(attempt_shots, attempt_shots.c.attempt_id == Attempt.id)
            .join(Shot, Shot.id == attempt_shots.c.shot_id)
            .where(Attempt.id == self.claim.attempt_id)
        )
        provider, model, estimate = db.session.execute(query).one()
        db.session.rollback()
        told = runtime.prices.actual(provider, model, self._fate.usage) if self._fate.usage else None
        return (estimate or 0) if told is None else told

    def _make(self) -> None:
        with system_scope():
            try:
                attempts.run(self.claim)
            except Exception:
                attempts.abandon(self.claim, message=attempts.CRASHED)
                raise


class Calls:
    """The providers and the pixels as the studio meets them while calls are in hand."""

    def __init__(self) -> None:
        self._by_run: dict[greenlet, Call] = {}

    def take(self, owner: str, claim: Claim, bill: Bill) -> Call:
        """Return a call that can be moved step by step."""
        call = Call(owner, claim, bill)
        self._by_run[call._run] = call
        return call

    def forget(self) -> None:
        """Let go of all calls."""
        self._by_run.clear()

    def replace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put these in the place of the providers' networks and of the pixel pool."""
        calls = self

        def generate(*_args: object) -> ImageResult:
            return calls._by_run[getcurrent()].answered()

        def keep(claim: Claim, data: bytes, folder: Path) -> StoredFiles:
            if data == GARBAGE:
                raise Unreadable
            stored = _stored(claim, data, folder)
            calls._by_run[getcurrent()].wait("stored")
            return stored

        for provider in (OpenAIProvider, LocalProvider):
            monkeypatch.setattr(provider, "_generate", generate)
        monkeypatch.setattr(pictures, "keep", keep)


def _stored(claim: Claim, data: bytes, folder: Path) -> StoredFiles:
    """Store `data` for the claimed shot as it is, and say that it has the size that was asked for."""
    query = (
        select(Shot.width, Shot.height, Organisation.public_id, User.public_id)
        .join(Job, Job.id == Shot.job_id)
        .join(Organisation, Organisation.id == Job.organisation_id)
        .join(User, User.id == Job.user_id)
        .where(Shot.id == claim.shot_id)
    )
    width, height, organisation, person = db.session.execute(query).one()
    db.session.remove()
    sha256 = hashlib.sha256(data).hexdigest()
    file_key = keys.file_key(organisation, person, sha256, "png")
    received_key = keys.received_key(organisation, person, sha256, "png")
    (folder / "received").write_bytes(data)
    for key in (received_key, file_key):
        runtime.storage.put(folder / "received", key)
    return StoredFiles(
        mime_type="image/png",
        width=width,
        height=height,
        file_size=len(data),
        sha256=sha256,
        received_sha256=sha256,
        file_key=file_key,
        received_key=received_key,
    )
