"""Passwords: judged, changed, and replaced through a link that works once."""

from __future__ import annotations

import secrets
from datetime import timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from imagegen.core.clock import now
from imagegen.core.errors import NotFound, StudioError
from imagegen.core.secrets import digest, new_secret
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import Membership, PasswordReset, UnitOfWork, User, writes
from imagegen.models.audit import Action, Target
from imagegen.services import audit, limits, sessions
from imagegen.services.audit import Actor

SHORTEST = 10
LONGEST = 512
RESET_FOR = timedelta(hours=1)

_hasher = PasswordHasher()


def check(password: str) -> str:
    """Return `password` if it may be used; raises StudioError with a sentence."""
    if len(password) < SHORTEST:
        raise StudioError(N_("Choose a password of at least 10 characters."), field="password")
    if len(password) > LONGEST:
        raise StudioError(N_("Choose a password of at most 512 characters."), field="password")
    return password


def hashed(password: str) -> str:
    """Return the hash of a password that may be used; raises StudioError with a sentence."""
    return _hasher.hash(check(password).encode("utf-8", "surrogatepass"))


@cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe(16))


def _fits(user: User | None, password: str) -> bool:
    """Tell whether the password is the user's, in the same time if there is no user."""
    given = password[:LONGEST].encode("utf-8", "surrogatepass")
    try:
        _hasher.verify(user.password_hash if user else _nobodys_hash(), given)
    except (VerificationError, InvalidHashError):
        return False
    return user is not None


def authenticate(*, email: str, password: str, address: str) -> User:
    """Return the person with these words.

    Raises StudioError with the same sentence, after the same time, whether the address or the password is wrong;
    TooMany after too many wrong ones for the account or from `address`.
    """
    with limits.guarded(address=address, account=email):
        known: User | None = db.session.scalar(select(User).where(User.email == email.strip().lower()))
        user = known if known is not None and known.enabled else None
        if _fits(user, password) and user is not None:
            return user
        _note_failure(email=email, user=known, address=address)
        raise StudioError(N_("E-mail address or password is wrong."), field="password")


@writes
def _note_failure(uow: UnitOfWork, *, email: str, user: User | None, address: str) -> None:
    place = None
    if user is not None:
        place = uow.scalar(
            select(Membership.organisation_id).where(Membership.user_id == user.id).order_by(Membership.id).limit(1)
        )
    audit.record(
        uow,
        Action.SIGN_IN_FAILED,
        by=Actor(organisation_id=place, address=address),
        target=(Target.USER, user.public_id) if user else None,
        facts={} if user else {"account": audit.mark_of(email)},
    )


def change(*, by: Actor, session_id: int | None, current: str, new: str) -> list[int]:
    """Give the person a new password; all their other sessions end, whose rows' ids are returned.

    Raises StudioError when `current` is wrong or `new` may not be used, TooMany after too many wrong ones.
    """
    user = db.session.get_one(User, by.user_id)
    with limits.guarded(address=by.address, account=user.email):
        if not _fits(user, current):
            raise StudioError(N_("That is not your current password."), field="current")
    return _change(by=by, session_id=session_id, password_hash=hashed(new))


@writes
def _change(uow: UnitOfWork, *, by: Actor, session_id: int | None, password_hash: str) -> list[int]:
    assert by.user_id is not None  # noqa: S101 - for the type checker
    _set(uow, user_id=by.user_id, password_hash=password_hash)
    audit.record(uow, Action.PASSWORD_CHANGED, by=by)
    return sessions.end_all(uow, user_id=by.user_id, but=session_id)


def _set(uow: UnitOfWork, *, user_id: int, password_hash: str) -> None:
    """Store the password; links to a new one that are still open end with the old one."""
    uow.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
    unused = update(PasswordReset).where(PasswordReset.user_id == user_id, PasswordReset.used_at.is_(None))
    uow.execute(unused.values(used_at=now()))


def make_reset(*, by: Actor, user_id: int) -> str:
    """Return the secret of a link to a new password; who may make one is for the caller to say."""
    secret = new_secret()
    _make_reset(by=by, user_id=user_id, secret=secret)
    return secret


@writes
def _make_reset(uow: UnitOfWork, *, by: Actor, user_id: int, secret: str) -> None:
    user = uow.get_one(User, user_id)
    uow.add(PasswordReset(user_id=user_id, secret_hash=digest(secret), expires_at=now() + RESET_FOR))
    audit.record(uow, Action.RESET_LINK_MADE, by=by, target=sessions.target_of(user))


def forgotten(*, email: str, secret: str, address: str) -> User | None:
    """Let `secret` open a link for whoever has this address, and return them to be written to.

    None if nobody has it, or if they have had many letters already.
    """
    user: User | None = db.session.scalar(select(User).where(User.email == email.strip().lower(), User.enabled))
    if user is None or not limits.count_letter(email=email):
        return None
    _make_reset(by=Actor(address=address), user_id=user.id, secret=secret)
    return user


def reset_of(secret: str) -> PasswordReset:
    """Return the reset with this secret, its person loaded; raises NotFound unless it still works."""
    row = db.session.scalar(
        select(PasswordReset)
        .options(joinedload(PasswordReset.user))
        .join(User)
        .where(
            PasswordReset.secret_hash == digest(secret),
            PasswordReset.used_at.is_(None),
            PasswordReset.expires_at > now(),
            User.enabled,
        )
    )
    if row is None:
        raise NotFound(N_("This link does not work any more. Ask for a new one."))
    return row


def reset(*, secret: str, password: str, address: str) -> None:
    """Give the person behind the secret a new password: all their sessions end, and the link works no more."""
    reset_of(secret)
    _reset(secret_hash=digest(secret), password_hash=hashed(password), address=address)


@writes
def _reset(uow: UnitOfWork, *, secret_hash: str, password_hash: str, address: str) -> None:
    used = (
        update(PasswordReset)
        .where(
            PasswordReset.secret_hash == secret_hash,
            PasswordReset.used_at.is_(None),
            PasswordReset.expires_at > now(),
        )
        .values(used_at=now())
        .returning(PasswordReset.user_id)
    )
    user_id = uow.scalar(used)
    if user_id is None:
        raise NotFound(N_("This link does not work any more. Ask for a new one."))
    _set(uow, user_id=user_id, password_hash=password_hash)
    sessions.end_all(uow, user_id=user_id)
    place = uow.scalar(
        select(Membership.organisation_id).where(Membership.user_id == user_id).order_by(Membership.id).limit(1)
    )
    audit.record(
        uow,
        Action.PASSWORD_RESET,
        by=Actor(organisation_id=place, address=address),
        target=sessions.target_of(uow.get_one(User, user_id)),
    )
