"""How a link reaches whoever it is for: by letter, or shown once to be handed over."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext

from imagegen.models import User
from imagegen.services import invitations, mail
from imagegen.services.invitations import Handed
from imagegen.web import letters, links
from imagegen.web.auth import identity
from imagegen.web.filters import ROLE_NAMES

NOTHING: dict[str, Any] = {"handed": None, "sent_to": ""}


def deliver_invitation(handed: Handed) -> dict[str, Any]:
    """Send the invitation; where that is not possible, return its link to be shown, this once."""
    link = links.external("accounts.invitation", secret=handed.secret)
    sent = letters.send(
        "invitation",
        to=handed.email,
        language=handed.language,
        organisation=handed.organisation,
        role=ROLE_NAMES[handed.role],
        inviter=identity().user.name,
        link=link,
        days=invitations.VALID_FOR.days,
    )
    if sent:
        invitations.note_sent(public_id=handed.public_id)
        return {"handed": None, "sent_to": handed.email}
    title = gettext("Invitation for %(email)s", email=handed.email)
    return {"handed": {"title": title, "link": link, "note": _note()}, "sent_to": ""}


def deliver_reset(user: User, secret: str) -> dict[str, Any]:
    """Return the link to a new password to be handed over: an admin who makes it vouches for the person."""
    title = gettext("New password for %(email)s", email=user.email)
    note = gettext("Hand it over yourself. It works once, and for an hour; it is not shown again.")
    link = links.external("accounts.choose_password", secret=secret)
    return {"handed": {"title": title, "link": link, "note": note}, "sent_to": ""}


def _note() -> str:
    if mail.configured():
        return gettext("The letter could not be sent. Hand the link over yourself; it is not shown again.")
    return gettext("Hand it over yourself: this studio sends no letters. It works once, and is not shown again.")
