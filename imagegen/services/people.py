"""The people of an organisation and the operators of the installation: who may change whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import contains_eager

from imagegen.core.clock import now
from imagegen.core.errors import Conflict, Forbidden, NotFound, StudioError
from imagegen.core.ids import is_id
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import ApiToken, Membership, Organisation, Session, UnitOfWork, User, writes
from imagegen.models.audit import Action
from imagegen.models.users import ROLES
from imagegen.services import accounts, audit, organisations, passwords, sessions
from imagegen.services.audit import Actor
from imagegen.services.rights import roles_given_by

LAST_OWNER = N_("An organisation needs an owner. Make somebody else an owner first.")
LAST_OPERATOR = N_("The studio needs an operator. Make somebody else an operator first.")


@dataclass(frozen=True)
class Member:
    """A person in an organisation, and in how many they are altogether."""

    membership: Membership
    organisations: int

    @property
    def user(self) -> User:
        """The person."""
        return self.membership.user


def _members(organisation_id: int | None) -> Any:
    return (
        select(Membership)
        .join(Membership.user)
        .options(contains_eager(Membership.user))
        .where(Membership.organisation_id == organisation_id)
    )


def members(*, organisation_id: int) -> list[Member]:
    """Return the people of an organisation, by name."""
    rows = db.session.scalars(_members(organisation_id).order_by(func.lower(User.name), User.id)).all()
    counts = select(Membership.user_id, func.count()).where(Membership.user_id.in_([row.user_id for row in rows]))
    places = dict(db.session.execute(counts.group_by(Membership.user_id)).all())
    return [Member(row, places[row.user_id]) for row in rows]


def _member(session: Any, by: Actor, public_id: str) -> Membership:
    wanted = _members(by.organisation_id).where(User.public_id == public_id)
    row: Membership | None = session.scalar(wanted) if is_id(public_id) else None
    if row is None:
        raise NotFound(N_("There is no such person in this organisation."))
    return row


def user_id_of(*, organisation_id: int, public_id: str) -> int | None:
    """Return the number of a person in an organisation; None if there is nobody of that id in it."""
    row = (
        db.session.scalar(_members(organisation_id).where(User.public_id == public_id)) if is_id(public_id) else None
    )
    return row.user_id if row is not None else None


@writes
def change_role(uow: UnitOfWork, *, by: Actor, public_id: str, role: str) -> None:
    """Give a person of the actor's organisation another role; nobody changes their own."""
    if role not in ROLES:
        raise StudioError(N_("Choose a role."), field="role")
    _lock_organisation(uow, by)
    row = _member(uow, by, public_id)
    if row.user_id == by.user_id:
        raise Forbidden(N_("Nobody can change their own role. Ask another owner or admin."))
    if not {row.role, role} <= set(roles_given_by(by.role)):
        raise Forbidden(N_("Only an owner can make somebody an owner, or change an owner."))
    if row.role == role:
        return
    _keep_an_owner(uow, row)
    facts = {"role": [row.role, role]}
    row.role = role
    audit.record(uow, Action.ROLE_CHANGED, by=by, target=sessions.target_of(row.user), facts=facts)


@writes
def remove(uow: UnitOfWork, *, by: Actor, public_id: str) -> list[int]:
    """Take a person out of the actor's organisation; anybody may leave, but not the last owner.

    Their tokens for it end. Returns the ids of their sessions in it, whose streams have to be closed.
    """
    _lock_organisation(uow, by)
    row = _member(uow, by, public_id)
    if row.user_id != by.user_id and row.role not in roles_given_by(by.role):
        raise Forbidden(N_("Only an owner can take an owner out of the organisation."))
    _keep_an_owner(uow, row)
    here = {"user_id": row.user_id, "organisation_id": by.organisation_id}
    uow.execute(update(ApiToken).filter_by(**here).where(ApiToken.revoked_at.is_(None)).values(revoked_at=now()))
    ended = list(uow.scalars(select(Session.id).filter_by(**here)))
    uow.execute(update(Session).filter_by(**here).values(organisation_id=None))
    facts = {"role": row.role, "left": row.user_id == by.user_id}
    audit.record(uow, Action.PERSON_REMOVED, by=by, target=sessions.target_of(row.user), facts=facts)
    uow.delete(row)
    return ended


