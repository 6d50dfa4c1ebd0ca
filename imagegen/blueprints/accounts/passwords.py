"""A forgotten password, and the link to a new one."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.accounts.blueprint import blueprint
from imagegen.blueprints.accounts.forms import refused
from imagegen.core.errors import NotFound, StudioError
from imagegen.core.secrets import new_secret
from imagegen.services import limits, mail, passwords
from imagegen.web import access, auth, letters, links
from imagegen.web.htmx import page


@blueprint.get("/forgot-password")
@access.public
def forgot_password() -> ResponseReturnValue:
    """Ask for the address; without letters, say who can help."""
    return page("accounts/forgot_password.html", by_mail=_by_mail(), email="", errors={}, asked=False)


@blueprint.post("/forgot-password", endpoint="ask_for_reset")
@access.public
def ask_for_reset() -> ResponseReturnValue:
    """Send a letter, if somebody has this address; the answer is the same, and as quick, if nobody has."""
    email = request.form.get("email", "")
    try:
        _count_request()
    except StudioError as error:
        return refused("accounts/forgot_password.html", error, by_mail=True, email=email, asked=False)
    if _by_mail():
        _write_later(email)
    return page("accounts/forgot_password.html", by_mail=_by_mail(), email=email, errors={}, asked=True)


def _by_mail() -> bool:
    return mail.configured() and links.may_be_mailed()


def _count_request() -> None:
    """Count every request against its address, so that nobody tries addresses by the thousand."""
    limits.count(limits.ADDRESS, auth.address())


def _write_later(email: str) -> None:
    secret, address = new_secret(), auth.address()
    link = links.external("accounts.choose_password", secret=secret)

    def write() -> None:
        user = passwords.forgotten(email=email, secret=secret, address=address)
        if user is not None:
            letters.send("reset", to=user.email, language=user.language, name=user.name, link=link)

    letters.later(write)


@blueprint.get("/reset-password/<secret>")
@access.public
def choose_password(secret: str) -> ResponseReturnValue:
    """Show the form to whoever has the link."""
    try:
        with limits.guarded(address=auth.address()):
            email = passwords.reset_of(secret).user.email
    except NotFound as error:
        return refused("accounts/dead_link.html", error)
    return page("accounts/choose_password.html", secret=secret, email=email, errors={}, least=passwords.SHORTEST)


@blueprint.post("/reset-password/<secret>", endpoint="reset_password")
@access.public
def reset_password(secret: str) -> ResponseReturnValue:
    """Change the password; every session of the person ends, and the link works no more."""
    email = ""
    try:
        with limits.guarded(address=auth.address()):
            email = passwords.reset_of(secret).user.email
        passwords.reset(secret=secret, password=request.form.get("password", ""), address=auth.address())
    except NotFound as error:
        return refused("accounts/dead_link.html", error)
    except StudioError as error:
        return refused("accounts/choose_password.html", error, secret=secret, email=email, least=passwords.SHORTEST)
    auth.end_session()
    return redirect(url_for("accounts.sign_in", reset=1), 303)
