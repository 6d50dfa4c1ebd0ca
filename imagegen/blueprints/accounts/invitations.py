"""Invitations, as the invited person sees them."""

from __future__ import annotations

from typing import Any

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.accounts.blueprint import blueprint
from imagegen.blueprints.accounts.forms import refused
from imagegen.blueprints.accounts.sign_in import end_streams_with
from imagegen.core.errors import Conflict, NotFound, StudioError
from imagegen.core.text import N_
from imagegen.models import Invitation
from imagegen.services import invitations, limits, passwords
from imagegen.web import access, auth
from imagegen.web.filters import ROLE_NAMES
from imagegen.web.htmx import page
from imagegen.web.language import said


@blueprint.get("/invitation/<secret>")
@access.public
def invitation(secret: str) -> ResponseReturnValue:
    """Show what one is invited to, and what is still needed to join."""
    try:
        found = _found(secret)
    except NotFound as error:
        return refused("accounts/dead_link.html", error)
    return page("accounts/invitation.html", errors={}, name="", **_context(secret, found))


@blueprint.post("/invitation/<secret>", endpoint="accept_invitation")
@access.public
def accept_invitation(secret: str) -> ResponseReturnValue:
    """Join: as who one is signed in as, with one's password, or with a new account."""
    try:
        found = _found(secret)
    except NotFound as error:
        return refused("accounts/dead_link.html", error)
    context = _context(secret, found)
    name = request.form.get("name", "")
    try:
        user_id, organisation_id = _joined(secret, found, way=str(context["way"]), name=name)
    except NotFound as error:
        return refused("accounts/dead_link.html", error)
    except StudioError as error:
        return refused("accounts/invitation.html", error, name=name, **context)
    end_streams_with(lambda: auth.begin_session(user_id, remember=False, organisation_id=organisation_id))
    return redirect(url_for("generator.home"), 303)


def _found(secret: str) -> Invitation:
    with limits.guarded(address=auth.address()):
        return invitations.by_secret(secret)


def _way(found: Invitation) -> str:
    """Return how one joins: "signed_in", "other" (signed in as somebody else), "password" or "new"."""
    identity = g.get("identity")
    if identity is not None:
        return "signed_in" if identity.user.email == found.email else "other"
    return "password" if invitations.has_account(found) else "new"


def _context(secret: str, found: Invitation) -> dict[str, Any]:
    return {
        "secret": secret,
        "way": _way(found),
        "email": found.email,
        "organisation": found.organisation.name,
        "role": said(ROLE_NAMES[found.role]),
        "least": passwords.SHORTEST,
    }


def _joined(secret: str, found: Invitation, *, way: str, name: str) -> tuple[int, int]:
    """Join and return who did, and which organisation."""
    password, address = request.form.get("password", ""), auth.address()
    if way == "other":
        raise Conflict(N_("You are signed in as somebody else. Sign out first."))
    organisation_id = found.organisation_id
    if way == "new":
        user_id = invitations.accept_as_new(secret=secret, name=name, password=password, address=address)
        return user_id, organisation_id
    if way == "signed_in":
        user_id = auth.identity().user.id
    else:
        user_id = passwords.authenticate(email=found.email, password=password, address=address).id
    return user_id, invitations.accept(secret=secret, user_id=user_id, address=address)
