"""What the pages about one's own account show."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import format_date, gettext, ngettext

from imagegen.core.text import N_
from imagegen.services import accounts
from imagegen.web import contexts
from imagegen.web.auth import identity
from imagegen.web.language import said

LIFETIMES = (30, 90, 365)
"""How many days a token may live."""

SCOPE_NOTES: dict[str, tuple[str, str]] = {
    "read": (N_("Read"), N_("See pictures and jobs.")),
    "write": (N_("Write"), N_("Generate, star and change.")),
    "admin": (N_("Admin"), N_("Everything that your role allows.")),
}


def tokens(
    *,
    name: str = "",
    days: int = LIFETIMES[-1],
    errors: dict[str, str] | None = None,
    fresh: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return the page of tokens; `fresh` is the one just made, whose secret is shown this once."""
    who = identity()
    rows = accounts.tokens_of(user_id=who.user.id, organisation_id=who.organisation.id)
    return {
        "tokens": [_token(row) for row in rows],
        "fresh": fresh,
        "errors": errors or {},
        "form": {
            "name": name,
            "days": days,
            "scopes": [
                {"value": value, "label": said(label), "note": said(note), "chosen": value != "admin"}
                for value, (label, note) in SCOPE_NOTES.items()
            ],
            "lifetimes": [
                {"value": value, "label": ngettext("%(num)s day", "%(num)s days", value), "chosen": value == days}
                for value in LIFETIMES
            ],
        },
    }


def _token(row: Any) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "name": row.name,
        "scopes": ", ".join(row.scopes),
        "created": format_date(row.created_at),
        "expires": format_date(row.expires_at),
        "last_used": contexts.ago(row.used_at) if row.used_at else gettext("never"),
        "ended": "" if row.alive else gettext("expired"),
        "revoke_url": url_for("accounts.revoke_token", token_id=row.public_id),
    }
