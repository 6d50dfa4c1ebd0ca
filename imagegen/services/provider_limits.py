"""How many calls people let a provider have, at once and begun within a minute, for each key.

The studio's setting PROVIDER_CONCURRENCY bounds both, and a provider that asks for less gets less (`engine.limits`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from imagegen.core.errors import NotFound, StudioError
from imagegen.core.text import N_
from imagegen.extensions import db, runtime
from imagegen.models import ProviderKey, ProviderState, UnitOfWork, system_scope, writes
from imagegen.models.audit import Action
from imagegen.models.provider_states import NO_KEY
from imagegen.models.scope import current_organisation
from imagegen.services import audit
from imagegen.services.audit import Actor

MOST = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How many calls may be under way and be begun within a minute; None: nobody has said."""

    concurrency: int | None = None
    per_minute: int | None = None


NONE = Limits()


def read(*, concurrency: str, per_minute: str) -> Limits:
    """Return the limits that a person has typed; blank is none. Raises StudioError with the field."""
    return Limits(_number(concurrency, "concurrency"), _number(per_minute, "per_minute"))


def _number(text: str, field: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= MOST and len(text) <= len(str(MOST))):
        raise StudioError(N_("Write a whole number from 1 to {most}, or nothing.").format(most=MOST), field=field)
    return int(text)


def of_installation() -> dict[str, Limits]:
    """Return the limits of the installation's keys, by provider, where there are any."""
    return _under({provider.id: NO_KEY for provider in runtime.providers.providers()})


def of_organisation() -> dict[str, Limits]:
    """Return the limits of the own keys of the organisation in scope, by provider, where there are any."""
    return _under(dict(db.session.execute(select(ProviderKey.provider, ProviderKey.digest)).all()))


def _under(keys: dict[str, str]) -> dict[str, Limits]:
    query = select(ProviderState.provider, ProviderState.key, ProviderState.concurrency, ProviderState.per_minute)
    rows = db.session.execute(query.where(ProviderState.provider.in_(keys)))
    return {provider: Limits(most, rate) for provider, key, most, rate in rows if keys[provider] == key}


@writes
def set_for_installation(uow: UnitOfWork, *, by: Actor, provider: str, limits: Limits) -> None:
    """Limit the calls under the installation's key; for operators. Raises NotFound."""
    if all(each.id != provider or each.built_in for each in runtime.providers.providers()):
        raise NotFound(N_("There is no such provider."))
    _set(uow, by=by.within(None), provider=provider, key=NO_KEY, limits=limits)


@writes
def set_for_own_key(uow: UnitOfWork, *, by: Actor, provider: str, limits: Limits) -> None:
    """Limit the calls under the organisation's own key. Raises NotFound."""
    query = select(ProviderKey.digest).where(
        ProviderKey.organisation_id == by.organisation_id, ProviderKey.provider == provider
    )
    digest = uow.scalar(query)
    if digest is None:
        raise NotFound(N_("The organisation has no key of its own to this provider."))
    _set(uow, by=by, provider=provider, key=digest, limits=limits)


def carry_over(uow: UnitOfWork, *, provider: str, old: str, new: str) -> None:
    """Let the limits that people gave the key with the digest `old` hold for the one that takes its place.

    What calls have taught stays with the old one. A key that another organisation has too keeps the limits that it
    has: whoever brought it first may have meant them.
    """
    before = _row(uow, provider, old)
    if old == new or before is None or Limits(before.concurrency, before.per_minute) == NONE:
        return
    row = _row(uow, provider, new) or _blank(uow, provider, new)
    if Limits(row.concurrency, row.per_minute) == NONE or not _is_shared(uow, provider, new):
        row.concurrency, row.per_minute = before.concurrency, before.per_minute


def _is_shared(uow: UnitOfWork, provider: str, digest: str) -> bool:
    mine = current_organisation()
    with system_scope():
        others = select(ProviderKey.id).where(
            ProviderKey.provider == provider, ProviderKey.digest == digest, ProviderKey.organisation_id != mine
        )
        return uow.scalar(others.limit(1)) is not None


def _row(uow: UnitOfWork, provider: str, key: str) -> ProviderState | None:
    query = select(ProviderState).where(ProviderState.provider == provider, ProviderState.key == key)
    found: ProviderState | None = uow.scalar(query.with_for_update())
    return found


def _blank(uow: UnitOfWork, provider: str, key: str) -> ProviderState:
    row = ProviderState(provider=provider, key=key, failures=0)
    uow.add(row)
    return row


def _set(uow: UnitOfWork, *, by: Actor, provider: str, key: str, limits: Limits) -> None:
    row = _row(uow, provider, key) or _blank(uow, provider, key)
    before = Limits(row.concurrency, row.per_minute)
    if before == limits:
        return
    row.concurrency, row.per_minute = limits.concurrency, limits.per_minute
    facts = {
        name: [getattr(before, name), getattr(limits, name)]
        for name in ("concurrency", "per_minute")
        if getattr(before, name) != getattr(limits, name)
    }
    audit.record(uow, Action.LIMITS_CHANGED, by=by, facts={"provider": provider, **facts})
