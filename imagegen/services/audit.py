"""The audit log: what is written with each act, and how it is read."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, insert, select

from imagegen.core.text import N_
from imagegen.extensions import db, runtime
from imagegen.models import (
    ApiToken,
    AuditEntry,
    Invitation,
    Organisation,
    UnitOfWork,
    User,
    organisation_scope,
    system_scope,
)
from imagegen.models.audit import Action, Target
from imagegen.services.library import Page, decode_cursor, encode_cursor

PAGE = 50
_BATCH = 500


@dataclass(frozen=True)
class Actor:
    """Who does something, and from where. Nobody with no user: the command line, or somebody not signed in."""

    user_id: int | None = None
    organisation_id: int | None = None
    role: str = ""
    is_operator: bool = False
    address: str = ""

    def within(self, organisation_id: int | None) -> Actor:
        """Return the same actor, acting in another organisation, or for the whole installation."""
        return replace(self, organisation_id=organisation_id)


COMMAND_LINE = Actor(is_operator=True, address=str(N_("command line")))
"""Whoever may run commands on the studio's machine may do everything."""


def record(
    uow: UnitOfWork,
    action: Action,
    *,
    by: Actor,
    target: tuple[Target, str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write down an act, in the transaction that does it and in the actor's organisation (`Actor.within`)."""
    kind, public_id = target or (None, None)
    entry = insert(AuditEntry).values(
        organisation_id=by.organisation_id,
        actor_id=by.user_id,
        action=action,
        target_type=kind,
        target_id=public_id,
        facts=dict(facts or {}),
        address=by.address[:45],
    )
    with system_scope():  # an act may belong to another organisation than the one in scope, or to none
        uow.execute(entry)


def mark_of(email: str) -> str:
    """Return what stands for an address that has no account: the same each time, and readable by nobody."""
    key = runtime.settings.secret_key.get_secret_value().encode()
    return hmac.new(key, b"audit:" + email.strip().lower().encode(), hashlib.sha256).hexdigest()[:16]


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted. Moments are from, inclusive, and until, exclusive."""

    actor: str | None = None
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Entry:
    """An entry with the names of what it is about, as far as they are still there."""

    row: AuditEntry
    actor: str | None
    target: str | None
    organisation: str | None


def entries(*, organisation_id: int | None, wanted: Filter, cursor: str | None = None, limit: int = PAGE) -> Page:
    """Return a page of entries, newest first: one organisation's, or without one the whole installation's.

    The latter is for operators alone; whoever calls has seen to that.
    """
    with _scope(organisation_id):
        query = _wanted(wanted)
        after = decode_cursor(cursor)
        if after is not None:
            query = query.where(AuditEntry.id < after)
        rows = db.session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit + 1)).all()
        more = len(rows) > limit
        rows = rows[:limit]
        return Page(_named(rows), encode_cursor(rows[-1].id) if more else None)


def all_entries(*, organisation_id: int | None, wanted: Filter) -> Iterator[Entry]:
    """Return all entries, newest first, read in batches: an export needs no more memory than a page."""
    cursor: str | None = None
    while True:
        page = entries(organisation_id=organisation_id, wanted=wanted, cursor=cursor, limit=_BATCH)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _scope(organisation_id: int | None) -> Any:
    return system_scope() if organisation_id is None else organisation_scope(organisation_id)


def _wanted(wanted: Filter) -> Select[AuditEntry]:
    query = select(AuditEntry)
    if wanted.actor is not None:
        query = query.where(
            AuditEntry.actor_id == select(User.id).where(User.public_id == wanted.actor).scalar_subquery()
        )
    if wanted.action is not None:
        query = query.where(AuditEntry.action == wanted.action)
    if wanted.since is not None:
        query = query.where(AuditEntry.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEntry.created_at < wanted.until)
    return query


_NAMES = {
    Target.USER: (User.public_id, User.email),
    Target.INVITATION: (Invitation.public_id, Invitation.email),
    Target.TOKEN: (ApiToken.public_id, ApiToken.name),
    Target.ORGANISATION: (Organisation.public_id, Organisation.name),
}


def _named(rows: Sequence[AuditEntry]) -> list[Entry]:
    """Look all names up: one query for each kind of thing, however many entries."""
    actors = _lookup(User.id, User.email, {row.actor_id for row in rows})
    places = _lookup(Organisation.id, Organisation.name, {row.organisation_id for row in rows})
    targets: dict[tuple[str, str], str] = {}
    for kind, (key, name) in _NAMES.items():
        ids = {row.target_id for row in rows if row.target_type == kind}
        targets |= {(kind, public_id): found for public_id, found in _lookup(key, name, ids).items()}
    return [
        Entry(
            row,
            actor=actors.get(row.actor_id),
            target=targets.get((row.target_type or "", row.target_id or "")),
            organisation=places.get(row.organisation_id),
        )
        for row in rows
    ]


def _lookup(key: Any, name: Any, ids: set[Any]) -> dict[Any, str]:
    ids.discard(None)
    if not ids:
        return {}
    return dict(db.session.execute(select(key, name).where(key.in_(ids))).all())


def actors(*, organisation_id: int | None) -> list[tuple[str, str]]:
    """Return who has done something there: public id and e-mail address, by address.

    Each person's newest entries are looked up on an index; the log itself, which only grows, is not gone through.
    """
    has_acted = exists().where(AuditEntry.actor_id == User.id)
    if organisation_id is not None:
        has_acted = has_acted.where(AuditEntry.organisation_id == organisation_id)
    with _scope(organisation_id):
        found = db.session.execute(select(User.public_id, User.email).where(has_acted).order_by(User.email))
        return [(public_id, email) for public_id, email in found]
