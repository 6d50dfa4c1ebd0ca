"""Invitations: by letter or by a link to hand over, for one address, once, for a week."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text, update

from imagegen.core.clock import now
from imagegen.extensions import db
from imagegen.models import Invitation, system_scope, unit_of_work
from imagegen.models.audit import Action
from imagegen.services import accounts, audit
from tests.conftest import PASSWORD, MakePerson, Person, csrf_of
from tests.fakes.smtp_server import SmtpServer

INVITED = "new@one.example"


def _link(html: str) -> str:
    """Return the path of the link that a page shows."""
    found = re.search(r'value="http://[^/"]+(/(?:invitation|reset-password)/[^"]+)"', html)
    assert found, "the page shows no link"
    return found[1]


def _invite(person: Person, email: str = INVITED, role: str = "editor") -> str:
    answer = person.post("/admin/invitations", email=email, role=role)
    assert answer.status_code == 200
    return _link(answer.text)


def _join(client: FlaskClient, path: str, **fields: str):
    return client.post(path, data=fields | {"csrf_token": csrf_of(client.get(path).text)})


def _role(email: str, person: Person) -> str | None:
    db.session.rollback()  # what requests have written since
    user = accounts.find_user(email=email)
    membership = accounts.membership_of(user_id=user.id, organisation_id=person.organisation.id)
    return membership.role if membership and membership.organisation_id == person.organisation.id else None


def test_without_letters_the_page_shows_the_link_once(ann: Person) -> None:
    path = _invite(ann)
    assert path not in ann.client.get("/admin/invitations").text
    assert INVITED in ann.client.get("/admin/invitations").text


def test_somebody_new_chooses_name_and_password_and_is_in(app: Flask, ann: Person) -> None:
    client = app.test_client()
    answer = _join(client, _invite(ann, role="approver"), name="Nora", password=PASSWORD)
    assert answer.status_code == 303
    assert _role(INVITED, ann) == "approver"
    assert client.get("/settings/profile").status_code == 200


def test_somebody_with_an_account_gives_its_password_and_begins_in_the_new_organisation(
    app: Flask, ann: Person, make_person: MakePerson
) -> None:
    make_person("ben@two.example", "Two")
    client = app.test_client()
    path = _invite(ann, "ben@two.example", "viewer")
    assert "You have an account here already" in client.get(path).text
    assert _join(client, path, password="not his password").status_code == 422
    assert _role("ben@two.example", ann) is None
    assert _join(client, path, password=PASSWORD).status_code == 303
    assert _role("ben@two.example", ann) == "viewer"
    assert "One" in client.get("/generate").text


def test_whoever_is_signed_in_joins_with_one_click(ann: Person, make_person: MakePerson) -> None:
    ben = make_person("ben@two.example", "Two")
    path = _invite(ann, "ben@two.example", "viewer")
    assert 'name="password"' not in ben.client.get(path).text
    assert _join(ben.client, path).status_code == 303
    assert _role("ben@two.example", ann) == "viewer"


def test_somebody_else_who_is_signed_in_does_not_join(ann: Person, make_person: MakePerson) -> None:
    ben = make_person("ben@two.example", "Two")
    path = _invite(ann)
    assert "signed in as somebody else" in ben.client.get(path).text
    assert _join(ben.client, path, name="Ben", password=PASSWORD).status_code == 409
    assert _role("ben@two.example", ann) is None


def test_a_link_works_once(app: Flask, ann: Person) -> None:
    path = _invite(ann)
    _join(app.test_client(), path, name="Nora", password=PASSWORD)
    assert app.test_client().get(path).status_code == 404


def test_a_link_ends_after_a_week(app: Flask, ann: Person) -> None:
    path = _invite(ann)
    with system_scope(), unit_of_work() as uow:
        row = uow.scalars(select(Invitation)).one()
        assert timedelta(days=6, hours=23) < row.expires_at - now() <= timedelta(days=7)
        uow.execute(update(Invitation).values(expires_at=now() - timedelta(seconds=1)))
    assert app.test_client().get(path).status_code == 404
    assert "is over" in ann.client.get("/admin/invitations").text


def _only_id() -> str:
    with system_scope():
        db.session.rollback()
        return db.session.scalars(select(Invitation.public_id).order_by(Invitation.id.desc())).first() or ""


def test_a_new_link_ends_the_old_one(app: Flask, ann: Person) -> None:
    old = _invite(ann)
    new = _link(ann.post(f"/admin/invitations/{_only_id()}/renew").text)
    assert app.test_client().get(old).status_code == 404
    assert app.test_client().get(new).status_code == 200


def test_a_second_invitation_for_an_address_ends_the_first(app: Flask, ann: Person) -> None:
    first, second = _invite(ann), _invite(ann, role="viewer")
    assert app.test_client().get(first).status_code == 404
    assert app.test_client().get(second).status_code == 200


def test_an_invitation_that_is_taken_back_opens_nothing(app: Flask, ann: Person) -> None:
    path = _invite(ann)
    assert ann.post(f"/admin/invitations/{_only_id()}/revoke").status_code == 303
    assert app.test_client().get(path).status_code == 404
    assert INVITED not in ann.client.get("/admin/invitations").text


def test_another_organisations_invitation_is_not_there(ann: Person, make_person: MakePerson) -> None:
    _invite(ann)
    ben = make_person("ben@two.example", "Two")
    assert INVITED not in ben.client.get("/admin/invitations").text
    for act in ("renew", "revoke"):
        assert ben.post(f"/admin/invitations/{_only_id()}/{act}").status_code == 404


def test_an_admin_invites_no_owner_and_renews_none(ann: Person, make_person: MakePerson) -> None:
    ada = make_person("ada@one.example", "One", role="admin")
    assert ada.post("/admin/invitations", email=INVITED, role="owner").status_code == 403
    _invite(ann, role="owner")
    assert ada.post(f"/admin/invitations/{_only_id()}/renew").status_code == 403


@pytest.mark.parametrize("role", ["editor", "approver", "viewer"])
def test_who_manages_no_people_invites_nobody(ann: Person, make_person: MakePerson, role: str) -> None:
    person = make_person("eve@one.example", "One", role=role)
    assert person.client.get("/admin/invitations").status_code == 403
    assert person.post("/admin/invitations", email=INVITED, role="viewer").status_code == 403


def test_what_is_wrong_in_the_form_is_said_there(ann: Person) -> None:
    assert "That is not an e-mail address." in ann.post("/admin/invitations", email="nobody", role="editor").text
    assert "Choose a role." in ann.post("/admin/invitations", email=INVITED, role="root").text
    assert (
        "in the organisation already" in ann.post("/admin/invitations", email="ann@one.example", role="editor").text
    )


def test_a_short_password_leaves_the_link_as_it_was(app: Flask, ann: Person) -> None:
    path, client = _invite(ann), app.test_client()
    answer = _join(client, path, name="Nora", password="short")
    assert answer.status_code == 422 and "at least 10 characters" in answer.text and 'value="Nora"' in answer.text
    assert _join(client, path, name="Nora", password=PASSWORD).status_code == 303


def test_the_form_makes_nobody_more_than_invited(app: Flask, ann: Person) -> None:
    _join(app.test_client(), _invite(ann), name="N", password=PASSWORD, role="owner", is_operator="1", email="x@y.z")
    assert _role(INVITED, ann) == "editor"
    assert not accounts.find_user(email=INVITED).is_operator


def test_the_secret_is_stored_nowhere(app: Flask, ann: Person) -> None:
    secret = _invite(ann).rsplit("/", 1)[1]
    with system_scope(), unit_of_work() as uow:
        rows = [str(row) for row in uow.execute(text("SELECT * FROM invitations"))]
        rows += [str(row) for row in uow.execute(text("SELECT * FROM audit_entries"))]
    assert rows and not any(secret in row for row in rows)


def test_inviting_and_joining_are_on_record(app: Flask, ann: Person) -> None:
    _join(app.test_client(), _invite(ann), name="Nora", password=PASSWORD)
    db.session.rollback()
    found = audit.entries(organisation_id=ann.organisation.id, wanted=audit.Filter()).items
    acts = {entry.row.action: (entry.actor, entry.target) for entry in found}
    assert acts[Action.PERSON_INVITED] == ("ann@one.example", INVITED)
    assert acts[Action.PERSON_JOINED] == (INVITED, INVITED)


class TestByLetter:
    @pytest.fixture
    def smtp(self) -> Iterator[SmtpServer]:
        with SmtpServer() as server:
            yield server

    @pytest.fixture
    def settings_values(self, smtp: SmtpServer) -> dict[str, object]:
        return {"smtp_url": smtp.url, "public_url": "http://studio.example", "mail_from": "studio@studio.example"}

    def test_the_letter_brings_the_link_and_the_page_does_not_show_it(
        self, app: Flask, ann: Person, smtp: SmtpServer
    ) -> None:
        page = ann.post("/admin/invitations", email=INVITED, role="editor").text
        letter = smtp.letter()
        assert (letter.sender, letter.to) == ("studio@studio.example", INVITED)
        assert letter.message["Subject"] == "Join One in Imagegen Studio"
        path = re.search(r"^http://studio\.example(/invitation/\S+)", letter.text, re.MULTILINE)
        assert path and path[1] not in page
        assert f"on its way to {INVITED}" in page
        assert app.test_client().get(path[1]).status_code == 200

    def test_names_bring_no_headers_and_no_markup_into_a_letter(
        self, make_person: MakePerson, smtp: SmtpServer
    ) -> None:
        person = make_person("ann@one.example", "One\r\nBcc: evil@evil.example <b>&")
        person.post("/admin/invitations", email=INVITED, role="editor")
        letter = smtp.letter()
        assert letter.message["Bcc"] is None
        assert letter.message.get_content_type() == "text/plain"
        assert "<b>&" in letter.message["Subject"]


class TestWhenTheServerForLettersRefuses:
    @pytest.fixture
    def settings_values(self) -> Iterator[dict[str, object]]:
        with SmtpServer(refuses=True) as server:
            yield {"smtp_url": server.url}

    def test_the_page_says_so_and_shows_the_link(self, app: Flask, ann: Person) -> None:
        answer = ann.post("/admin/invitations", email=INVITED, role="editor")
        assert "The letter could not be sent." in answer.text
        assert app.test_client().get(_link(answer.text)).status_code == 200
