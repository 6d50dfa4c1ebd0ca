"""Ways in: the first person once, passwords without hints, sessions that end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from imagegen.core.clock import now
from imagegen.core.errors import Conflict, NotFound, StudioError
from imagegen.core.secrets import digest
from imagegen.extensions import db, in_app_context
from imagegen.models import Organisation, Session, User, unit_of_work
from imagegen.services import accounts, passwords, sessions
from tests.conftest import PASSWORD

HERE = {"address": "192.0.2.1", "browser": "A browser"}


@pytest.fixture
def ann(app: Flask) -> User:
    """A person who can sign in."""
    return accounts.create_user(email="ann@one.example", password=PASSWORD, organisation="One", role="editor")


@pytest.fixture
def hashings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that passwords are compared with, one for each comparison."""
    seen: list[str] = []

    class Watched(type(passwords._hasher)):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            seen.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_hasher", Watched(time_cost=1, memory_cost=8, parallelism=1))
    return seen


def session_of(secret: str) -> Session | None:
    """Return the live session with this secret."""
    found = sessions.signed_in(secret)
    return found[0] if found else None


def test_of_eight_who_set_the_studio_up_at_once_one_succeeds(app: Flask) -> None:
    start = threading.Barrier(8)

    def set_up(number: int) -> str:
        start.wait()
        try:
            accounts.set_up(email=f"p{number}@one.example", password=PASSWORD, name="", organisation="")
        except Conflict:
            return "refused"
        return "made"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(in_app_context(set_up), range(8)))

    assert outcomes == ["made"] + ["refused"] * 7
    db.session.rollback()
    assert db.session.scalar(select(func.count(User.id))) == 1
    assert db.session.scalar(select(func.count(Organisation.id))) == 1
    assert db.session.scalars(select(User.is_operator)).one()


def test_a_password_is_kept_as_an_argon2_hash_alone(ann: User) -> None:
    assert ann.password_hash.startswith("$argon2id$")
    assert PASSWORD not in ann.password_hash


def test_the_right_words_open_and_case_and_spaces_of_the_address_do_not_matter(ann: User) -> None:
    assert passwords.authenticate(email=" Ann@One.example ", password=PASSWORD, address="").id == ann.id


def test_a_wrong_password_an_unknown_and_a_disabled_person_look_the_same_and_take_the_same_work(
    ann: User, hashings: list[str]
) -> None:
    disabled = accounts.create_user(email="dis@one.example", password=PASSWORD, organisation="One", role="editor")
    with unit_of_work() as uow:
        uow.execute(update(User).where(User.id == disabled.id).values(enabled=False))
    wrong = [("ann@one.example", "another password"), ("nobody@one.example", PASSWORD), ("dis@one.example", PASSWORD)]

    answers = []
    for email, password in wrong:
        with pytest.raises(StudioError) as refused:
            passwords.authenticate(email=email, password=password, address="")
        answers.append((type(refused.value), refused.value.message, refused.value.field))

    assert len(set(answers)) == 1
    costs = [hash.split("$")[1:4] for hash in hashings]
    assert costs == [costs[0]] * 3


@pytest.mark.parametrize("password", ["short", "x" * 513, ""])
def test_a_password_too_short_or_too_long_is_refused_with_its_field(app: Flask, password: str) -> None:
    with pytest.raises(StudioError) as refused:
        accounts.set_up(email="a@b.example", password=password, name="", organisation="")
    assert refused.value.field == "password"
    assert not accounts.anybody_here()


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@one.example", "a b@one.example", "a@b\n.example", "a" * 255])
def test_what_is_no_address_is_refused_with_its_field(app: Flask, email: str) -> None:
    with pytest.raises(StudioError) as refused:
        accounts.set_up(email=email, password=PASSWORD, name="", organisation="")
    assert refused.value.field == "email"


def test_one_address_belongs_to_one_person(ann: User) -> None:
    with pytest.raises(Conflict):
        accounts.create_user(email="ANN@one.example", password=PASSWORD, organisation="Two", role="owner")


def _sign_in(user: User, **more: Any) -> str:
    return sessions.sign_in(user_id=user.id, remember=more.pop("remember", False), **HERE, **more)


def test_a_session_is_kept_as_a_hash_and_found_by_its_secret(ann: User) -> None:
    secret = _sign_in(ann)

    found = session_of(secret)
    assert found is not None
    assert (found.user_id, found.secret_hash) == (ann.id, digest(secret))
    assert session_of(secret + "x") is None
    assert session_of(found.secret_hash) is None


def test_every_sign_in_has_a_secret_of_its_own_and_signing_out_ends_that_one(ann: User) -> None:
    first, second = _sign_in(ann), _sign_in(ann)
    assert first != second

    sessions.sign_out(secret=first)

    assert session_of(first) is None
    assert session_of(second) is not None
    sessions.sign_out(secret=first)


def test_a_session_ends_by_itself_and_a_remembered_one_later(ann: User) -> None:
    short, long = _sign_in(ann), _sign_in(ann, remember=True)
    lives = {row.remember: row.expires_at - now() for row in db.session.scalars(select(Session))}
    assert lives[False] < sessions.SESSION_FOR < lives[True] < sessions.REMEMBERED_FOR

    with unit_of_work() as uow:
        uow.execute(update(Session).values(expires_at=now() - timedelta(seconds=1)))
    assert session_of(short) is None
    assert session_of(long) is None


def test_a_session_that_is_used_lives_on(ann: User) -> None:
    secret = _sign_in(ann)
    with unit_of_work() as uow:
        uow.execute(update(Session).values(expires_at=now() + timedelta(minutes=1)))

    sessions.note_seen(session_id=session_of(secret).id)

    assert session_of(secret).expires_at > now() + timedelta(hours=11)


def test_a_disabled_person_is_out_at_once(ann: User) -> None:
    secret = _sign_in(ann)
    place = session_of(secret).organisation_id
    with unit_of_work() as uow:
        uow.execute(update(User).values(enabled=False))

    assert session_of(secret) is None
    assert not accounts.roles_now([(ann.id, place, None)])


def test_the_roles_now_follow_the_session_and_the_membership(ann: User) -> None:
    secret = _sign_in(ann)
    session = session_of(secret)
    place, session_id, user_id = session.organisation_id, session.id, ann.id
    assert accounts.roles_now([(user_id, place, session_id)])
    assert not accounts.roles_now([(user_id, place + 1, session_id)])

    sessions.sign_out(secret=secret)

    assert not accounts.roles_now([(user_id, place, session_id)])
    assert accounts.roles_now([(user_id, place, None)])


def test_nobody_switches_to_an_organisation_that_is_not_theirs(ann: User) -> None:
    accounts.create_user(email="bob@two.example", password=PASSWORD, organisation="Two", role="owner")
    other = db.session.scalars(select(Organisation).where(Organisation.name == "Two")).one()
    session = session_of(_sign_in(ann))
    wanted = other.public_id

    with pytest.raises(NotFound):
        sessions.switch_organisation(session_id=session.id, user_id=ann.id, organisation=wanted)
