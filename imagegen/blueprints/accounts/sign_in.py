"""Signing in and out, and switching organisation."""

from __future__ import annotations

from collections.abc import Callable

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.accounts.blueprint import blueprint
from imagegen.blueprints.accounts.forms import refused
from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.models import User
from imagegen.services import accounts, passwords, sessions
from imagegen.web import access, auth
from imagegen.web.htmx import page
from imagegen.web.sse import hub

_NOTES = {
    "out": N_("You are signed out."),
    "reset": N_("Your password is changed. Sign in with the new one."),
}


@blueprint.get("/sign-in")
@access.public
def sign_in() -> ResponseReturnValue:
    """Show the form."""
    form = {"email": "", "next": request.args.get("next", ""), "remember": False}
    note = next((sentence for name, sentence in _NOTES.items() if name in request.args), "")
    return page("accounts/sign_in.html", form=form, errors={}, note=note)


@blueprint.post("/sign-in", endpoint="sign_in_now")
@access.public
def sign_in_now() -> ResponseReturnValue:
    """Sign in, and go where the person was heading."""
    email, remember = request.form.get("email", ""), bool(request.form.get("remember"))
    form = {"email": email, "next": request.form.get("next", ""), "remember": remember}
    try:
        user = _admitted(email, request.form.get("password", ""))
    except StudioError as error:
        return refused("accounts/sign_in.html", error, form=form, note="")
    end_streams_with(lambda: auth.begin_session(user.id, remember=remember))
    return redirect(auth.safe_next(request.form.get("next")), 303)


def _admitted(email: str, password: str) -> User:
    user = passwords.authenticate(email=email, password=password, address=auth.address())
    if accounts.membership_of(user_id=user.id, organisation_id=None) is None:
        raise StudioError(N_("You are in no organisation any more. Ask for an invitation."))
    return user


@blueprint.post("/sign-out")
@access.public
def sign_out() -> ResponseReturnValue:
    """End the session, and every stream that it has open here."""
    end_streams_with(auth.end_session)
    return redirect(url_for("accounts.sign_in", out=1), 303)


def end_streams_with(end_session: Callable[[], None]) -> None:
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
    session_id, user_id = row.id, row.user_id
    sessions.switch_organisation(
        session_id=session_id, user_id=user_id, organisation=request.form.get("organisation", "")
    )
    hub().close_session(session_id)
    return redirect(url_for("generator.home"), 303)
