"""What belongs to the whole installation: its organisations and its operators. For operators alone."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date

from imagegen.blueprints.admin.blueprint import blueprint
from imagegen.blueprints.admin.delivery import NOTHING, deliver_invitation
from imagegen.core.errors import StudioError
from imagegen.services import organisations, people
from imagegen.web import access, auth
from imagegen.web.htmx import page
from imagegen.web.language import said


@blueprint.get("/organisations", endpoint="organisations")
@access.operating
def list_organisations() -> ResponseReturnValue:
    """List all organisations, with a form for another."""
    return page("admin/organisations.html", **_organisations(), **NOTHING)


@blueprint.post("/organisations", endpoint="make_organisation")
@access.operating
def make_organisation() -> ResponseReturnValue:
    """Make an organisation and invite its first owner."""
    form = {"name": request.form.get("name", ""), "owner": request.form.get("owner", "")}
    try:
        handed = organisations.make(by=auth.actor(), **form)
    except StudioError as error:
        field = "owner" if error.field == "email" else error.field or ""
        context = _organisations(form, {field: said(error.message)})
        return page("admin/organisations.html", status=error.status, **context, **NOTHING)
    delivered = deliver_invitation(handed)
    return page("admin/organisations.html", **_organisations(), **delivered)


def _organisations(form: dict[str, str] | None = None, errors: dict[str, str] | None = None) -> dict[str, Any]:
    rows = organisations.everywhere()
    return {
        "organisations": [
            {"name": place.name, "people": count, "since": format_date(place.created_at)} for place, count in rows
        ],
        "form": form or {"name": "", "owner": ""},
        "errors": errors or {},
    }


@blueprint.get("/operators", endpoint="operators")
@access.operating
def list_operators() -> ResponseReturnValue:
    """List the operators."""
    return page("admin/operators.html", **_operators())


@blueprint.post("/operators", endpoint="set_operator")
@access.operating
def set_operator() -> ResponseReturnValue:
    """Make somebody an operator (`operator=1`), or end it."""
    email = request.form.get("email", "")
    try:
        people.set_operator(by=auth.actor(), email=email, operator=request.form.get("operator") == "1")
    except StudioError as error:
        errors = {error.field or "": said(error.message)}
        return page("admin/operators.html", status=error.status, **_operators(email, errors))
    return redirect(url_for("admin.index" if email == auth.identity().user.email else "admin.operators"), 303)


def _operators(email: str = "", errors: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "operators": [
            {"name": user.name, "email": user.email, "enabled": user.enabled} for user in people.operators()
        ],
        "email": email,
        "errors": errors or {},
    }
