"""The first visit: makes the first person and organisation, then is gone for ever."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.core.errors import StudioError
from imagegen.services import accounts, limits, passwords, setup
from imagegen.web import access, auth
from imagegen.web.htmx import page as render
from imagegen.web.language import said

blueprint = Blueprint("setup", __name__)

_FIELDS = ("code", "organisation", "name", "email")


@blueprint.get("/setup")
@access.infrastructure
def page() -> ResponseReturnValue:
    """Show the form, as long as nobody is here."""
    if accounts.anybody_here():
        abort(404)
    return _form(dict.fromkeys(_FIELDS, ""), {})


@blueprint.post("/setup", endpoint="set_up")
@access.infrastructure
def set_up() -> ResponseReturnValue:
    """Make the first person, and sign them in."""
    if accounts.anybody_here():
        abort(404)
    form = {name: request.form.get(name, "") for name in _FIELDS}
    try:
        with limits.guarded(address=auth.address()):
            setup.check_code(form["code"])
        user = setup.finish(
            email=form["email"],
            password=request.form.get("password", ""),
            name=form["name"],
            organisation=form["organisation"],
            address=auth.address(),
        )
    except StudioError as error:
        return _form(form, {error.field or "": said(error.message)}, status=error.status)
    auth.begin_session(user.id, remember=False)
    return redirect(url_for("generator.page"), 303)


def _form(form: dict[str, str], errors: dict[str, str], status: int = 200) -> ResponseReturnValue:
    least = passwords.SHORTEST
    return render("setup/page.html", status=status, form=form, errors=errors, password_least=least)
