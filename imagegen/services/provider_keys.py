"""Organisations' own keys to providers: entered, tested, removed, and opened for a call.

A key is stored sealed, and shown to nobody again: pages know its last characters, and limits its digest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr
from sqlalchemy import select

from imagegen.core.crypto import CannotOpen
from imagegen.core.errors import ErrorKind
from imagegen.core.text import N_
from imagegen.extensions import db, runtime
from imagegen.models import ProviderKey
from imagegen.models.scope import current_organisation
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.registry import ProviderRegistry

SHORTEST_KEY = 8
LONGEST_KEY = 512
DIGEST_LENGTH = 16
HINT_LENGTH = 4
LONG_ENOUGH_FOR_A_HINT = 20
"""Of a shorter key four characters would say too much."""

TESTS = RateLimitItemPerMinute(10, 1, namespace="key-tests")


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """A key as a call needs it, and the digest under which its limits and its breaker are kept."""

    secret: SecretStr = field(repr=False)
    digest: str


def key_for(organisation_id: int, provider: str) -> OpenedKey | None:
    """Return the organisation's own key to `provider`; None if it has none, so that the installation's is used.

    Raises ProviderError (auth, not sent) for a key that cannot be opened any more: the installation's is not used in
    its place, for that would be another's money. For a call; needs a scope that reaches the organisation.
    """
    query = select(ProviderKey.sealed, ProviderKey.digest).where(
        ProviderKey.organisation_id == organisation_id, ProviderKey.provider == provider
    )
    row = db.session.execute(query).one_or_none()
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


def _about(organisation_id: int, provider: str) -> str:
    return f"provider key {organisation_id} {provider}"


def offered(organisation_id: int | None = None) -> ProviderRegistry:
    """Return the providers as an organisation can use them: with its own keys, else with the installation's.

    It is the one in scope unless another is named; without any, they are as the installation has them.
    """
    organisation_id = organisation_id or current_organisation()
    if organisation_id is None:
        return runtime.providers
    query = select(ProviderKey.provider).where(ProviderKey.organisation_id == organisation_id)
    return runtime.providers.for_keys(frozenset(db.session.scalars(query)))
