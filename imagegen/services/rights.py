"""What each role may do in its organisation: the one table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from imagegen.models.users import ROLES


class Right(StrEnum):
    """Something that a person may or may not do in an organisation."""

    VIEW = "view"
    CREATE = "create"
    ORGANISE = "organise"
    APPROVE = "approve"
    MANAGE_PEOPLE = "manage_people"
    MANAGE_ORGANISATION = "manage_organisation"
    READ_AUDIT = "read_audit"
    VIEW_USAGE = "view_usage"
    MANAGE_BUDGETS = "manage_budgets"
    MANAGE_OWNERS = "manage_owners"


_YES, _NO = True, False

_TABLE: Mapping[Right, tuple[bool, ...]] = {
    #                           owner admin editor approver viewer
    Right.VIEW:                (_YES, _YES, _YES,  _YES,    _YES),
    Right.CREATE:              (_YES, _YES, _YES,  _NO,     _NO),
    Right.ORGANISE:            (_YES, _YES, _YES,  _NO,     _NO),
    Right.APPROVE:             (_YES, _YES, _NO,   _YES,    _NO),
    Right.MANAGE_PEOPLE:       (_YES, _YES, _NO,   _NO,     _NO),
    Right.MANAGE_ORGANISATION: (_YES, _YES, _NO,   _NO,     _NO),
    Right.READ_AUDIT:          (_YES, _YES, _NO,   _NO,     _NO),
    Right.VIEW_USAGE:          (_YES, _YES, _NO,   _NO,     _NO),
    Right.MANAGE_BUDGETS:      (_YES, _YES, _NO,   _NO,     _NO),
    Right.MANAGE_OWNERS:       (_YES, _NO,  _NO,   _NO,     _NO),
}  # fmt: skip

RIGHTS: Mapping[str, frozenset[Right]] = {
    role: frozenset(right for right, row in _TABLE.items() if row[column]) for column, role in enumerate(ROLES)
}

SCOPES: Mapping[str, frozenset[Right]] = {
    "read": frozenset({Right.VIEW, Right.VIEW_USAGE}),
    "write": frozenset({Right.VIEW, Right.VIEW_USAGE, Right.CREATE, Right.ORGANISE, Right.APPROVE}),
    "admin": frozenset(Right),
}
"""What a token's scope lets through; a token never gives more than its person's role."""


def rights_of(role: str) -> frozenset[Right]:
    """Return the rights of `role`; none for a role that does not exist."""
    return RIGHTS.get(role, frozenset())


def roles_given_by(role: str) -> tuple[str, ...]:
    """Return the roles that somebody with `role` may give to others, and take from them."""
    rights = rights_of(role)
    if Right.MANAGE_PEOPLE not in rights:
        return ()
    return ROLES if Right.MANAGE_OWNERS in rights else tuple(each for each in ROLES if each != "owner")
