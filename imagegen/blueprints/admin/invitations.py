"""Invitations into the organisation."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, gettext

from imagegen.blueprints.admin.blueprint import blueprint
from imagegen.blueprints.admin.delivery import NOTHING, deliver_invitation
from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.models import Invitation
from imagegen.services import invitations, mail
from imagegen.services.rights import roles_given_by
from imagegen.web import access, auth
from imagegen.web.contexts import ago
from imagegen.web.filters import ROLE_NAMES
from imagegen.web.htmx import page
from imagegen.web.language import said


@blueprint.get("/invitations", endpoint="invitations")
@access.managing_people
def list_invitations() -> ResponseReturnValue:
    """List the invitations that nobody has used, with a form for another."""
    return page("admin/invitations.html", **_invitations(), **NOTHING)


@blueprint.post("/invitations", endpoint="invite")
@access.managing_people
def invite() -> ResponseReturnValue:
    """Invite somebody by letter, or by a link to hand over."""
    form = {"email": request.form.get("email", ""), "role": request.form.get("role", "")}
    try:
        handed = invitations.invite(by=auth.actor(), **form)
    except StudioError as error:
        errors = {error.field or "": said(error.message)}
        return page("admin/invitations.html", status=error.status, **_invitations(form, errors), **NOTHING)
    delivered = deliver_invitation(handed)
    return page("admin/invitations.html", **_invitations(), **delivered)


@blueprint.post("/invitations/<invitation_id>/renew")
@access.managing_people
def renew_invitation(invitation_id: str) -> ResponseReturnValue:
    """Send it again, with a new link; the old one works no more."""
    delivered = deliver_invitation(invitations.renew(by=auth.actor(), public_id=invitation_id))
    return page("admin/invitations.html", **_invitations(), **delivered)


@blueprint.post("/invitations/<invitation_id>/revoke")
@access.managing_people
def revoke_invitation(invitation_id: str) -> ResponseReturnValue:
    """Take it back."""
    invitations.revoke(by=auth.actor(), public_id=invitation_id)
    return redirect(url_for("admin.invitations"), 303)


def _invitations(form: dict[str, str] | None = None, errors: dict[str, str] | None = None) -> dict[str, Any]:
    mine = roles_given_by(auth.identity().role)
    return {
        "invitations": [_invitation(row, changeable=row.role in mine) for row in invitations.waiting()],
        "form": form or {"email": "", "role": "editor"},
        "roles": [(role, said(ROLE_NAMES[role])) for role in mine],
        "errors": errors or {},
        "by_mail": mail.configured(),
    }


def _invitation(row: Invitation, *, changeable: bool) -> dict[str, Any]:
    over = row.expires_at <= now()
    return {
        "id": row.public_id,
        "email": row.email,
        "role": said(ROLE_NAMES[row.role]),
        "sent": ago(row.sent_at) if row.sent_at else gettext("handed over"),
        "ends": gettext("is over") if over else format_date(row.expires_at),
        "over": over,
        "changeable": changeable,
    }
