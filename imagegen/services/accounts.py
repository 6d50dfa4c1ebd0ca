"""Accounts: who is here, in which organisations, with which tokens."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, exists, func, select, update
from sqlalchemy.orm import joinedload

from imagegen.core.clock import now
from imagegen.core.errors import Conflict, NotFound, StudioError
from imagegen.core.secrets import digest, is_token, new_token
from imagegen.core.text import N_, one_line
from imagegen.extensions import db
from imagegen.models import ApiToken, Membership, Organisation, Session, UnitOfWork, User, built_once, writes
from imagegen.models.audit import Action, Target
from imagegen.models.users import ROLES, THEMES
from imagegen.services import audit, passwords
from imagegen.services.audit import COMMAND_LINE, Actor
from imagegen.services.rights import SCOPES

TOKEN_FOR = timedelta(days=365)

_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(\.[^@\s\x00-\x1f.]+)*")


def anybody_here() -> bool:
    """Tell whether the set-up has been done."""
    return bool(db.session.scalar(select(exists().where(User.id > 0))))


def check_email(email: str) -> str:
    """Return `email` as it is stored (lower case); raises StudioError with a sentence."""
    email = email.strip().lower()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise StudioError(N_("That is not an e-mail address."), field="email")
    return email


def check_name(name: str, *, fallback: str, field: str) -> str:
    """Return `name` as it is stored, or `fallback` for an empty one; raises StudioError if both are empty."""
    name = one_line(name, 120) or fallback
    if not name:
        raise StudioError(N_("Give it a name."), field=field)
    return name


def check_theme(theme: str) -> str:
    """Return `theme` if there is one of that name; raises StudioError with a sentence."""
    if theme not in THEMES:
        raise StudioError(N_("Choose one of the themes."), field="theme")
    return theme


def set_up(*, email: str, password: str, name: str, organisation: str, address: str = "") -> User:
    """Make the first person, an operator, and the first organisation. Only ever once."""
    email, password_hash = check_email(email), passwords.hashed(password)
    return _set_up(
        email=email,
        password_hash=password_hash,
        name=check_name(name, fallback=email.split("@")[0], field="name"),
        organisation=check_name(organisation, fallback="My studio", field="organisation"),
        address=address,
    )


@writes
def _set_up(uow: UnitOfWork, *, email: str, password_hash: str, name: str, organisation: str, address: str) -> User:
    uow.alone(User)
    if uow.scalar(select(exists().where(User.id > 0))):
        raise Conflict(N_("The studio has been set up already. Sign in instead."))
    user = User(email=email, name=name, password_hash=password_hash, is_operator=True)
    place = Organisation(name=organisation)
    user.memberships.append(Membership(organisation=place, role="owner"))
    uow.add(user)
    uow.flush()
    by = Actor(user_id=user.id, organisation_id=place.id, address=address)
    audit.record(uow, Action.ORGANISATION_MADE, by=by, target=(Target.ORGANISATION, place.public_id))
    audit.record(uow, Action.OPERATOR_MADE, by=by.within(None), target=(Target.USER, user.public_id))
    return user


def create_user(
    *, email: str, password: str, organisation: str, role: str, name: str = "", operator: bool = False
) -> User:
    """Make a person in `organisation` (by name or id; made if there is none of that name); for the command line."""
    email, password_hash = check_email(email), passwords.hashed(password)
    if role not in ROLES:
        choices = ", ".join(ROLES)
        raise StudioError(
            N_("There is no such role. Choose one of: {choices}.").format(choices=choices), field="role"
        )
    return _create_user(
        email=email,
        password_hash=password_hash,
        organisation=check_name(organisation, fallback="", field="organisation"),
        role=role,
        name=check_name(name, fallback=email.split("@")[0], field="name"),
        operator=operator,
    )


@writes
def _create_user(
    uow: UnitOfWork, *, email: str, password_hash: str, organisation: str, role: str, name: str, operator: bool
) -> User:
    if uow.scalar(select(exists().where(User.email == email))):
        raise Conflict(N_("There is a person with this e-mail address already."), field="email")
    place = uow.scalar(
        select(Organisation)
        .where((Organisation.name == organisation) | (Organisation.public_id == organisation))
        .order_by(Organisation.id)
        .limit(1)
    ) or Organisation(name=organisation)
    user = User(email=email, name=name, password_hash=password_hash, is_operator=operator)
    user.memberships.append(Membership(organisation=place, role=role))
    uow.add(user)
    uow.flush()
    by = COMMAND_LINE.within(place.id)
    audit.record(uow, Action.PERSON_MADE, by=by, target=(Target.USER, user.public_id), facts={"role": role})
    return user


# Built once: every request asks it.
_MEMBERSHIP = (
    select(Membership)
    .options(joinedload(Membership.organisation))
    .where(Membership.user_id == bindparam("person"))
    .order_by((Membership.organisation_id == bindparam("place")).desc(), Membership.id)
    .limit(1)
)


def membership_of(*, user_id: int, organisation_id: int | None) -> Membership | None:
    """Return the person's membership in the organisation; in their first one if that one is not theirs."""
    row: Membership | None = db.session.scalar(_MEMBERSHIP, {"person": user_id, "place": organisation_id or 0})
    return row


