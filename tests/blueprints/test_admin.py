"""The administration's pages: who sees which, and what they do."""

from __future__ import annotations

import csv
import io

import pytest
from flask import Flask

from imagegen.blueprints.admin import audit_words
from imagegen.extensions import db
from imagegen.models import Organisation, User
from imagegen.models.audit import Action
from imagegen.services import accounts, people
from imagegen.services.audit import COMMAND_LINE
from imagegen.web import sheets
from tests.conftest import MakePerson, Person

IN_ORGANISATION = ("/admin/people", "/admin/invitations", "/admin/organisation", "/admin/audit", "/admin/audit.csv")
INSTALLATION = (
    "/admin/organisations",
    "/admin/operators",
    "/admin/installation/audit",
    "/admin/installation/audit.csv",
)


@pytest.fixture
def otto(ann: Person, make_person: MakePerson) -> Person:
    """A viewer in Ann's organisation who is an operator."""
    person = make_person("otto@one.example", "One", role="viewer")
    people.set_operator(by=COMMAND_LINE, email="otto@one.example", operator=True)
    return person


@pytest.mark.parametrize("path", IN_ORGANISATION)
@pytest.mark.parametrize(
    ("role", "status"), [("owner", 200), ("admin", 200), ("editor", 403), ("approver", 403), ("viewer", 403)]
)
def test_an_organisations_pages_are_for_owners_and_admins(
    make_person: MakePerson, path: str, role: str, status: int
) -> None:
    assert make_person(role=role).client.get(path).status_code == status


@pytest.mark.parametrize("path", INSTALLATION)
def test_the_installations_pages_are_for_operators_whatever_their_role(ann: Person, otto: Person, path: str) -> None:
    assert ann.client.get(path).status_code == 403
    assert otto.client.get(path).status_code == 200


@pytest.mark.parametrize("path", IN_ORGANISATION)
def test_an_operator_sees_no_organisations_pages_for_that(otto: Person, path: str) -> None:
    assert otto.client.get(path).status_code == 403


def test_the_first_address_leads_to_what_one_may_see(ann: Person, otto: Person, eve: Person) -> None:
    assert ann.client.get("/admin").headers["Location"] == "/admin/people"
    assert otto.client.get("/admin").headers["Location"] == "/admin/organisations"
    assert eve.client.get("/admin").status_code == 403


def test_whoever_may_not_gets_a_page_with_a_way_out(eve: Person) -> None:
    page = eve.client.get("/admin/people").text
    assert "Your role in this organisation does not allow this." in page and 'href="/"' in page


def test_a_role_is_changed_by_the_form(ann: Person, eve: Person) -> None:
    assert ann.post(f"/admin/people/{eve.user.public_id}/role", role="approver").status_code == 303
    assert eve.post("/admin/organisation", name="Mine").status_code == 403
    assert "Approver" in ann.client.get("/admin/people").text


def test_the_page_offers_no_change_that_would_be_refused(ann: Person, make_person: MakePerson) -> None:
    ada = make_person("ada@one.example", "One", role="admin")
    page = ada.client.get("/admin/people").text
    assert f"/admin/people/{ann.user.public_id}/" not in page
    assert f"/admin/people/{ada.user.public_id}/role" not in page
    assert 'value="owner"' not in page


def test_a_link_to_a_new_password_is_shown_once(app: Flask, ann: Person, eve: Person) -> None:
    page = ann.post(f"/admin/people/{eve.user.public_id}/reset-link").text
    assert "/reset-password/" in page
    assert "/reset-password/" not in ann.client.get("/admin/people").text


def test_people_of_another_organisation_are_not_there(ann: Person, ben: Person) -> None:
    assert ben.user.email not in ann.client.get("/admin/people").text
    for act in ("role", "remove", "reset-link"):
        assert ann.post(f"/admin/people/{ben.user.public_id}/{act}", role="viewer").status_code == 404


