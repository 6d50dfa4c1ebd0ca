"""Signing in and out, switching organisation, tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.accounts import contexts
from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.services import accounts
from imagegen.web import access, auth
from imagegen.web.htmx import page
from imagegen.web.language import said
from imagegen.web.sse import hub

blueprint = Blueprint("accounts", __name__)


@blueprint.get("/sign-in")
@access.public
def sign_in() -> ResponseReturnValue:
    """Show the form."""
    form = {"email": "", "next": request.args.get("next", ""), "remember": False}
    return render_template("accounts/sign_in.html", form=form, error=None, signed_out="out" in request.args)


@blueprint.post("/sign-in", endpoint="sign_in_now")
@access.public
def sign_in_now() -> ResponseReturnValue:
    """Sign in, and go where the person was heading."""
    form = {
        "email": request.form.get("email", ""),
        "next": request.form.get("next", ""),
        "remember": bool(request.form.get("remember")),
    }
    try:
        user = accounts.authenticate(email=str(form["email"]), password=request.form.get("password", ""))
    except StudioError as error:
        return page("accounts/sign_in.html", status=422, form=form, error=said(error.message), signed_out=False)
    _end_streams_with(lambda: auth.begin_session(user, remember=bool(form["remember"])))
    return redirect(auth.safe_next(str(form["next"])), 303)


@blueprint.post("/sign-out")
@access.public
def sign_out() -> ResponseReturnValue:
    """End the session, and every stream that it has open here."""
    _end_streams_with(auth.end_session)
    return redirect(url_for("accounts.sign_in", out=1), 303)


def _end_streams_with(end_session: Callable[[], None]) -> None:
    """End the session that this browser has, if any, and the streams of its pages."""
    row = auth.current_session()
    session_id = row.id if row is not None else None
    end_session()
    if session_id is not None:
        hub().close_session(session_id)


@blueprint.post("/organisation")
@access.person
def switch() -> ResponseReturnValue:
    """Work in another of one's organisations."""
    row = auth.current_session()
    if row is None:
        abort(403)
    accounts.switch_organisation(
        session_id=row.id, user_id=row.user_id, organisation=request.form.get("organisation", "")
    )
    hub().close_session(row.id)
    return redirect(url_for("generator.page"), 303)


@blueprint.get("/settings/tokens")
@access.person
def tokens() -> ResponseReturnValue:
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
        )
    except StudioError as error:
        errors = {error.field or "": said(error.message)}
        return page("accounts/tokens.html", status=422, **contexts.tokens(name=name, days=days, errors=errors))
    return page("accounts/tokens.html", **contexts.tokens(fresh={"name": name, "secret": fresh.secret}))


@blueprint.post("/settings/tokens/<token_id>/revoke")
@access.person
def revoke_token(token_id: str) -> ResponseReturnValue:
    """End a token at once."""
    accounts.revoke_token(user_id=auth.identity().user.id, public_id=token_id)
    return redirect(url_for("accounts.tokens"), 303)
