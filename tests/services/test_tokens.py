"""Tokens: shown once, kept as hashes, scoped, expiring, revocable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, update

from imagegen.core.clock import now
from imagegen.core.errors import NotFound, StudioError
from imagegen.core.secrets import digest, new_token
from imagegen.extensions import db
from imagegen.models import ApiToken, User, unit_of_work
from imagegen.services import accounts
from imagegen.services.accounts import NewToken
from tests.models.rows import Member, add_member


@pytest.fixture
def ann(app: Flask) -> Member:
    """A member of the organisation One."""
    return add_member()


@contextmanager
def queries() -> Iterator[list[str]]:
    """Collect what the database is asked."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def make(member: Member, **more: Any) -> NewToken:
    """Make a token."""
    return accounts.create_token(
        user_id=member.user_id, organisation_id=member.organisation_id, **({"name": "script"} | more)
    )


def test_a_token_opens_and_only_its_hash_and_beginning_are_kept(ann: Member) -> None:
    made = make(ann)

    row = accounts.token_of(made.secret)
    assert row is not None
    assert (row.user.id, row.organisation_id) == (ann.user_id, ann.organisation_id)
    assert row.secret_hash == digest(made.secret)
    db.session.rollback()
    stored = str(db.session.execute(select(ApiToken.__table__)).one())
    assert made.secret not in stored
    assert made.secret.startswith(row.hint)
    assert len(row.hint) < len(made.secret) / 4


def test_noise_and_typing_errors_never_reach_the_database(ann: Member) -> None:
    secret = make(ann).secret
    typed_wrong = secret[:10] + ("a" if secret[10] != "a" else "b") + secret[11:]

    with queries() as asked:
        for noise in ("", "igs_", "x" * 1000, typed_wrong, secret[:-1], secret + " ", "igs_'; DROP TABLE users;--"):
            assert accounts.token_of(noise) is None
        assert asked == []
        assert accounts.token_of(new_token()) is None
        assert asked


def test_a_token_ends_when_it_is_revoked_and_stays_ended(ann: Member) -> None:
    made = make(ann)

    accounts.revoke_token(user_id=ann.user_id, public_id=made.public_id)
    accounts.revoke_token(user_id=ann.user_id, public_id=made.public_id)

    assert accounts.token_of(made.secret) is None


def test_a_token_ends_on_its_day(ann: Member) -> None:
    made = make(ann, expires_at=now() + timedelta(days=1))
    assert accounts.token_of(made.secret) is not None
    assert abs(make(ann).expires_at - now() - accounts.TOKEN_FOR) < timedelta(minutes=1)

    with unit_of_work() as uow:
        uow.execute(update(ApiToken).values(expires_at=now() - timedelta(seconds=1)))
    assert accounts.token_of(made.secret) is None


def test_a_token_of_a_disabled_person_opens_nothing(ann: Member) -> None:
    made = make(ann)
    with unit_of_work() as uow:
        uow.execute(update(User).values(enabled=False))

    assert accounts.token_of(made.secret) is None


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"scopes": ()}, "scopes"),
        ({"scopes": ("read", "everything")}, "scopes"),
        ({"expires_at": now() - timedelta(days=1)}, "expires_at"),
        ({"name": "  "}, "name"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused_with_its_field(ann: Member, wish: dict[str, Any], field: str) -> None:
    with pytest.raises(StudioError) as refused:
        make(ann, **wish)
    assert refused.value.field == field


def test_nobody_makes_a_token_for_an_organisation_that_is_not_theirs(ann: Member) -> None:
    other = add_member("bob", "Two")
    with pytest.raises(NotFound):
        accounts.create_token(user_id=ann.user_id, organisation_id=other.organisation_id, name="stolen")


def test_nobody_revokes_somebody_elses_token(ann: Member) -> None:
    made = make(ann)
    other = add_member("bob", "Two")

    with pytest.raises(NotFound):
        accounts.revoke_token(user_id=other.user_id, public_id=made.public_id)

    assert accounts.token_of(made.secret) is not None


def test_the_scopes_asked_for_are_the_ones_it_has(ann: Member) -> None:
    assert accounts.token_of(make(ann, scopes=("read",)).secret).scopes == ["read"]
    assert accounts.token_of(make(ann).secret).scopes == ["read", "write"]


def test_its_last_use_is_remembered(ann: Member) -> None:
    row = accounts.token_of(make(ann).secret)
    assert row.used_at is None

    accounts.note_token_used(token_id=row.id)

    assert now() - db.session.get_one(ApiToken, row.id, populate_existing=True).used_at < timedelta(minutes=1)
