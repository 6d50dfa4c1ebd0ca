"""Signed-in browsers: rows that begin with a sign-in and end with a sign-out."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import joinedload

from imagegen.core.clock import now
from imagegen.core.errors import NotFound
from imagegen.core.secrets import digest, new_secret
from imagegen.core.text import N_, one_line
from imagegen.extensions import db
from imagegen.models import Membership, Organisation, Session, UnitOfWork, User, writes
from imagegen.models.audit import Action, Target
from imagegen.services import audit
from imagegen.services.audit import Actor

SESSION_FOR = timedelta(hours=12)
REMEMBERED_FOR = timedelta(days=60)
SEEN_EVERY = timedelta(minutes=5)


@writes
def sign_in(
    uow: UnitOfWork,
    *,
    user_id: int,
    remember: bool,
    address: str,
    browser: str,
    organisation_id: int | None = None,
) -> str:
    """Open a session for the person and return its secret, which is stored nowhere.

    It begins in `organisation_id` if the person is in it, else in the first one they joined.
    """
    secret = new_secret()
    mine = select(Membership.organisation_id).where(Membership.user_id == user_id)
    wanted = (Membership.organisation_id == (organisation_id or 0)).desc()
    found = uow.scalar(mine.order_by(wanted, Membership.id).limit(1))
    uow.execute(delete(Session).where(Session.expires_at < now()))
    uow.add(
        Session(
            secret_hash=digest(secret),
            user_id=user_id,
            organisation_id=found,
            remember=remember,
            address=address[:45],
            browser=one_line(browser, 200),
            expires_at=now() + (REMEMBERED_FOR if remember else SESSION_FOR),
        )
    )
    by = Actor(user_id=user_id, organisation_id=found, address=address)
    audit.record(uow, Action.SIGNED_IN, by=by, facts={"remember": remember})
    return secret


@writes
def sign_out(uow: UnitOfWork, *, secret: str, address: str = "") -> None:
    """End the session: a copy of its cookie opens nothing any more."""
    row = uow.scalar(select(Session).where(Session.secret_hash == digest(secret)))
    if row is None:
        return
    uow.delete(row)
    by = Actor(user_id=row.user_id, organisation_id=row.organisation_id, address=address)
    audit.record(uow, Action.SIGNED_OUT, by=by)


# Built once: every request asks it.
_LIVE = (
    select(Session, Membership)
    .options(joinedload(Session.user), joinedload(Membership.organisation))
    .join(User, User.id == Session.user_id)
    .outerjoin(Membership, Membership.user_id == Session.user_id)
    .where(Session.secret_hash == bindparam("hash"), Session.expires_at > bindparam("now"), User.enabled)
    .order_by((Membership.organisation_id == func.coalesce(Session.organisation_id, 0)).desc(), Membership.id)
    .limit(1)
)


def signed_in(secret: str) -> tuple[Session, Membership | None] | None:
    """Return the live session with this secret, its person loaded, and the membership in which they are there.

    That is the one in the session's organisation; in their first one if that one is not theirs, None without any.
    """
    row = db.session.execute(_LIVE, {"hash": digest(secret), "now": now()}).one_or_none()
    return None if row is None else (row[0], row[1])


@writes
def note_seen(uow: UnitOfWork, *, session_id: int, address: str = "") -> None:
    """Remember that the session is in use, from where, and let it live on."""
    row = uow.get(Session, session_id)
    if row is not None:
        row.seen_at = now()
        row.address = address[:45] or row.address
        row.expires_at = max(row.expires_at, now() + (REMEMBERED_FOR if row.remember else SESSION_FOR))


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


def sessions_of(*, user_id: int) -> list[Session]:
    """Return where the person is signed in, the latest seen first."""
    live = select(Session).where(Session.user_id == user_id, Session.expires_at > now())
    return list(db.session.scalars(live.order_by(Session.seen_at.desc(), Session.id.desc())))


@writes
def end(uow: UnitOfWork, *, by: Actor, public_id: str) -> int:
    """End one of the person's own sessions and return its row's id, so that its streams can be closed."""
    row = uow.scalar(select(Session).where(Session.public_id == public_id, Session.user_id == by.user_id))
    if row is None:
        raise NotFound(N_("That browser is not signed in any more."))
    uow.delete(row)
    audit.record(uow, Action.SESSION_ENDED, by=by, facts={"sessions": 1})
    return row.id


@writes
def end_others(uow: UnitOfWork, *, by: Actor, session_id: int | None) -> list[int]:
    """End the person's other sessions and return their rows' ids."""
    ended = end_all(uow, user_id=by.user_id or 0, but=session_id)
    if ended:
        audit.record(uow, Action.SESSION_ENDED, by=by, facts={"sessions": len(ended)})
    return ended


def end_all(uow: UnitOfWork, *, user_id: int, but: int | None = None) -> list[int]:
    """End a person's sessions within a transaction, all but one if one is named; return their rows' ids."""
    ids = list(uow.scalars(select(Session.id).where(Session.user_id == user_id, Session.id != (but or 0))))
    uow.execute(delete(Session).where(Session.id.in_(ids)))
    return ids


def target_of(user: User) -> tuple[Target, str]:
    """Return a person as the audit log names them."""
    return (Target.USER, user.public_id)
