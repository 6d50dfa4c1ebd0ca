"""Where the person is signed in."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.accounts import contexts
from imagegen.blueprints.accounts.blueprint import blueprint
from imagegen.services import sessions
from imagegen.web import access, auth
from imagegen.web.htmx import page
from imagegen.web.sse import hub


@blueprint.get("/settings/sessions", endpoint="sessions")
@access.person
def index() -> ResponseReturnValue:
    """List the browsers in which the person is signed in."""
    return page("accounts/sessions.html", ended="ended" in request.args, **contexts.sessions())


@blueprint.post("/settings/sessions/<session_id>/end", endpoint="end_session")
@access.person
def end_session(session_id: str) -> ResponseReturnValue:
    """Sign one of them out, with its streams."""
    hub().close_session(sessions.end(by=auth.actor(), public_id=session_id))
    return redirect(url_for("accounts.sessions", ended=1), 303)


@blueprint.post("/settings/sessions/end-others", endpoint="end_other_sessions")
@access.person
def end_other_sessions() -> ResponseReturnValue:
    """Sign out everywhere but here."""
    row = auth.current_session()
    for session_id in sessions.end_others(by=auth.actor(), session_id=row.id if row is not None else None):
        hub().close_session(session_id)
    return redirect(url_for("accounts.sessions", ended=1), 303)
