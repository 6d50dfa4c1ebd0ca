"""Personal API tokens."""

from __future__ import annotations

from datetime import timedelta

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.accounts import contexts
from imagegen.blueprints.accounts.blueprint import blueprint
from imagegen.blueprints.accounts.forms import errors_of
from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.services import accounts
from imagegen.web import access, auth
from imagegen.web.htmx import page


@blueprint.get("/settings/tokens", endpoint="tokens")
@access.person
def index() -> ResponseReturnValue:
    """List the person's API tokens in this organisation."""
    return page("accounts/tokens.html", **contexts.tokens())


@blueprint.post("/settings/tokens", endpoint="create_token")
@access.person
def create_token() -> ResponseReturnValue:
    """Make a token and show it, this once."""
    identity = auth.identity()
    name, scopes = request.form.get("name", ""), tuple(request.form.getlist("scopes"))
    days = request.form.get("days", 0, type=int)
    if days not in contexts.LIFETIMES:
        days = contexts.LIFETIMES[-1]
    try:
        fresh = accounts.create_token(
            user_id=identity.user.id,
            organisation_id=identity.organisation.id,
            name=name,
            scopes=scopes,
            expires_at=now() + timedelta(days=days),
            address=auth.address(),
        )
    except StudioError as error:
        context = contexts.tokens(name=name, days=days, scopes=scopes, errors=errors_of(error))
        return page("accounts/tokens.html", status=error.status, **context)
    return page("accounts/tokens.html", **contexts.tokens(fresh={"name": name, "secret": fresh.secret}))


@blueprint.post("/settings/tokens/<token_id>/revoke", endpoint="revoke_token")
@access.person
def revoke_token(token_id: str) -> ResponseReturnValue:
    """End a token at once."""
    accounts.revoke_token(user_id=auth.identity().user.id, public_id=token_id, address=auth.address())
    return redirect(url_for("accounts.tokens"), 303)
