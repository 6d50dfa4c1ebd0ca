"""The people of the organisation."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.admin.blueprint import blueprint
from imagegen.blueprints.admin.delivery import NOTHING, deliver_reset
from imagegen.core.errors import Forbidden
from imagegen.core.text import N_
from imagegen.services import people
from imagegen.services.people import Member
from imagegen.services.rights import Right, roles_given_by
from imagegen.web import access, auth
from imagegen.web.filters import ROLE_NAMES
from imagegen.web.htmx import page
from imagegen.web.language import said
from imagegen.web.sse import hub

_FIRST_TABS = (
    (Right.MANAGE_PEOPLE, "admin.people"),
    (Right.MANAGE_ORGANISATION, "admin.organisation"),
    (Right.READ_AUDIT, "admin.audit"),
)


@blueprint.get("")
@access.person
def index() -> ResponseReturnValue:
    """Lead to the first page that the person may see."""
    who = auth.identity()
    for right, endpoint in _FIRST_TABS:
        if who.may(right):
            return redirect(url_for(endpoint))
    if who.is_operator:
        return redirect(url_for("admin.organisations"))
    raise Forbidden(N_("Your role in this organisation does not allow this. Ask an admin."))


@blueprint.get("/people", endpoint="people")
@access.managing_people
def list_people() -> ResponseReturnValue:
    """List who is in the organisation."""
    return page("admin/people.html", **_people(), **NOTHING)


@blueprint.post("/people/<user_id>/role")
@access.managing_people
def change_role(user_id: str) -> ResponseReturnValue:
    """Give somebody another role."""
    people.change_role(by=auth.actor(), public_id=user_id, role=request.form.get("role", ""))
    return redirect(url_for("admin.people"), 303)


@blueprint.post("/people/<user_id>/remove")
@access.managing_people
def remove_person(user_id: str) -> ResponseReturnValue:
    """Take somebody out of the organisation, or leave it."""
    left = user_id == auth.identity().user.public_id
    for session_id in people.remove(by=auth.actor(), public_id=user_id):
        hub().close_session(session_id)
    return redirect(url_for("generator.home" if left else "admin.people"), 303)


@blueprint.post("/people/<user_id>/reset-link")
@access.managing_people
def make_reset_link(user_id: str) -> ResponseReturnValue:
    """Make a link to a new password and show it, this once."""
    user, secret = people.reset_link(by=auth.actor(), public_id=user_id)
    delivered = deliver_reset(user, secret)
    return page("admin/people.html", **_people(), **delivered)


def _people() -> dict[str, Any]:
    who = auth.identity()
    members = people.members(organisation_id=who.organisation.id)
    return {"people": [_person(member) for member in members], "role_notes": _role_notes()}


def _person(member: Member) -> dict[str, Any]:
    who, by, user = auth.identity(), auth.actor(), member.user
    mine = roles_given_by(by.role)
    role, self = member.membership.role, user.id == who.user.id
    changeable = role in mine and not self
    return {
        "id": user.public_id,
        "name": user.name,
        "email": user.email,
        "role": said(ROLE_NAMES[role]),
        "roles": [(each, said(ROLE_NAMES[each]), each == role) for each in mine] if changeable else [],
        "self": self,
        "enabled": user.enabled,
        "operator": user.is_operator and who.is_operator,
        "removable": changeable or self,
        "resettable": not self and user.enabled and people.may_reset(by, member),
    }


def _role_notes() -> list[tuple[str, str]]:
    return [(said(ROLE_NAMES[role]), said(note)) for role, note in _ROLE_NOTES.items()]


_ROLE_NOTES = {
    "owner": N_("Everything, and the only one to name other owners."),
    "admin": N_("Everything but owners: people, settings, the audit log."),
    "editor": N_("Makes and organises pictures."),
    "approver": N_("Sees everything and approves it."),
    "viewer": N_("Sees everything."),
}
