"""What each role may do: the table, spelled out a second time so that a change has to be meant."""

from __future__ import annotations

import pytest

from imagegen.models.users import ROLES
from imagegen.services.rights import RIGHTS, SCOPES, Right, rights_of, roles_given_by

EXPECTED = {
    "owner": "view create organise approve manage_people manage_organisation read_audit view_usage manage_budgets "
    "manage_owners",
    "admin": "view create organise approve manage_people manage_organisation read_audit view_usage manage_budgets",
    "editor": "view create organise",
    "approver": "view approve",
    "viewer": "view",
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_exactly_what_the_table_says(role: str) -> None:
    assert {str(right) for right in RIGHTS[role]} == set(EXPECTED[role].split())


def test_every_right_is_somebodys() -> None:
    assert frozenset().union(*RIGHTS.values()) == set(Right)


def test_a_role_that_does_not_exist_may_do_nothing() -> None:
    assert rights_of("root") == frozenset()


def test_each_scope_lets_more_through_than_the_one_before() -> None:
    assert SCOPES["read"] < SCOPES["write"] < SCOPES["admin"] == set(Right)


@pytest.mark.parametrize(
    ("role", "given"),
    [
        ("owner", set(ROLES)),
        ("admin", set(ROLES) - {"owner"}),
        ("editor", set()),
        ("approver", set()),
        ("viewer", set()),
    ],
)
def test_who_may_give_which_role(role: str, given: set[str]) -> None:
    assert set(roles_given_by(role)) == given
