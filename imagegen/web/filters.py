"""What templates may call beside Jinja's own."""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import Any

from flask import Flask, g, request
from flask_babel import format_date, format_datetime, format_decimal, get_locale

from imagegen.core.text import N_
from imagegen.models.users import THEMES
from imagegen.services import accounts
from imagegen.services.rights import Right
from imagegen.web import budget_words, contexts, readers
from imagegen.web.language import said

ROLE_NAMES: dict[str, str] = {
    "owner": N_("Owner"),
    "admin": N_("Admin"),
    "editor": N_("Editor"),
    "approver": N_("Approver"),
    "viewer": N_("Viewer"),
}


def init_app(app: Flask) -> None:
    """Give every page its frame, and templates a few filters."""
    app.context_processor(_frame)
    app.jinja_env.filters.update(
        ago=contexts.ago,
        price=contexts.price,
        seconds=contexts.seconds,
        day=_day,
        moment=_moment,
        number=format_decimal,
    )


def _day(value: Any) -> str:
    return format_date(value, "long")


def _moment(value: Any) -> str:
    return format_datetime(value, "medium")


def _frame() -> dict[str, Any]:
    return {
        "theme": _theme(),
        "locale": str(get_locale() or "en"),
        "shell": _Shell(),
    }


def _theme() -> str:
    """Return what this browser was told, else what the person has chosen in their profile."""
    told, identity = request.cookies.get("theme", ""), g.get("identity")
    if told in THEMES:
        return told
    return identity.theme if identity is not None else "system"


class _Shell:
    """The frame of a page, read from the database where a page draws it, once: partials do not draw it."""

    @cached_property
    def person(self) -> dict[str, str]:
        identity = g.identity
        return {
            "name": identity.user.name,
            "email": identity.user.email,
            "role": said(ROLE_NAMES[identity.role]),
        }

    @cached_property
    def organisation(self) -> dict[str, Any]:
        return _place(g.identity.organisation, g.identity.role)

    @cached_property
    def organisations(self) -> list[dict[str, Any]]:
        mine = accounts.memberships_of(user_id=g.identity.user.id)
        return [_place(membership.organisation, membership.role) for membership in mine]

    @cached_property
    def jobs(self) -> dict[str, Any]:
        return contexts.jobs_ring(user_id=g.identity.user.id)

    @cached_property
    def budget(self) -> dict[str, Any] | None:
        return budget_words.meter(organisation_id=g.identity.organisation.id, user_id=g.identity.user.id)

    @cached_property
    def may_organise(self) -> bool:
        return readers.may(Right.ORGANISE)

    @cached_property
    def may_create(self) -> bool:
        return readers.may(Right.CREATE)

    @cached_property
    def after(self) -> int:
        # Of the same snapshot as all that the page shows.
        return int(g.identity.organisation.event_seq)


def _place(organisation: Any, role: str) -> dict[str, Any]:
    return {
        "id": organisation.public_id,
        "name": organisation.name,
        "role": said(ROLE_NAMES[role]),
        "hue": zlib.crc32(organisation.public_id.encode()) % 360,
    }
