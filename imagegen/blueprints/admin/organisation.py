"""The organisation's own settings."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.admin.blueprint import blueprint
from imagegen.core.errors import StudioError
from imagegen.services import organisations
from imagegen.web import access, auth
from imagegen.web.htmx import page
from imagegen.web.language import LANGUAGES, said


@blueprint.get("/organisation", endpoint="organisation")
@access.managing_organisation
def show_organisation() -> ResponseReturnValue:
    """Show the settings."""
    place = auth.identity().organisation
    form = {"name": place.name, "time_zone": place.time_zone, "language": place.language or ""}
    return _form(form, {}, saved="saved" in request.args)


@blueprint.post("/organisation", endpoint="change_organisation")
@access.managing_organisation
def change_organisation() -> ResponseReturnValue:
    """Keep name, time zone and language."""
    form = {field: request.form.get(field, "") for field in ("name", "time_zone", "language")}
    language = form["language"] if form["language"] in LANGUAGES else None
    try:
        organisations.change(by=auth.actor(), name=form["name"], time_zone=form["time_zone"], language=language)
    except StudioError as error:
        return _form(form, {error.field or "": said(error.message)}, status=error.status)
    return redirect(url_for("admin.organisation", saved=1), 303)


def _form(
    form: dict[str, str], errors: dict[str, str], *, saved: bool = False, status: int = 200
) -> ResponseReturnValue:
    return page(
        "admin/organisation.html",
        status=status,
        form=form,
        errors=errors,
        saved=saved,
        languages=list(LANGUAGES.items()),
        time_zones=organisations.time_zones(),
    )
