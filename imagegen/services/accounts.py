"""People: the first one, signing in and out, and tokens."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import joinedload

from imagegen.core.clock import now
from imagegen.core.errors import Conflict, NotFound, StudioError
from imagegen.core.secrets import digest, is_token, new_secret, new_token
from imagegen.core.text import N_, one_line
from imagegen.extensions import db
from imagegen.models import ApiToken, Membership, Organisation, Session, UnitOfWork, User, writes
from imagegen.models.users import ROLES
from imagegen.services.rights import SCOPES

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 512
SESSION_FOR = timedelta(hours=12)
REMEMBERED_FOR = timedelta(days=60)
SEEN_EVERY = timedelta(minutes=5)
TOKEN_FOR = timedelta(days=365)

_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(\.[^@\s\x00-\x1f.]+)*")
_hasher = PasswordHasher()


@dataclass(frozen=True)
class Identity:
    """Who asks, for which organisation, and what they may do there."""

    user: User
    organisation: Organisation
    role: str
    scopes: tuple[str, ...] | None = None


def anybody_here() -> bool:
    """Tell whether the set-up has been done."""
    return bool(db.session.scalar(select(exists().where(User.id > 0))))


def check_email(email: str) -> str:
    """Return `email` as it is stored (lower case); raises StudioError with a sentence."""
    email = email.strip().lower()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise StudioError(N_("That is not an e-mail address."), field="email")
    return email


def check_password(password: str) -> str:
    """Return `password` if it may be used; raises StudioError with a sentence."""
    if len(password) < SHORTEST_PASSWORD:
        raise StudioError(N_("Choose a password of at least 10 characters."), field="password")
    if len(password) > LONGEST_PASSWORD:
        raise StudioError(N_("Choose a password of at most 512 characters."), field="password")
    return password


def set_up(*, email: str, password: str, name: str, organisation: str) -> User:
    """Make the first person, an operator, and the first organisation. Only ever once."""
    email, password_hash = check_email(email), _hasher.hash(check_password(password))
    return _set_up(
        email=email,
        password_hash=password_hash,
        name=_named(name, fallback=email.split("@")[0], field="name"),
        organisation=_named(organisation, fallback="My studio", field="organisation"),
    )


@writes
def _set_up(uow: UnitOfWork, *, email: str, password_hash: str, name: str, organisation: str) -> User:
    uow.alone(User)
    if uow.scalar(select(exists().where(User.id > 0))):
        raise Conflict(N_("The studio has been set up already. Sign in instead."))
    user = User(email=email, name=name, password_hash=password_hash, is_operator=True)
    user.memberships.append(Membership(organisation=Organisation(name=organisation), role="owner"))
    uow.add(user)
    return user


def create_user(*, email: str, password: str, organisation: str, role: str, name: str = "") -> User:
    """Make a person in `organisation` (by name or id; made if there is none of that name)."""
    email, password_hash = check_email(email), _hasher.hash(check_password(password))
    if role not in ROLES:
        raise StudioError(N_("There is no such role. Choose one of: ") + ", ".join(ROLES) + ".", field="role")
    return _create_user(
        email=email,
        password_hash=password_hash,
        organisation=_named(organisation, fallback="", field="organisation"),
        role=role,
        name=_named(name, fallback=email.split("@")[0], field="name"),
    )


@writes
def _create_user(uow: UnitOfWork, *, email: str, password_hash: str, organisation: str, role: str, name: str) -> User:
    if uow.scalar(select(exists().where(User.email == email))):
        raise Conflict(N_("There is a person with this e-mail address already."), field="email")
    place = uow.scalar(
        select(Organisation)
        .where((Organisation.name == organisation) | (Organisation.public_id == organisation))
        .order_by(Organisation.id)
        .limit(1)
    ) or Organisation(name=organisation)
    user = User(email=email, name=name, password_hash=password_hash)
    user.memberships.append(Membership(organisation=place, role=role))
    uow.add(user)
    return user


def _named(name: str, *, fallback: str, field: str) -> str:
    name = one_line(name, 120) or fallback
    if not name:
        raise StudioError(N_("Give it a name."), field=field)
    return name


@cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe(16))


def authenticate(*, email: str, password: str) -> User:
    """Return the person with these words; raises StudioError with the same sentence, after the same time,
    whether the address or the password is wrong."""
    wanted = select(User).where(User.email == email.strip().lower(), User.enabled)
    user: User | None = db.session.scalar(wanted)
    try:
        _hasher.verify(user.password_hash if user else _nobodys_hash(), password[:LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        user = None
    if user is None:
        raise StudioError(N_("E-mail address or password is wrong."), field="password")
    return user


@writes
def sign_in(uow: UnitOfWork, *, user_id: int, remember: bool, address: str, browser: str) -> str:
    """Open a session for the person and return its secret, which is stored nowhere."""
    secret = new_secret()
    organisation_id = uow.scalar(
        select(Membership.organisation_id).where(Membership.user_id == user_id).order_by(Membership.id).limit(1)
    )
    uow.execute(delete(Session).where(Session.expires_at < now()))
    uow.add(
        Session(
            secret_hash=digest(secret),
            user_id=user_id,
            organisation_id=organisation_id,
            remember=remember,
            address=address[:45],
            browser=one_line(browser, 200),
            expires_at=now() + (REMEMBERED_FOR if remember else SESSION_FOR),
        )
    )
    return secret


@writes
def sign_out(uow: UnitOfWork, *, secret: str) -> None:
    """End the session: a copy of its cookie opens nothing any more."""
    uow.execute(delete(Session).where(Session.secret_hash == digest(secret)))


def session_of(secret: str) -> Session | None:
    """Return the live session with this secret, its person loaded."""
    return db.session.scalar(
        select(Session)
        .options(joinedload(Session.user))
        .join(User)
        .where(Session.secret_hash == digest(secret), Session.expires_at > now(), User.enabled)
    )


@writes
def note_seen(uow: UnitOfWork, *, session_id: int) -> None:
    """Remember that the session is in use, and let it live on."""
    row = uow.get(Session, session_id)
    if row is not None:
        row.seen_at = now()
        row.expires_at = max(row.expires_at, now() + (REMEMBERED_FOR if row.remember else SESSION_FOR))


def membership_of(*, user_id: int, organisation_id: int | None) -> Membership | None:
    """Return the person's membership in the organisation; in their first one if that one is not theirs."""
    row: Membership | None = db.session.scalar(
        select(Membership)
        .options(joinedload(Membership.organisation))
        .where(Membership.user_id == user_id)
        .order_by((Membership.organisation_id == (organisation_id or 0)).desc(), Membership.id)
        .limit(1)
    )
    return row


