"""The person's own choices, and their password."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug import Response

from imagegen.blueprints.accounts import contexts
from imagegen.blueprints.accounts.blueprint import blueprint
from imagegen.blueprints.accounts.forms import refused
from imagegen.core.errors import StudioError
from imagegen.services import passwords, people
from imagegen.web import access, auth
from imagegen.web.htmx import page
from imagegen.web.language import LANGUAGES
from imagegen.web.sse import hub

_THEME_FOR = 365 * 24 * 3600


@blueprint.get("/settings")
@access.person
def settings() -> ResponseReturnValue:
    """Lead to the first tab."""
    return redirect(url_for("accounts.profile"))


@blueprint.get("/settings/profile")
@access.person
def profile() -> ResponseReturnValue:
    """Show what one can choose for oneself."""
    return page("accounts/profile.html", errors={}, saved="saved" in request.args, **contexts.profile())


@blueprint.post("/settings/profile", endpoint="change_profile")
@access.person
def change_profile() -> ResponseReturnValue:
    """Keep name, language, time zone and theme."""
    form = {field: request.form.get(field, "") for field in ("name", "language", "time_zone", "theme")}
    language = form["language"] if form["language"] in LANGUAGES else None
    try:
        people.change_profile(
            user_id=auth.identity().user.id,
            name=form["name"],
            language=language,
            time_zone=form["time_zone"] or None,
            theme=form["theme"],
        )
    except StudioError as error:
        return refused("accounts/profile.html", error, saved=False, **contexts.profile(form))
    response = redirect(url_for("accounts.profile", saved=1), 303)
    return _with_theme(response, form["theme"])


def _with_theme(response: Response, theme: str) -> Response:
    """Let this browser, whose switch may say something else, draw pages as just chosen."""
    response.set_cookie("theme", theme, max_age=_THEME_FOR, samesite="Lax", secure=request.is_secure)
    return response


@blueprint.get("/settings/password")
@access.person
def password() -> ResponseReturnValue:
    """Show the form."""
    return page("accounts/password.html", errors={}, saved="saved" in request.args, least=passwords.SHORTEST)


@blueprint.post("/settings/password", endpoint="change_password")
@access.person
def change_password() -> ResponseReturnValue:
    """Change the password; the person's other browsers are signed out."""
    row = auth.current_session()
    try:
        ended = passwords.change(
            by=auth.actor(),
            session_id=row.id if row is not None else None,
            current=request.form.get("current", ""),
            new=request.form.get("password", ""),
        )
    except StudioError as error:
        return refused("accounts/password.html", error, saved=False, least=passwords.SHORTEST)
    for session_id in ended:
        hub().close_session(session_id)
    return redirect(url_for("accounts.password", saved=1), 303)
