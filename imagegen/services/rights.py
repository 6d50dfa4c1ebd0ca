"""What each role may do in its organisation: the one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Right(StrEnum):
    """Something that a person may or may not do."""

    VIEW = "view"
    CREATE = "create"
    ORGANISE = "organise"


_ALL = frozenset(Right)

RIGHTS: Mapping[str, frozenset[Right]] = {
    "owner": _ALL,
    "admin": _ALL,
    "editor": frozenset({Right.VIEW, Right.CREATE, Right.ORGANISE}),
    "approver": frozenset({Right.VIEW}),
    "viewer": frozenset({Right.VIEW}),
}

SCOPES: Mapping[str, frozenset[Right]] = {
    "read": frozenset({Right.VIEW}),
    "write": frozenset({Right.VIEW, Right.CREATE, Right.ORGANISE}),
    "admin": _ALL,
}
"""What a token's scope lets through; a token never gives more than its person's role."""


def rights_of(role: str) -> frozenset[Right]:
    """Return the rights of `role`; none for a role that does not exist."""
    return RIGHTS.get(role, frozenset())
