"""What the pages about one's own account show."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import format_date, gettext, ngettext

from imagegen.core.clock import now
from imagegen.core.text import N_
from imagegen.models import Session
from imagegen.services import accounts, organisations
from imagegen.services import sessions as signed_in
from imagegen.web import browsers, contexts, words
from imagegen.web.auth import identity
from imagegen.web.language import LANGUAGES, said

LIFETIMES = (30, 90, 365)
"""How many days a token may live."""

THEME_NAMES = {"system": N_("As this device has it"), "light": N_("Light"), "dark": N_("Dark")}


def tokens(
    *,
    name: str = "",
    days: int = LIFETIMES[-1],
    scopes: tuple[str, ...] = ("read", "write"),
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
                {"value": value, "label": said(label), "note": said(note), "chosen": value in scopes}
                for value, (label, note) in words.SCOPES.items()
            ],
            "lifetimes": [
                {"value": value, "label": ngettext("%(num)s day", "%(num)s days", value), "chosen": value == days}
                for value in LIFETIMES
            ],
        },
    }


def profile(form: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what one can choose for oneself; `form` is what was sent, if it has to be corrected."""
    who = identity()
    form = form or {
        "name": who.user.name,
        "language": who.user.language or "",
        "time_zone": who.user.time_zone or "",
        "theme": who.user.theme,
    }
    return {
        "form": form,
        "email": who.user.email,
        "organisation": who.organisation.name,
        "languages": list(LANGUAGES.items()),
        "time_zones": organisations.time_zones(),
        "organisation_zone": who.organisation.time_zone,
        "themes": [
            {"value": value, "label": said(label), "chosen": value == form["theme"]}
            for value, label in THEME_NAMES.items()
        ],
    }


def sessions() -> dict[str, Any]:
    """Return where the person is signed in."""
    who = identity()
    here = who.session.id if who.session is not None else None
    rows = [_session(row, here=row.id == here) for row in signed_in.sessions_of(user_id=who.user.id)]
    return {"sessions": sorted(rows, key=lambda row: not row["here"])}


def _session(row: Session, *, here: bool) -> dict[str, Any]:
    return {
        "browser": browsers.in_words(row.browser),
        "address": row.address,
        "seen": contexts.ago(now() if here else row.seen_at),
        "since": format_date(row.created_at),
        "here": here,
        "end_url": url_for("accounts.end_session", session_id=row.public_id),
    }


def _token(row: Any) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "name": row.name,
        "scopes": ", ".join(words.scope(name) for name in row.scopes),
        "created": format_date(row.created_at),
        "expires": format_date(row.expires_at),
        "last_used": contexts.ago(row.used_at) if row.used_at else gettext("never"),
        "ended": "" if row.alive else gettext("expired"),
        "revoke_url": url_for("accounts.revoke_token", token_id=row.public_id),
    }
