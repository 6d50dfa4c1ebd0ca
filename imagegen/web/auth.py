"""Who is asking: found once for each request, and with it the scope of every query."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask, Response, current_app, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask.typing import ResponseReturnValue

from imagegen.core.clock import now
from imagegen.core.errors import ErrorKind, Forbidden, StudioError
from imagegen.core.text import N_
from imagegen.extensions import csrf, login_manager
from imagegen.models import ApiToken, Session, User
from imagegen.models.scope import enter_scope, leave_scope
from imagegen.services import accounts, sessions
from imagegen.services.audit import Actor
from imagegen.services.rights import SCOPES, Right, rights_of
from imagegen.web.access import Access, access_of
from imagegen.web.htmx import wants_partial

SECRET = "sid"  # noqa: S105 - the name of an entry in the cookie
_TOKEN_SEEN_EVERY = timedelta(minutes=1)


class CookieSessions(SecureCookieSessionInterface):
    """Flask's sessions, but for answers that never change: with `Vary: Cookie` a browser would ask for every picture
    again whenever its cookie is another."""

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Put the session into its cookie if it has changed."""
        if response.cache_control.immutable:
            session.accessed = False
        super().save_session(app, session, response)


class SignInNeeded(StudioError):
    """Nobody is signed in, or no token (any more) came with the request."""

    kind = ErrorKind.AUTH
    status = 401
    advice = N_("Sign in, or send a token that is alive.")


class Identity:
    """Who asks, for which organisation, and what they may do there."""

    def __init__(self, *, user: User, membership: Any, session: Session | None, token: ApiToken | None) -> None:
        self.user = user
        self.organisation = membership.organisation
        self.role: str = membership.role
        self.session = session
        self.token = token
        # Plain values: the page that says that the database is gone can't ask it for them.
        self.user_id: int = user.id
        self.language: str | None = user.language or membership.organisation.language
        self.theme: str = user.theme
        self.time_zone: str = user.time_zone or membership.organisation.time_zone

    @property
    def rights(self) -> frozenset[Right]:
        """What the role allows, less what the token's scopes leave out."""
        rights = rights_of(self.role)
        if self.token is None:
            return rights
        return rights & frozenset().union(*(SCOPES[scope] for scope in self.token.scopes if scope in SCOPES))

    def may(self, right: Right) -> bool:
        """Tell whether this person may do that here."""
        return right in self.rights

    @property
    def is_operator(self) -> bool:
        """Whether this person looks after the whole installation; a token must say so too."""
        return self.user.is_operator and (self.token is None or "admin" in self.token.scopes)


def identity() -> Identity:
    """Return who asks; raises SignInNeeded."""
    found: Identity | None = g.get("identity")
    if found is None:
        raise SignInNeeded(N_("Sign in to go on."))
    return found


def init_app(app: Flask) -> None:
    """Find out who asks before every request, and hold every route to what it says of itself."""
    app.session_interface = CookieSessions()
    # A picture's late answer must not bring back the cookie of before the sign-in; `_by_session` renews it.
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    login_manager.session_protection = None
    login_manager.request_loader(lambda _request: getattr(g.get("identity"), "user", None))
    app.before_request(_identify)
    app.before_request(_hold_to_access)
    app.teardown_request(_leave)
    app.context_processor(lambda: {"identity": g.get("identity")})


def is_api() -> bool:
    """Tell whether the request is for the API, which answers in JSON and never redirects to a page."""
    return request.path.startswith("/api/")


def _identify() -> None:
    if request.endpoint == "static":
        return
    authorization = request.headers.get("Authorization", "")
    if is_api() and authorization:
        g.identity = _by_token(authorization)
    else:
        g.identity = _by_session()
    if g.identity is not None:
        g.scope_token = enter_scope(g.identity.organisation.id)


def _by_token(authorization: str) -> Identity:
    scheme, _, secret = authorization.partition(" ")
    token = accounts.token_of(secret.strip()) if scheme.lower() == "bearer" and len(secret) < 200 else None
    if token is None:
        raise SignInNeeded(N_("This token opens nothing: it is wrong, expired or revoked."))
    membership = accounts.membership_of(user_id=token.user_id, organisation_id=token.organisation_id)
    if membership is None or membership.organisation_id != token.organisation_id:
        raise SignInNeeded(N_("This token's person is not in its organisation any more."))
    if token.used_at is None or token.used_at < now() - _TOKEN_SEEN_EVERY:
        accounts.note_token_used(token_id=token.id)
    return Identity(user=token.user, membership=membership, session=None, token=token)