def test_settings_of_the_organisation_hold_for_whoever_chose_nothing(ann: Person) -> None:
    assert ann.post("/admin/organisation", name="Uno", time_zone="Asia/Tokyo", language="en").status_code == 303
    db.session.rollback()
    place = db.session.get_one(Organisation, ann.organisation.id)
    assert (place.name, place.time_zone, place.language) == ("Uno", "Asia/Tokyo", "en")
    assert "As Uno has it: Asia/Tokyo" in ann.client.get("/settings/profile").text
    assert "name: One → Uno" in ann.client.get("/admin/audit").text


def test_a_zone_that_does_not_exist_is_refused(ann: Person) -> None:
    assert ann.post("/admin/organisation", name="Uno", time_zone="Moon/Base", language="").status_code == 422


def test_an_operator_makes_an_organisation_for_a_first_owner_and_is_not_in_it(otto: Person) -> None:
    page = otto.post("/admin/organisations", name="Three", owner="cleo@three.example").text
    assert "/invitation/" in page and "Three" in page
    db.session.rollback()
    assert [each.organisation.name for each in accounts.memberships_of(user_id=otto.user.id)] == ["One"]


def test_what_is_wrong_with_a_new_organisation_is_said_and_none_is_made(otto: Person) -> None:
    answer = otto.post("/admin/organisations", name="Three", owner="nobody")
    assert answer.status_code == 422 and "That is not an e-mail address." in answer.text
    assert ">Three</td>" not in otto.client.get("/admin/organisations").text


def test_operators_make_operators(otto: Person, eve: Person) -> None:
    assert otto.post("/admin/operators", email="eve@one.example", operator="1").status_code == 303
    assert eve.client.get("/admin/operators").status_code == 200
    assert eve.post("/admin/operators", email="otto@one.example", operator="0").status_code == 303
    assert otto.client.get("/admin/operators").status_code == 403
    assert eve.post("/admin/operators", email="eve@one.example", operator="0").status_code == 409


def test_nobody_makes_themselves_an_operator(ann: Person) -> None:
    assert ann.post("/admin/operators", email="ann@one.example", operator="1").status_code == 403
    db.session.rollback()
    assert not db.session.get_one(User, ann.user.id).is_operator


def test_the_log_is_filtered_and_says_when_nothing_is_like_that(ann: Person) -> None:
    ann.token()
    page = ann.client.get("/admin/audit?action=token_made").text
    assert page.count("Made an API token") == 2, "in the list, and in the filter"
    assert "Nothing like that" in ann.client.get("/admin/audit?from=2100-01-01").text
    assert ann.client.get("/admin/audit?from=yesterday").status_code == 422
    assert ann.client.get("/admin/audit?action=root").status_code == 422
    assert ann.client.get("/admin/audit?cursor=nonsense").status_code == 422


def test_every_act_has_words() -> None:
    assert set(audit_words.ACTIONS) == set(Action)


def test_the_export_has_what_the_filters_show(ann: Person) -> None:
    ann.token()
    answer = ann.client.get("/admin/audit.csv?action=token_made")
    assert answer.mimetype == "text/csv" and "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["action"], row["person"]) for row in rows] == [("token_made", "ann@one.example")]


def test_the_installations_export_has_all_organisations_and_ones_own_only_that_one(otto: Person, ben: Person) -> None:
    everywhere = otto.client.get("/admin/installation/audit.csv").text
    assert "ben@two.example" in everywhere and "ann@one.example" in everywhere
    assert "ann@one.example" not in ben.client.get("/admin/audit.csv").text


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\0=1"])
def test_no_cell_is_a_formula(value: str) -> None:
    assert sheets.cell(value).startswith("'")


def test_cells_are_quoted_as_the_format_has_it() -> None:
    table = "".join(sheets.lines(("a", "b"), [('x "y"', "1,2\n3")]))
    assert table == 'a,b\r\n"x ""y""","1,2\n3"\r\n'
