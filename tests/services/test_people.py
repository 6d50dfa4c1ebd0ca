"""Who may change whom."""

from __future__ import annotations

import pytest

from imagegen.core.errors import Conflict, Forbidden, NotFound, StudioError
from imagegen.extensions import db
from imagegen.models import Membership, User, unit_of_work
from imagegen.services import accounts, people
from imagegen.services.audit import COMMAND_LINE, Actor
from tests.conftest import MakePerson, Person


def _actor(person: Person) -> Actor:
    membership = accounts.membership_of(user_id=person.user.id, organisation_id=person.organisation.id)
    assert membership is not None
    user = db.session.get_one(User, person.user.id)
    return Actor(
        user_id=user.id,
        organisation_id=person.organisation.id,
        role=membership.role,
        is_operator=user.is_operator,
    )


def _role(person: Person) -> str | None:
    membership = accounts.membership_of(user_id=person.user.id, organisation_id=person.organisation.id)
    return membership.role if membership is not None else None


@pytest.fixture
def ada(ann: Person, make_person: MakePerson) -> Person:
    """An admin in Ann's organisation."""
    return make_person("ada@one.example", "One", role="admin")


@pytest.fixture
def eve(ann: Person, make_person: MakePerson) -> Person:
    """An editor in Ann's organisation."""
    return make_person("eve@one.example", "One", role="editor")


def test_an_admin_changes_the_role_of_whoever_is_no_owner(ada: Person, eve: Person) -> None:
    people.change_role(by=_actor(ada), public_id=eve.user.public_id, role="approver")
    assert _role(eve) == "approver"


def test_an_admin_makes_nobody_an_owner(ada: Person, eve: Person) -> None:
    with pytest.raises(Forbidden):
        people.change_role(by=_actor(ada), public_id=eve.user.public_id, role="owner")
    assert _role(eve) == "editor"


def test_an_admin_neither_changes_nor_removes_an_owner(ada: Person, ann: Person) -> None:
    with pytest.raises(Forbidden):
        people.change_role(by=_actor(ada), public_id=ann.user.public_id, role="viewer")
    with pytest.raises(Forbidden):
        people.remove(by=_actor(ada), public_id=ann.user.public_id)
    assert _role(ann) == "owner"


@pytest.mark.parametrize("role", ["owner", "admin", "viewer"])
def test_nobody_changes_their_own_role(ada: Person, role: str) -> None:
    with pytest.raises(Forbidden):
        people.change_role(by=_actor(ada), public_id=ada.user.public_id, role=role)
    assert _role(ada) == "admin"


def test_an_owner_makes_another_owner_who_may_then_change_the_first(ann: Person, eve: Person) -> None:
    people.change_role(by=_actor(ann), public_id=eve.user.public_id, role="owner")
    people.change_role(by=_actor(eve), public_id=ann.user.public_id, role="viewer")
    assert (_role(eve), _role(ann)) == ("owner", "viewer")


def test_the_last_owner_does_not_leave(ann: Person, eve: Person) -> None:
    with pytest.raises(Conflict):
        people.remove(by=_actor(ann), public_id=ann.user.public_id)
    assert _role(ann) == "owner"


def test_an_owner_whose_account_is_off_does_not_count_as_the_other_owner(ann: Person, eve: Person) -> None:
    people.change_role(by=_actor(ann), public_id=eve.user.public_id, role="owner")
    people.set_enabled(by=COMMAND_LINE, email="eve@one.example", enabled=False)
    with pytest.raises(Conflict):
        people.remove(by=_actor(ann), public_id=ann.user.public_id)


def test_anybody_may_leave(eve: Person) -> None:
    people.remove(by=_actor(eve), public_id=eve.user.public_id)
    assert _role(eve) is None


def test_whoever_is_removed_is_out_at_once_with_their_tokens(ann: Person, eve: Person) -> None:
    token = eve.token()
    people.remove(by=_actor(ann), public_id=eve.user.public_id)
    assert accounts.token_of(token) is None
    assert eve.client.get("/generate").status_code == 302


def test_a_person_of_another_organisation_is_not_found(ann: Person, make_person: MakePerson) -> None:
    ben = make_person("ben@two.example", "Two")
    for act in (people.remove, people.reset_link):
        with pytest.raises(NotFound):
            act(by=_actor(ann), public_id=ben.user.public_id)


def test_a_role_that_does_not_exist_is_refused(ann: Person, eve: Person) -> None:
    with pytest.raises(StudioError):
        people.change_role(by=_actor(ann), public_id=eve.user.public_id, role="root")


def test_an_admin_makes_a_reset_link_for_an_editor_and_not_for_an_owner(
    ada: Person, eve: Person, ann: Person
) -> None:
    assert people.reset_link(by=_actor(ada), public_id=eve.user.public_id)
    with pytest.raises(Forbidden):
        people.reset_link(by=_actor(ada), public_id=ann.user.public_id)


def test_a_reset_link_for_somebody_in_two_organisations_is_for_operators(
    ann: Person, eve: Person, make_person: MakePerson
) -> None:
    ben = make_person("ben@two.example", "Two")
    _join(eve, ben)
    with pytest.raises(Forbidden):
        people.reset_link(by=_actor(ann), public_id=eve.user.public_id)
    people.set_operator(by=COMMAND_LINE, email="ann@one.example", operator=True)
    assert people.reset_link(by=_actor(ann), public_id=eve.user.public_id)


def _join(person: Person, other: Person) -> None:
    with unit_of_work() as uow:
        uow.add(Membership(user_id=person.user.id, organisation_id=other.organisation.id, role="viewer"))


def test_an_owner_makes_no_reset_link_for_an_operator(ann: Person, eve: Person) -> None:
    people.set_operator(by=COMMAND_LINE, email="eve@one.example", operator=True)
    with pytest.raises(Forbidden):
        people.reset_link(by=_actor(ann), public_id=eve.user.public_id)


def test_the_last_operator_stays_one_and_stays_on(ann: Person, eve: Person) -> None:
    people.set_operator(by=COMMAND_LINE, email="ann@one.example", operator=True)
    with pytest.raises(Conflict):
        people.set_operator(by=COMMAND_LINE, email="ann@one.example", operator=False)
    with pytest.raises(Conflict):
        people.set_enabled(by=COMMAND_LINE, email="ann@one.example", enabled=False)
    people.set_operator(by=COMMAND_LINE, email="eve@one.example", operator=True)
    people.set_operator(by=COMMAND_LINE, email="ann@one.example", operator=False)
    assert [user.email for user in people.operators()] == ["eve@one.example"]


def test_an_account_that_is_off_opens_nothing_until_it_is_on_again(ann: Person, eve: Person) -> None:
    token = eve.token()
    people.set_enabled(by=COMMAND_LINE, email="eve@one.example", enabled=False)
    assert accounts.token_of(token) is None
    assert eve.client.get("/generate").status_code == 302
    people.set_enabled(by=COMMAND_LINE, email="eve@one.example", enabled=True)
    assert accounts.token_of(token) is not None
    assert eve.client.get("/generate").status_code == 302, "its sessions stay ended"