def _by_session() -> Identity | None:
    secret = session.get(SECRET)
    found = sessions.signed_in(secret) if isinstance(secret, str) else None
    if found is None:
        session.pop(SECRET, None)
        return None
    row, membership = found
    if membership is None:
        return None
    if row.seen_at < now() - sessions.SEEN_EVERY:
        sessions.note_seen(session_id=row.id, address=address())
        session.modified = True  # the cookie lives on with its row
    return Identity(user=row.user, membership=membership, session=row, token=None)


def _leave(_error: BaseException | None) -> None:
    token = g.pop("scope_token", None)
    if token is not None:
        leave_scope(token)


def _hold_to_access() -> ResponseReturnValue | None:
    if request.endpoint is None or request.endpoint == "static":
        return None
    access = access_of(current_app.view_functions[request.endpoint])
    if access is None:
        raise Forbidden(N_("This page says of nobody that they may see it."))
    if not (access.before_setup or is_api()) and g.identity is None and not accounts.anybody_here():
        return redirect(url_for("setup.page"))
    elsewhere = None if access.anybody else _admit(access)
    if elsewhere is None:
        _check_csrf()
    return elsewhere


def _check_csrf() -> None:
    """Every change by a browser carries the token of its session; a bearer token can't be sent by accident."""
    if g.identity is not None and g.identity.token is not None:
        return
    csrf.protect()


def _admit(access: Access) -> ResponseReturnValue | None:
    if g.identity is None:
        # A page that htmx asked for would be put into the middle of another.
        if is_api() or wants_partial() or request.method not in ("GET", "HEAD"):
            raise SignInNeeded(N_("Sign in to go on."))
        return redirect(url_for("accounts.sign_in", next=request.full_path.rstrip("?")))
    who: Identity = g.identity
    if access.right is not None and not who.may(access.right):
        raise Forbidden(_TOKEN_TOO_NARROW if access.right in rights_of(who.role) else _NOT_BY_ROLE)
    if access.operator and not who.is_operator:
        raise Forbidden(_TOKEN_TOO_NARROW if who.user.is_operator else _NOT_AN_OPERATOR)
    return None


_NOT_BY_ROLE = N_("Your role in this organisation does not allow this. Ask an admin.")
_NOT_AN_OPERATOR = N_("Only the studio's operators may do this.")
_TOKEN_TOO_NARROW = N_("You may do this, but not with this token: its scope is too narrow.")


def current_session() -> Session | None:
    """Return the session row of who asks; None for a token or nobody."""
    found = g.get("identity")
    return found.session if found is not None else None


def address() -> str:
    """Return where the request comes from; behind proxies only as far as PROXY_HOPS believes them."""
    return request.remote_addr or ""


def actor() -> Actor:
    """Return who asks, as services and the audit log want to know it."""
    who = identity()
    return Actor(
        user_id=who.user.id,
        organisation_id=who.organisation.id,
        role=who.role,
        is_operator=who.is_operator,
        address=address(),
    )


def begin_session(user_id: int, *, remember: bool, organisation_id: int | None = None) -> None:
    """Sign a person in: a new row, a new cookie, nothing of the one before (no fixation)."""
    end_session()
    secret = sessions.sign_in(
        user_id=user_id,
        remember=remember,
        address=address(),
        browser=request.user_agent.string,
        organisation_id=organisation_id,
    )
    session[SECRET] = secret
    session.permanent = remember


def end_session() -> None:
    """Sign out: the row is gone, so a copy of the cookie opens nothing."""
    secret = session.get(SECRET)
    if isinstance(secret, str):
        sessions.sign_out(secret=secret, address=address())
    session.clear()


def safe_next(target: str | None) -> str:
    """Return `target` if it is a path of ours, else the home page (`/\\evil`, `//evil`, `https:evil` are not)."""
    home: str = url_for("generator.home")
    if not target or not target.startswith("/") or target.startswith("//"):
        return home
    if any(ord(character) <= 32 or character == "\\" for character in target):
        return home
    return target
