"""The audit log: only added to, about one organisation, and without anybody's address in it."""

from __future__ import annotations

import json

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from imagegen.core.errors import StudioError
from imagegen.extensions import db
from imagegen.models import AuditEntry, organisation_scope, system_scope, unit_of_work
from imagegen.models.audit import Action
from imagegen.services import accounts, audit, passwords
from imagegen.services.audit import Actor, Filter
from tests.conftest import MakePerson, Person


def _log(person: Person, **wanted: object) -> list[audit.Entry]:
    page = audit.entries(organisation_id=person.organisation.id, wanted=Filter(**wanted))  # type: ignore[arg-type]
    return list(page.items)


def _actions(person: Person) -> list[str]:
    return [entry.row.action for entry in _log(person)]


def test_an_entry_can_be_neither_changed_nor_taken_out(ann: Person) -> None:
    for statement in ("UPDATE audit_entries SET action = 'signed_out'", "DELETE FROM audit_entries"):
        with pytest.raises(DBAPIError), unit_of_work() as uow:
            uow.execute(text(statement))
    assert Action.SIGNED_IN in _actions(ann)


def test_an_act_that_is_rolled_back_leaves_no_entry(ann: Person) -> None:
    before = _actions(ann)
    with pytest.raises(RuntimeError), unit_of_work() as uow:
        audit.record(uow, Action.ROLE_CHANGED, by=Actor(organisation_id=ann.organisation.id))
        raise RuntimeError
    assert _actions(ann) == before


def test_a_sign_in_says_who_and_from_where(ann: Person) -> None:
    entry = next(entry for entry in _log(ann) if entry.row.action == Action.SIGNED_IN)
    assert (entry.actor, entry.row.address) == ("ann@one.example", "127.0.0.1")


def test_a_failed_sign_in_names_the_account_that_was_tried(ann: Person) -> None:
    with pytest.raises(StudioError):
        passwords.authenticate(email="ann@one.example", password="wrong", address="192.0.2.7")
    entry = _log(ann)[0]
    assert (entry.row.action, entry.target, entry.actor) == (Action.SIGN_IN_FAILED, "ann@one.example", None)
    assert entry.row.address == "192.0.2.7"


def test_an_unknown_account_is_marked_the_same_each_time_and_not_named(ann: Person) -> None:
    for _ in range(2):
        with pytest.raises(StudioError):
            passwords.authenticate(email="Nobody@one.example", password="wrong", address="192.0.2.7")
    rows = list(audit.entries(organisation_id=None, wanted=Filter(action=Action.SIGN_IN_FAILED)).items)
    marks = {entry.row.facts["account"] for entry in rows}
    assert len(rows) == 2 and len(marks) == 1
    assert "nobody" not in json.dumps(list(marks)).lower()


def test_no_entry_holds_an_e_mail_address(ann: Person, make_person: MakePerson) -> None:
    make_person("eve@one.example", "One", role="editor")
    ann.token()
    with system_scope():
        rows = db.session.scalars(select(AuditEntry)).all()
    assert rows
    assert "@" not in json.dumps([[row.facts, row.address] for row in rows])


def test_an_organisations_log_shows_nothing_of_another(ann: Person, make_person: MakePerson) -> None:
    ben = make_person("ben@two.example", "Two")
    ben.token()
    assert Action.TOKEN_MADE in _actions(ben)
    assert Action.TOKEN_MADE not in _actions(ann)
    with organisation_scope(ann.organisation.id):
        rows = db.session.scalars(select(AuditEntry)).all()
    assert {row.organisation_id for row in rows} == {ann.organisation.id}


def test_the_whole_installations_log_has_every_organisation(ann: Person, make_person: MakePerson) -> None:
    make_person("ben@two.example", "Two")
    places = {entry.organisation for entry in audit.entries(organisation_id=None, wanted=Filter()).items}
    assert {"One", "Two"} <= places


def test_filters_by_person_and_by_action(ann: Person, make_person: MakePerson) -> None:
    eve = make_person("eve@one.example", "One", role="editor")
    eve.token()
    assert {entry.actor for entry in _log(ann, actor=eve.user.public_id)} == {"eve@one.example"}
    assert {entry.row.action for entry in _log(ann, action=Action.TOKEN_MADE)} == {Action.TOKEN_MADE}
    assert _log(ann, actor="nobody") == []


def test_filters_by_time_from_the_first_moment_to_before_the_last(ann: Person) -> None:
    moment = _log(ann)[0].row.created_at
    assert _log(ann, since=moment)
    assert all(entry.row.created_at < moment for entry in _log(ann, until=moment))


def test_pages_follow_each_other_without_a_gap_or_a_repetition(ann: Person) -> None:
    for _ in range(5):
        ann.token()
    whole = [entry.row.id for entry in _log(ann)]
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = audit.entries(organisation_id=ann.organisation.id, wanted=Filter(), cursor=cursor, limit=2)
        seen += [entry.row.id for entry in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == whole == sorted(whole, reverse=True)


def test_an_export_reads_all_batches(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_BATCH", 2)
    for _ in range(5):
        ann.token()
    rows = list(audit.all_entries(organisation_id=ann.organisation.id, wanted=Filter(action=Action.TOKEN_MADE)))
    assert len(rows) == 5


def test_the_first_person_and_their_organisation_are_on_record(app: Flask) -> None:
    accounts.set_up(email="ann@one.example", password="a long enough password", name="Ann", organisation="One")
    actions = {entry.row.action for entry in audit.entries(organisation_id=None, wanted=Filter()).items}
    assert {Action.ORGANISATION_MADE, Action.OPERATOR_MADE} <= actions


def test_what_commands_do_is_on_record_too(app: Flask) -> None:
    accounts.create_user(email="x@y.example", password="a long enough password", organisation="One", role="editor")
    entry = audit.entries(organisation_id=None, wanted=Filter(action=Action.PERSON_MADE)).items[0]
    assert (entry.row.address, entry.target, entry.row.facts) == ("command line", "x@y.example", {"role": "editor"})