Belonging = tuple[int, int, int | None]
"""A person, an organisation, and the session in which the person is there; None without one."""


def roles_now(asked: Collection[Belonging]) -> dict[Belonging, str]:
    """Return people's roles in organisations; who has left, or whose session has ended, is missing."""
    user_ids = {user_id for user_id, _, _ in asked}
    session_ids = {session_id for _, _, session_id in asked if session_id is not None}
    roles = {
        (user_id, organisation_id): role
        for user_id, organisation_id, role in db.session.execute(
            select(Membership.user_id, Membership.organisation_id, Membership.role)
            .join(User, User.id == Membership.user_id)
            .where(Membership.user_id.in_(user_ids), User.enabled)
        )
    }
    sessions = select(Session.id, Session.user_id).where(Session.id.in_(session_ids), Session.expires_at > now())
    owners = dict(db.session.execute(sessions).all())
    return {
        (user_id, organisation_id, session_id): roles[user_id, organisation_id]
        for user_id, organisation_id, session_id in asked
        if (user_id, organisation_id) in roles and (session_id is None or owners.get(session_id) == user_id)
    }


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
    address: str = "",
) -> NewToken:
    """Make a personal token for one organisation; `address` is where it was asked for."""
    if not scopes or not set(scopes) <= set(SCOPES):
        raise StudioError(N_("Choose at least one of: {choices}.").format(choices=", ".join(SCOPES)), field="scopes")
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
        name=check_name(name, fallback="", field="name")[:80],
        hint=secret[:8],
        secret_hash=digest(secret),
        scopes=sorted(scopes),
        expires_at=until,
    )
    uow.add(row)
    uow.flush()
    by = Actor(user_id=user_id, organisation_id=organisation_id, address=address)
    facts = {"scopes": row.scopes, "expires_at": until.isoformat()}
    audit.record(uow, Action.TOKEN_MADE, by=by, target=(Target.TOKEN, row.public_id), facts=facts)
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
def revoke_token(uow: UnitOfWork, *, user_id: int, public_id: str, address: str = "") -> None:
    """End one of the person's tokens at once."""
    row = uow.scalar(select(ApiToken).where(ApiToken.public_id == public_id, ApiToken.user_id == user_id))
    if row is None:
        raise NotFound(N_("There is no such token."))
    if row.revoked_at is not None:
        return
    row.revoked_at = now()
    by = Actor(user_id=user_id, organisation_id=row.organisation_id, address=address)
    audit.record(uow, Action.TOKEN_REVOKED, by=by, target=(Target.TOKEN, row.public_id))


# Built once: every request of a program asks it.
_TOKEN = (
    select(ApiToken)
    .options(joinedload(ApiToken.user))
    .join(User)
    .where(ApiToken.secret_hash == bindparam("hash"), User.enabled)
)


def token_of(secret: str) -> ApiToken | None:
    """Return the live token with this secret, its person loaded."""
    if not is_token(secret):
        return None
    row = db.session.scalar(_TOKEN, {"hash": digest(secret)})
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
    return list(db.session.scalars(_MEMBERSHIPS, {"person": user_id}))


# Every page asks it.
_MEMBERSHIPS = built_once(
    select(Membership)
    .options(joinedload(Membership.organisation))
    .join(Organisation)
    .where(Membership.user_id == bindparam("person"))
    .order_by(func.lower(Organisation.name))
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