def still_in(*, user_id: int, organisation_id: int, session_id: int | None) -> bool:
    """Tell whether the person is still in the organisation, and signed in if a session is named."""
    query = (
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.user_id == user_id, Membership.organisation_id == organisation_id, User.enabled)
    )
    if session_id is not None:
        alive = exists().where(Session.id == session_id, Session.user_id == user_id, Session.expires_at > now())
        query = query.where(alive)
    return db.session.scalar(query) is not None


@writes
def switch_organisation(uow: UnitOfWork, *, session_id: int, user_id: int, organisation: str) -> None:
    """Make another of the person's organisations the session's."""
    organisation_id = uow.scalar(
        select(Organisation.id)
        .join(Membership, Membership.organisation_id == Organisation.id)
        .where(Organisation.public_id == organisation, Membership.user_id == user_id)
    )
    if organisation_id is None:
        raise NotFound(N_("There is no such organisation, or you are not in it."))
    uow.execute(update(Session).where(Session.id == session_id).values(organisation_id=organisation_id))


@dataclass(frozen=True)
class NewToken:
    """A token as it is handed over, once: `secret` is stored nowhere."""

    secret: str
    public_id: str
    expires_at: datetime


@writes
def create_token(
    uow: UnitOfWork,
    *,
    user_id: int,
    organisation_id: int,
    name: str,
    scopes: tuple[str, ...] = ("read", "write"),
    expires_at: datetime | None = None,
) -> NewToken:
    """Make a personal token for one organisation."""
    if not scopes or not set(scopes) <= set(SCOPES):
        raise StudioError(N_("Choose at least one of: ") + ", ".join(SCOPES) + ".", field="scopes")
    until = expires_at or now() + TOKEN_FOR
    if until <= now():
        raise StudioError(N_("Choose a day in the future."), field="expires_at")
    if not uow.scalar(
        select(exists().where(Membership.user_id == user_id, Membership.organisation_id == organisation_id))
    ):
        raise NotFound(N_("There is no such organisation, or you are not in it."))
    secret = new_token()
    row = ApiToken(
        user_id=user_id,
        organisation_id=organisation_id,
        name=_named(name, fallback="", field="name")[:80],
        hint=secret[:8],
        secret_hash=digest(secret),
        scopes=sorted(scopes),
        expires_at=until,
    )
    uow.add(row)
    uow.flush()
    return NewToken(secret, row.public_id, until)


