"""Invitations: how people come into an organisation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import exists, select, update
from sqlalchemy.orm import joinedload

from imagegen.core.clock import now
from imagegen.core.errors import Conflict, Forbidden, NotFound, StudioError
from imagegen.core.ids import is_id
from imagegen.core.secrets import digest, new_secret
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import Invitation, Membership, Organisation, UnitOfWork, User, system_scope, writes
from imagegen.models.audit import Action, Target
from imagegen.models.users import ROLES
from imagegen.services import accounts, audit, passwords
from imagegen.services.audit import Actor
from imagegen.services.rights import roles_given_by

VALID_FOR = timedelta(days=7)


@dataclass(frozen=True)
class Handed:
    """An invitation as it is handed over, once: `secret` is stored nowhere."""

    public_id: str
    email: str
    role: str
    organisation: str
    language: str | None
    secret: str


def invite(*, by: Actor, email: str, role: str) -> Handed:
    """Invite whoever has this address into the actor's organisation; an earlier invitation ends."""
    email = accounts.check_email(email)
    if role not in ROLES:
        raise StudioError(N_("Choose a role."), field="role")
    _may_give(by, role)
    return _invite(by=by, email=email, role=role)


def _may_give(by: Actor, role: str) -> None:
    if not by.is_operator and role not in roles_given_by(by.role):
        raise Forbidden(N_("Only an owner can make somebody an owner."), field="role")


@writes
def _invite(uow: UnitOfWork, *, by: Actor, email: str, role: str) -> Handed:
    assert by.organisation_id is not None  # noqa: S101 - for the type checker
    inside = exists().where(
        Membership.user_id == User.id, User.email == email, Membership.organisation_id == by.organisation_id
    )
    if uow.scalar(select(inside)):
        raise Conflict(N_("This person is in the organisation already."), field="email")
    earlier = update(Invitation).where(
        Invitation.email == email, Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None)
    )
    uow.execute(earlier.where(Invitation.organisation_id == by.organisation_id).values(revoked_at=now()))
    secret = new_secret()
    row = Invitation(
        organisation_id=by.organisation_id,
        email=email,
        role=role,
        secret_hash=digest(secret),
        invited_by=by.user_id,
        expires_at=now() + VALID_FOR,
    )
    uow.add(row)
    uow.flush()
    return _hand_over(uow, row, secret, Action.PERSON_INVITED, by)


def _hand_over(uow: UnitOfWork, row: Invitation, secret: str, action: Action, by: Actor) -> Handed:
    audit.record(uow, action, by=by, target=(Target.INVITATION, row.public_id), facts={"role": row.role})
    place = uow.get_one(Organisation, row.organisation_id)
    return Handed(row.public_id, row.email, row.role, place.name, place.language, secret)


@writes
def renew(uow: UnitOfWork, *, by: Actor, public_id: str) -> Handed:
    """Make a new link for an invitation that nobody has used; the old link works no more."""
    row = _waiting(uow, by, public_id)
    secret = new_secret()
    row.secret_hash, row.expires_at, row.sent_at = digest(secret), now() + VALID_FOR, None
    return _hand_over(uow, row, secret, Action.INVITATION_RENEWED, by)


@writes
def revoke(uow: UnitOfWork, *, by: Actor, public_id: str) -> None:
    """End an invitation that nobody has used."""
    row = _waiting(uow, by, public_id)
    row.revoked_at = now()
    audit.record(uow, Action.INVITATION_REVOKED, by=by, target=(Target.INVITATION, row.public_id))


def _waiting(uow: UnitOfWork, by: Actor, public_id: str) -> Invitation:
    wanted = select(Invitation).where(
        Invitation.public_id == public_id, Invitation.organisation_id == by.organisation_id
    )
    row = uow.scalar(wanted) if is_id(public_id) else None
    if row is None or row.accepted_at is not None or row.revoked_at is not None:
        raise NotFound(N_("There is no such invitation any more."))
    _may_give(by, row.role)
    return row


@writes
def note_sent(uow: UnitOfWork, *, public_id: str) -> None:
    """Remember that the letter has gone out."""
    with system_scope():  # an operator invites into organisations that they are not in
        uow.execute(update(Invitation).where(Invitation.public_id == public_id).values(sent_at=now()))


def waiting() -> list[Invitation]:
    """Return the invitations of the organisation in scope that nobody has used, newest first."""
    query = select(Invitation).where(Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None))
    return list(db.session.scalars(query.order_by(Invitation.id.desc())))


def by_secret(secret: str) -> Invitation:
    """Return the invitation with this secret, its organisation loaded; raises NotFound unless it is open.

    Whoever has the secret may read the invitation, whichever organisation they are in.
    """
    with system_scope():
        row = db.session.scalar(
            select(Invitation)
            .options(joinedload(Invitation.organisation))
            .where(Invitation.secret_hash == digest(secret))
        )
    if row is None or not row.open:
        raise NotFound(N_("This invitation does not work any more. Ask for a new one."))
    return row


def has_account(invitation: Invitation) -> bool:
    """Tell whether the invited person has an account already."""
    return bool(db.session.scalar(select(exists().where(User.email == invitation.email))))


@writes
def accept(uow: UnitOfWork, *, secret: str, user_id: int, address: str) -> int:
    """Let an existing person in and return the organisation's id; the link works no more."""
    user = uow.get_one(User, user_id)
    return _join(uow, secret_hash=digest(secret), user=user, address=address)


def accept_as_new(*, secret: str, name: str, password: str, address: str) -> int:
    """Make an account for the invited person, let them in and return its id; the link works no more."""
    invitation = by_secret(secret)
    return _accept_as_new(
        secret_hash=digest(secret),
        email=invitation.email,
        name=accounts.check_name(name, fallback=invitation.email.split("@")[0], field="name"),
        password_hash=passwords.hashed(password),
        address=address,
    )


@writes
def _accept_as_new(
    uow: UnitOfWork, *, secret_hash: str, email: str, name: str, password_hash: str, address: str
) -> int:
    if uow.scalar(select(exists().where(User.email == email))):
        raise Conflict(N_("There is a person with this e-mail address already. Open the link again."))
    user = User(email=email, name=name, password_hash=password_hash)
    uow.add(user)
    uow.flush()
    _join(uow, secret_hash=secret_hash, user=user, address=address)
    return user.id


def _join(uow: UnitOfWork, *, secret_hash: str, user: User, address: str) -> int:
    """Use the invitation up and make the membership; of two at once only one gets through."""
    with system_scope():
        used = uow.execute(
            update(Invitation)
            .where(
                Invitation.secret_hash == secret_hash,
                Invitation.email == user.email,
                Invitation.accepted_at.is_(None),
                Invitation.revoked_at.is_(None),
                Invitation.expires_at > now(),
            )
            .values(accepted_at=now())
            .returning(Invitation.organisation_id, Invitation.role, Invitation.public_id)
        ).one_or_none()
    if used is None:
        raise NotFound(N_("This invitation does not work any more. Ask for a new one."))
    mine = Membership.organisation_id == used.organisation_id, Membership.user_id == user.id
    if not uow.scalar(select(exists().where(*mine))):
        uow.add(Membership(user_id=user.id, organisation_id=used.organisation_id, role=used.role))
    audit.record(
        uow,
        Action.PERSON_JOINED,
        by=Actor(user_id=user.id, organisation_id=used.organisation_id, address=address),
        target=(Target.INVITATION, used.public_id),
        facts={"role": used.role},
    )
    return int(used.organisation_id)
