"""Organisations' own keys to providers: entered, tested, removed, and opened for a call.

A key is stored sealed, and shown to nobody again: pages know its last characters, and limits its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import structlog
from limits import RateLimitItemPerMinute
from pydantic import SecretStr
from sqlalchemy import Select, bindparam, select

from imagegen.core import secrets
from imagegen.core.clock import now
from imagegen.core.crypto import CannotOpen
from imagegen.core.errors import ErrorKind, NotFound, StudioError, TooMany
from imagegen.core.text import N_
from imagegen.extensions import db, runtime
from imagegen.models import ProviderKey, UnitOfWork, User, built_once, system_scope, writes
from imagegen.models.audit import Action
from imagegen.models.columns import db_now
from imagegen.models.provider_states import NO_KEY
from imagegen.models.scope import current_organisation
from imagegen.providers.base import Provider
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.registry import ProviderRegistry
from imagegen.services import audit, limits, provider_limits
from imagegen.services.audit import Actor

SHORTEST_KEY = 8
LONGEST_KEY = 512
DIGEST_LENGTH = 16
HINT_LENGTH = 4
LONG_ENOUGH_FOR_A_HINT = 20
"""Of a shorter key four characters would say too much."""

TESTS = RateLimitItemPerMinute(10, 1, namespace="key-tests")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """A key as a call needs it, and the digest under which its limits and its breaker are kept."""

    secret: SecretStr = field(repr=False)
    digest: str


@dataclass(frozen=True, slots=True)
class KeptKey:
    """What can be told of a key: `hint` is its end, `entered_by` is None once the person is gone."""

    provider: str
    digest: str
    hint: str
    entered_at: datetime
    entered_by: str | None
    tested_at: datetime | None
    test_error: str | None


def key_for(organisation_id: int, provider: str) -> OpenedKey | None:
    """Return the organisation's own key to `provider`; None if it has none, so that the installation's is used.

    Raises ProviderError (auth, not sent) for a key that cannot be opened any more: the installation's is not used in
    its place, for that would be another's money. For a call; needs a scope that reaches the organisation.
    """
    row = db.session.execute(_kept(), {"place": organisation_id, "one": provider}).one_or_none()
    if row is None:
        return None
    try:
        text = runtime.sealer.open(row.sealed, about=_about(organisation_id, provider))
    except CannotOpen:
        raise ProviderError(
            N_("The organisation's key cannot be opened any more. An admin has to enter it again."),
            kind=ErrorKind.AUTH,
            outcome=Outcome.NOT_SENT,
        ) from None
    return OpenedKey(SecretStr(text), row.digest)


@cache
def _kept() -> Select[str, str]:
    # Built once: every call asks it.
    return select(ProviderKey.sealed, ProviderKey.digest).where(
        ProviderKey.organisation_id == bindparam("place"), ProviderKey.provider == bindparam("one")
    )


KEY_GONE = N_("The picture was made with a key that the organisation has removed since: it cannot be fetched.")


def as_claimed(provider: Provider, *, organisation_id: int, digest: str, taken_on: bool) -> Provider | None:
    """Return `provider` with the key (by its `digest`) that a call was claimed for.

    None if the organisation's is another by now: another key is another's money. What it has `taken_on` costs nothing
    more: the organisation's next key may be one to the same account. Raises ProviderError (auth): as `key_for`, and
    accepted if there is no key to fetch it with.
    """
    key = key_for(organisation_id, provider.id)
    if digest == NO_KEY and (key is None or taken_on):
        return provider
    if key is not None and (key.digest == digest or taken_on):
        return provider.with_key(key.secret)
    if taken_on:
        raise ProviderError(KEY_GONE, kind=ErrorKind.AUTH, outcome=Outcome.ACCEPTED)
    return None


def _about(organisation_id: int, provider: str) -> str:
    return f"provider key {organisation_id} {provider}"


def offered_to_anybody() -> ProviderRegistry:
    """Return the providers that some organisation can use; for who works for all of them."""
    with system_scope():
        return runtime.providers.for_keys(frozenset(db.session.scalars(select(ProviderKey.provider).distinct())))


def offered(organisation_id: int | None = None) -> ProviderRegistry:
    """Return the providers as an organisation can use them: with its own keys, else with the installation's.

    It is the one in scope unless another is named; without any, they are as the installation has them.
    """
    organisation_id = organisation_id or current_organisation()
    if organisation_id is None:
        return runtime.providers
    return runtime.providers.for_keys(frozenset(db.session.scalars(_keyed(), {"place": organisation_id})))


@cache
def _keyed() -> Select[str]:
    # Every request for pictures asks it.
    return built_once(select(ProviderKey.provider).where(ProviderKey.organisation_id == bindparam("place")))


def listed() -> Mapping[str, KeptKey]:
    """Return what can be told of the keys of the organisation in scope, by provider."""
    query = select(
        ProviderKey.provider,
        ProviderKey.digest,
        ProviderKey.hint,
        ProviderKey.created_at,
        User.name,
        ProviderKey.tested_at,
        ProviderKey.test_error,
    ).outerjoin(User, User.id == ProviderKey.user_id)
    return {row.provider: KeptKey(*row) for row in db.session.execute(query)}


def enter(*, by: Actor, provider: str, secret: str) -> None:
    """Keep `secret` as the key of the actor's organisation to `provider`, in place of the one before.

    The limits that people gave that one hold for this one. Raises NotFound, or StudioError about the field `key`; no
    sentence repeats any of it.
    """
    found = _taking_keys(provider)
    _enter(by=by, provider=found, key=_read(found, secret))


def _taking_keys(provider_id: str) -> Provider:
    found = next((each for each in runtime.providers.providers() if each.id == provider_id), None)
    if found is None or not found.takes_key:
        raise NotFound(N_("There is no such provider that takes a key."))
    return found


def _read(provider: Provider, secret: str) -> SecretStr:
    key = SecretStr(secret.strip())
    if not key:
        raise StudioError(N_("Paste the key here."), field="key")
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise StudioError(
            N_("A key has between {least} and {most} characters. Copy it again.").format(
                least=SHORTEST_KEY, most=LONGEST_KEY
            ),
            field="key",
        )
    if not provider.accepts(key):
        raise StudioError(
            N_("A key is one word of letters, digits and signs, without a blank or a line break. Copy it again."),
            field="key",
        )
    return key


@writes
def _enter(uow: UnitOfWork, *, by: Actor, provider: Provider, key: SecretStr) -> None:
    assert by.organisation_id is not None  # noqa: S101 - for the type checker
    text = key.get_secret_value()
    row = uow.scalar(_of(by, provider.id).with_for_update())
    if row is None:
        row = ProviderKey(organisation_id=by.organisation_id, provider=provider.id)
        uow.add(row)
    digest = secrets.digest(text)[:DIGEST_LENGTH]
    if row.digest:
        provider_limits.carry_over(uow, provider=provider.id, old=row.digest, new=digest)
    row.sealed = runtime.sealer.seal(text, about=_about(by.organisation_id, provider.id))
    row.digest = digest
    row.hint = text[-HINT_LENGTH:] if len(text) >= LONG_ENOUGH_FOR_A_HINT else ""
    row.user_id = by.user_id
    row.created_at, row.tested_at, row.test_error = now(), None, None
    audit.record(uow, Action.KEY_ENTERED, by=by, facts={"provider": provider.id})


def _of(by: Actor, provider_id: str) -> Select[Any]:
    return select(ProviderKey).where(
        ProviderKey.organisation_id == by.organisation_id, ProviderKey.provider == provider_id
    )


@writes
def remove(uow: UnitOfWork, *, by: Actor, provider: str) -> None:
    """Forget the organisation's own key; from now on the installation's is used. Raises NotFound."""
    row = uow.scalar(_of(by, provider))
    if row is None:
        raise NotFound(N_("The organisation has no key of its own to this provider."))
    uow.delete(row)
    audit.record(uow, Action.KEY_REMOVED, by=by, facts={"provider": provider})


def test(*, by: Actor, provider: str) -> str | None:
    """Make the cheapest real call with the organisation's own key; return what was wrong in a sentence, or None.

    The result is kept with the key. Raises NotFound without a key, TooMany after ten tests in a minute.
    """
    found = _testable(by, provider)
    assert by.organisation_id is not None  # noqa: S101 - for the type checker
    trouble = None
    try:
        key = key_for(by.organisation_id, provider)
        if key is None:
            raise NotFound(N_("The organisation has no key of its own to this provider."))
        digest = key.digest
        trouble = _asked(found.with_key(key.secret))
    except ProviderError as error:
        digest, trouble = listed()[provider].digest, error
    _note_test(by=by, provider=provider, digest=digest, trouble=trouble)
    return trouble.message if trouble else None


def test_installation(*, by: Actor, provider: str) -> str | None:
    """Make the same call with the installation's key; for operators. The result is not kept."""
    trouble = _asked(_testable(by, provider))
    _note_installation(by=by, provider=provider, trouble=trouble)
    return trouble.message if trouble else None