def _lock_organisation(uow: UnitOfWork, by: Actor) -> None:
    """Let one at a time change an organisation's people: two owners might remove each other."""
    uow.scalar(select(Organisation.id).where(Organisation.id == by.organisation_id).with_for_update())


def _keep_an_owner(uow: UnitOfWork, row: Membership) -> None:
    if row.role != "owner":
        return
    others = (
        select(func.count())
        .select_from(Membership)
        .join(User)
        .where(
            Membership.organisation_id == row.organisation_id,
            Membership.role == "owner",
            Membership.id != row.id,
            User.enabled,
        )
    )
    if not uow.scalar(others):
        raise Conflict(LAST_OWNER)


def may_reset(by: Actor, member: Member) -> bool:
    """Tell whether the actor may make a link with which the person chooses a new password.

    The link opens the whole account. So an admin may make one only for somebody who is in no other organisation,
    is no operator, and has no role that the admin could not give.
    """
    if by.is_operator:
        return True
    alone = member.organisations == 1 and not member.user.is_operator
    return alone and member.membership.role in roles_given_by(by.role)


def reset_link(*, by: Actor, public_id: str) -> tuple[User, str]:
    """Return a person of the actor's organisation, and the secret of a link to a new password for them."""
    row = _member(db.session, by, public_id)
    count = select(func.count()).select_from(Membership).where(Membership.user_id == row.user_id)
    if not may_reset(by, Member(row, db.session.scalar(count) or 0)):
        raise Forbidden(N_("The link would open more than this organisation. Only an operator can make it."))
    if not row.user.enabled:
        raise Conflict(N_("This account is switched off."))
    return row.user, passwords.make_reset(by=by, user_id=row.user_id)


def operators() -> list[User]:
    """Return the operators of the installation, by name."""
    return list(db.session.scalars(select(User).where(User.is_operator).order_by(func.lower(User.name), User.id)))


@writes
def set_operator(uow: UnitOfWork, *, by: Actor, email: str, operator: bool) -> None:
    """Make somebody an operator, or an operator nobody special; the last one stays."""
    held = list(uow.scalars(select(User).where(User.is_operator, User.enabled).order_by(User.id).with_for_update()))
    user: User | None = uow.scalar(select(User).where(User.email == email.strip().lower()))
    if user is None:
        raise NotFound(N_("There is no person with this e-mail address."), field="email")
    if user.is_operator == operator:
        return
    if not operator and [each.id for each in held] == [user.id]:
        raise Conflict(LAST_OPERATOR)
    user.is_operator = operator
    action = Action.OPERATOR_MADE if operator else Action.OPERATOR_ENDED
    audit.record(uow, action, by=by.within(None), target=sessions.target_of(user))


@writes
def set_enabled(uow: UnitOfWork, *, by: Actor, email: str, enabled: bool) -> User:
    """Switch an account off, which ends all its sessions, or on again; the last operator's stays on."""
    held = list(uow.scalars(select(User).where(User.is_operator, User.enabled).order_by(User.id).with_for_update()))
    user: User | None = uow.scalar(select(User).where(User.email == email.strip().lower()))
    if user is None:
        raise NotFound(N_("There is no person with this e-mail address."), field="email")
    if not enabled and [each.id for each in held] == [user.id]:
        raise Conflict(LAST_OPERATOR)
    user.enabled = enabled
    if not enabled:
        sessions.end_all(uow, user_id=user.id)
    action = Action.PERSON_ENABLED if enabled else Action.PERSON_DISABLED
    audit.record(uow, action, by=by.within(None), target=sessions.target_of(user))
    return user


def change_profile(*, user_id: int, name: str, language: str | None, time_zone: str | None, theme: str) -> None:
    """Change what a person has chosen for themselves; without a language or zone the organisation's holds."""
    _change_profile(
        user_id=user_id,
        name=accounts.check_name(name, fallback="", field="name"),
        language=language,
        time_zone=organisations.check_time_zone(time_zone) if time_zone else None,
        theme=accounts.check_theme(theme),
    )


@writes
def _change_profile(uow: UnitOfWork, *, user_id: int, **values: str | None) -> None:
    uow.execute(update(User).where(User.id == user_id).values(**values))