def tokens_of(*, user_id: int, organisation_id: int) -> list[ApiToken]:
    """Return the person's tokens in this organisation that still open something, newest first."""
    return list(
        db.session.scalars(
            select(ApiToken)
            .where(
                ApiToken.user_id == user_id,
                ApiToken.organisation_id == organisation_id,
                ApiToken.revoked_at.is_(None),
            )
            .order_by(ApiToken.id.desc())
        )
    )


@writes
def revoke_token(uow: UnitOfWork, *, user_id: int, public_id: str) -> None:
    """End one of the person's tokens at once."""
    row = uow.scalar(select(ApiToken).where(ApiToken.public_id == public_id, ApiToken.user_id == user_id))
    if row is None:
        raise NotFound(N_("There is no such token."))
    row.revoked_at = row.revoked_at or now()


def token_of(secret: str) -> ApiToken | None:
    """Return the live token with this secret, its person loaded."""
    if not is_token(secret):
        return None
    row = db.session.scalar(
        select(ApiToken)
        .options(joinedload(ApiToken.user))
        .join(User)
        .where(ApiToken.secret_hash == digest(secret), User.enabled)
    )
    return row if row is not None and row.alive else None


@writes
def note_token_used(uow: UnitOfWork, *, token_id: int) -> None:
    """Remember that a token was used."""
    uow.execute(update(ApiToken).where(ApiToken.id == token_id).values(used_at=now()))


def find_user(*, email: str) -> User:
    """Return the person with this address; raises NotFound."""
    user: User | None = db.session.scalar(select(User).where(User.email == email.strip().lower()))
    if user is None:
        raise NotFound(N_("There is no person with this e-mail address."))
    return user


def memberships_of(*, user_id: int) -> list[Membership]:
    """Return the person's memberships with their organisations, by name."""
    return list(
        db.session.scalars(
            select(Membership)
            .options(joinedload(Membership.organisation))
            .join(Organisation)
            .where(Membership.user_id == user_id)
            .order_by(func.lower(Organisation.name))
        )
    )


def organisation_for(*, user_id: int, named: str | None) -> Organisation:
    """Return the person's organisation of that name or id, or the first one without it; raises NotFound."""
    query = (
        select(Organisation)
        .join(Membership, Membership.organisation_id == Organisation.id)
        .where(Membership.user_id == user_id)
    )
    if named:
        query = query.where((Organisation.name == named) | (Organisation.public_id == named))
    found: Organisation | None = db.session.scalar(query.order_by(Membership.id).limit(1))
    if found is None:
        raise NotFound(N_("The person is in no such organisation."))
    return found