def _testable(by: Actor, provider_id: str) -> Provider:
    found = _taking_keys(provider_id)
    if found.test_note is None:
        raise NotFound(N_("This provider cannot be tested."))
    try:
        limits.count(TESTS, f"{by.user_id} {by.address if by.user_id is None else ''}")
    except TooMany as error:
        raise TooMany(
            N_("Keys can be tested ten times a minute. It goes on in {seconds} seconds.").format(
                seconds=error.retry_after
            ),
            retry_after=error.retry_after,
        ) from None
    return found


def _asked(provider: Provider) -> ProviderError | None:
    # The call may take seconds: no connection to the database is held meanwhile.
    db.session.rollback()
    try:
        provider.test()
    except ProviderError as error:
        log.info("provider_keys.tested", provider=provider.id, kind=error.kind)
        return error
    log.info("provider_keys.tested", provider=provider.id, kind=None)
    return None


@writes
def _note_test(uow: UnitOfWork, *, by: Actor, provider: str, digest: str, trouble: ProviderError | None) -> None:
    row = uow.scalar(_of(by, provider).with_for_update())
    if row is None or row.digest != digest:
        return  # another key by now: of that one nothing is known
    row.tested_at = db_now()
    row.test_error = trouble.message if trouble else None
    audit.record(uow, Action.KEY_TESTED, by=by, facts=_facts(provider, trouble))


@writes
def _note_installation(uow: UnitOfWork, *, by: Actor, provider: str, trouble: ProviderError | None) -> None:
    audit.record(uow, Action.KEY_TESTED, by=by.within(None), facts=_facts(provider, trouble))


def _facts(provider: str, trouble: ProviderError | None) -> dict[str, str]:
    return {"provider": provider, "result": trouble.kind if trouble else "ok"}


@dataclass(frozen=True, slots=True)
class Rotation:
    """How many keys were sealed anew, and how many no key of the settings opens."""

    sealed: int
    lost: int


@writes
def rotate(uow: UnitOfWork) -> Rotation:
    """Seal every organisation's keys with the first of the encryption keys; for the command line."""
    sealed = lost = 0
    with system_scope():
        for row in uow.scalars(select(ProviderKey).with_for_update()):
            try:
                row.sealed = runtime.sealer.rotate(row.sealed)
                sealed += 1
            except CannotOpen:
                lost += 1
        uow.flush()
    return Rotation(sealed, lost)
