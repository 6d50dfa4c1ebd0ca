"""Who may go on listening: asked for many streams at once, for one by one they would keep a full server busy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sqlalchemy import select

from imagegen.extensions import db
from imagegen.models import ApiToken
from imagegen.services import accounts
from imagegen.services.rights import Right, rights_of


class Listener(Protocol):
    """Whose a stream is, and with what rights it was opened."""

    organisation_id: int
    user_id: int
    session_id: int | None
    token_id: int | None
    rights: frozenset[Right]


L = TypeVar("L", bound=Listener)


def refused(listeners: Sequence[L]) -> list[L]:
    """Return those whose session or token opens nothing now, or who are not in the organisation as they were.

    A page that was drawn for another role offers what is refused now, or hides what is not: it has to load anew.
    """
    roles = accounts.roles_now([(one.user_id, one.organisation_id, one.session_id) for one in listeners])
    ids = {one.token_id for one in listeners if one.token_id is not None}
    tokens = db.session.scalars(select(ApiToken).where(ApiToken.id.in_(ids))) if ids else ()
    alive = {token.id for token in tokens if token.alive}

    def may_listen(one: L) -> bool:
        role = roles.get((one.user_id, one.organisation_id, one.session_id))
        if one.token_id is not None:
            return role is not None and one.token_id in alive
        return role is not None and rights_of(role) == one.rights

    return [one for one in listeners if not may_listen(one)]
