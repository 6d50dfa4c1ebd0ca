"""Promises of organisations' own keys to providers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import select, update

from imagegen.core.clock import now
from imagegen.core.crypto import new_key
from imagegen.core.errors import ErrorKind, NotFound, StudioError, TooMany
from imagegen.extensions import db, runtime
from imagegen.models import AuditEntry, ProviderKey, ProviderState, organisation_scope, system_scope, unit_of_work
from imagegen.models.audit import Action
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.services import provider_keys, provider_limits
from imagegen.services.audit import Actor
from imagegen.services.provider_limits import Limits
from imagegen.settings import Settings
from tests.conftest import ENCRYPTION_KEY, Person
from tests.fakes.openai_server import OpenAIServer

CANARY = "sk-canary-7d1e0a94b2c8f365"
ANOTHER = "sk-canary-another-0c4e8d21"


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    """A stand-in for OpenAI that knows one key."""
    with OpenAIServer(key=CANARY) as server:
        yield server


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    return {"openai_base_url": openai.base_url, "encryption_keys": SecretStr(ENCRYPTION_KEY)}


def actor(person: Person) -> Actor:
    return Actor(user_id=person.user.id, organisation_id=person.organisation.id, role="owner")


@pytest.fixture
def by(ann: Person) -> Iterator[Actor]:
    """Ann, with her organisation in scope."""
    with organisation_scope(ann.organisation.id):
        yield actor(ann)


def enter(by: Actor, secret: str = CANARY) -> None:
    provider_keys.enter(by=by, provider="openai", secret=secret)


def key_of(organisation_id: int) -> str | None:
    with system_scope():
        found = provider_keys.key_for(organisation_id, "openai")
    return found.secret.get_secret_value() if found else None


# Entering


def test_a_key_is_what_was_entered_without_the_blanks_around_it(by: Actor):
    enter(by, f"  {CANARY}\n")
    assert key_of(by.organisation_id) == CANARY


def test_another_organisation_has_none_and_sees_none(by: Actor, make_person):
    bob = make_person("bob@two.example", "Two")
    enter(by)
    assert key_of(bob.organisation.id) is None
    with organisation_scope(bob.organisation.id):
        assert provider_keys.listed() == {}
        assert provider_keys.key_for(by.organisation_id, "openai") is None


def test_a_new_key_takes_the_place_of_the_old_one_and_of_what_was_known_of_it(by: Actor):
    enter(by, ANOTHER)
    assert provider_keys.test(by=by, provider="openai") is not None
    enter(by)
    assert key_of(by.organisation_id) == CANARY
    kept = provider_keys.listed()["openai"]
    assert (kept.tested_at, kept.test_error, kept.hint) == (None, None, CANARY[-4:])


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("", "Paste the key here."),
        ("   ", "Paste the key here."),
        ("sk-1234", "A key has between 8 and 512 characters. Copy it again."),
        ("s" * 513, "A key has between 8 and 512 characters. Copy it again."),
        ("sk-canary-one\nsk-canary-two", "A key is one word"),
        ("sk-canary\r\nX-Header: 1", "A key is one word"),
        ("sk-canary\x00nul", "A key is one word"),
        ("sk-canary with blanks", "A key is one word"),
        ("sk-canary-ключ", "A key is one word"),
    ],
)
def test_what_cannot_be_a_key_is_refused_without_repeating_it(by: Actor, secret: str, sentence: str):
    with pytest.raises(StudioError) as refused:
        enter(by, secret)
    assert refused.value.field == "key"
    assert str(refused.value.message).startswith(sentence)
    assert "canary" not in repr(refused.value) + repr(refused.value.__cause__)
    assert provider_keys.listed() == {}


@pytest.mark.parametrize("provider", ["local", "unheard-of"])
def test_only_a_provider_that_takes_a_key_is_given_one(by: Actor, provider: str):
    with pytest.raises(NotFound):
        provider_keys.enter(by=by, provider=provider, secret=CANARY)


def test_of_a_short_key_nothing_is_hinted_at(by: Actor):
    enter(by, "short-key-123")
    assert provider_keys.listed()["openai"].hint == ""


# Opening


def test_limits_are_kept_under_a_digest_that_is_the_keys_alone(by: Actor, make_person):
    bob = make_person("bob@two.example", "Two")
    enter(by)
    first = provider_keys.listed()["openai"].digest
    with organisation_scope(bob.organisation.id):
        provider_keys.enter(by=actor(bob), provider="openai", secret=CANARY)
        assert provider_keys.listed()["openai"].digest == first
    enter(by, ANOTHER)
    assert provider_keys.listed()["openai"].digest != first
    assert len(first) == 16


def limit(by: Actor, concurrency: int | None, per_minute: int | None = None) -> None:
    limits = Limits(concurrency, per_minute)
    provider_limits.set_for_own_key(by=by, provider="openai", limits=limits)


def test_the_limits_that_people_gave_the_key_before_hold_for_its_successor_and_what_it_was_taught_does_not(by: Actor):
    enter(by, ANOTHER)
    limit(by, 3, 20)
    with unit_of_work() as uow:
        uow.execute(update(ProviderState).values(slots=1, failures=9, open_until=now(), broken_since=now()))

    enter(by)

    assert provider_limits.of_organisation() == {"openai": Limits(3, 20)}
    digest = provider_keys.listed()["openai"].digest
    row = db.session.scalars(select(ProviderState).where(ProviderState.key == digest)).one()
    assert (row.slots, row.failures, row.open_until, row.broken_since) == (None, 0, None, None)


def test_a_key_that_comes_back_has_the_limits_that_were_given_last(by: Actor):
    enter(by, ANOTHER)
    limit(by, 3)
    enter(by)
    limit(by, 8)
    enter(by, ANOTHER)
    assert provider_limits.of_organisation() == {"openai": Limits(8)}


def test_a_key_that_another_organisation_has_limited_keeps_its_limits(by: Actor, make_person):
    bob = make_person("bob@two.example", "Two")
    with organisation_scope(bob.organisation.id):
        enter(actor(bob))
        limit(actor(bob), 2)
    enter(by, ANOTHER)
    limit(by, 9)
    enter(by)
    assert provider_limits.of_organisation() == {"openai": Limits(2)}


def test_a_key_without_limits_gives_its_successor_none(by: Actor):
    enter(by, ANOTHER)
    enter(by)
    assert provider_limits.of_organisation() == {}


def test_an_opened_key_does_not_show_itself(by: Actor):
    enter(by)
    opened = provider_keys.key_for(by.organisation_id, "openai")
    assert "canary" not in repr(opened)


def test_a_sealed_key_copied_into_another_organisations_row_does_not_open(by: Actor, make_person):
    bob = make_person("bob@two.example", "Two")
    enter(by)
    with system_scope():
        with unit_of_work() as uow:
            stolen = uow.scalars(select(ProviderKey)).one()
            uow.add(
                ProviderKey(
                    organisation_id=bob.organisation.id,
                    provider="openai",
                    sealed=stolen.sealed,
                    digest=stolen.digest,
                    hint=stolen.hint,
                )
            )
            uow.flush()
        with pytest.raises(ProviderError) as refused:
            provider_keys.key_for(bob.organisation.id, "openai")
    assert (refused.value.kind, refused.value.outcome) == (ErrorKind.AUTH, Outcome.NOT_SENT)


def test_a_key_that_no_longer_opens_is_not_replaced_by_the_installations(by: Actor):
    enter(by)
    with unit_of_work() as uow:
        uow.execute(update(ProviderKey).values(sealed="lost"))
    with pytest.raises(ProviderError, match="cannot be opened any more"):
        provider_keys.key_for(by.organisation_id, "openai")
    sentence = provider_keys.test(by=by, provider="openai")
    assert sentence is not None and "enter it again" in sentence
    assert provider_keys.listed()["openai"].test_error == sentence


def test_whoever_has_a_key_is_offered_the_provider_and_nobody_else(by: Actor, make_person):
    bob = make_person("bob@two.example", "Two")
    enter(by)
    assert provider_keys.offered().default()[0].id == "openai"
    assert provider_keys.offered(bob.organisation.id).default()[0].id == "local"
    with system_scope():
        assert provider_keys.offered().default()[0].id == "local"
        assert provider_keys.offered(by.organisation_id).default()[0].id == "openai"


def test_a_key_that_is_removed_is_gone(by: Actor):
    enter(by)
    provider_keys.remove(by=by, provider="openai")
    assert key_of(by.organisation_id) is None
    assert not provider_keys.offered().available(provider_keys.offered().providers()[0]).ok
    with pytest.raises(NotFound):
        provider_keys.remove(by=by, provider="openai")


# Testing


def test_a_test_calls_the_provider_with_the_own_key_and_remembers_the_result(by: Actor, openai: OpenAIServer):
    enter(by)
    assert provider_keys.test(by=by, provider="openai") is None
    kept = provider_keys.listed()["openai"]
    assert kept.tested_at is not None and kept.test_error is None
    assert [request.path for request in openai.requests] == ["/v1/models"]
    assert openai.bill == 0


def test_a_test_that_fails_says_what_to_do_and_is_remembered(by: Actor):
    enter(by, ANOTHER)
    sentence = provider_keys.test(by=by, provider="openai")
    assert sentence == "OpenAI did not accept the key."
    assert provider_keys.listed()["openai"].test_error == sentence


def test_no_connection_to_the_database_is_held_during_the_call(by: Actor, monkeypatch: pytest.MonkeyPatch):
    enter(by)
    kind = type(runtime.providers.providers()[0])
    held = []
    monkeypatch.setattr(kind, "_test", lambda *_: held.append(db.engine.pool.checkedout()))
    before = db.engine.pool.checkedout()
    provider_keys.test(by=by, provider="openai")
    assert held == [before] == [0]


def test_the_result_of_a_key_that_was_replaced_meanwhile_is_not_kept_with_the_new_one(
    by: Actor, monkeypatch: pytest.MonkeyPatch
):
    enter(by)
    kind = type(runtime.providers.providers()[0])
    monkeypatch.setattr(kind, "_test", lambda *_: enter(by, ANOTHER))
    provider_keys.test(by=by, provider="openai")
    assert provider_keys.listed()["openai"].tested_at is None


def test_a_person_tests_ten_times_a_minute_and_another_is_not_kept_waiting(by: Actor, make_person):
    eve = make_person("eve@one.example", "One", role="admin")
    enter(by)
    for _ in range(10):
        provider_keys.test(by=by, provider="openai")
    with pytest.raises(TooMany) as stopped:
        provider_keys.test(by=by, provider="openai")
    assert 1 <= stopped.value.retry_after <= 60
    assert str(stopped.value.message).startswith("Keys can be tested ten times a minute.")
    assert provider_keys.test(by=actor(eve), provider="openai") is None


def test_without_a_key_there_is_nothing_to_test(by: Actor):
    with pytest.raises(NotFound):
        provider_keys.test(by=by, provider="openai")


# What is written down


def test_the_audit_log_tells_what_was_done_and_nothing_of_the_key(by: Actor):
    enter(by)
    provider_keys.test(by=by, provider="openai")
    enter(by, ANOTHER)
    provider_keys.test(by=by, provider="openai")
    provider_keys.remove(by=by, provider="openai")
    entries = db.session.execute(
        select(AuditEntry.action, AuditEntry.facts)
        .where(AuditEntry.action.in_([Action.KEY_ENTERED, Action.KEY_TESTED, Action.KEY_REMOVED]))
        .order_by(AuditEntry.id)
    ).all()
    assert [(action, facts.get("result")) for action, facts in entries] == [
        (Action.KEY_ENTERED, None),
        (Action.KEY_TESTED, "ok"),
        (Action.KEY_ENTERED, None),
        (Action.KEY_TESTED, "auth"),
        (Action.KEY_REMOVED, None),
    ]
    assert all(facts["provider"] == "openai" and "canary" not in str(facts) for _, facts in entries)


def test_no_key_lies_open_in_the_data_folder_or_the_logs(by: Actor, data_folder: Path, caplog, capfd):
    caplog.set_level("DEBUG")
    enter(by)
    provider_keys.test(by=by, provider="openai")
    enter(by, ANOTHER)
    provider_keys.test(by=by, provider="openai")
    rows = db.session.execute(select(ProviderKey.sealed, ProviderKey.digest, ProviderKey.hint)).all()
    told = str(rows) + caplog.text + "".join(capfd.readouterr())
    assert "canary" not in told
    for file in data_folder.rglob("*"):
        if file.is_file():
            assert b"canary" not in file.read_bytes(), file


# New encryption keys


def with_keys(app: Flask, monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    changed = runtime.settings.model_copy(update={"encryption_keys": SecretStr(",".join(keys))})
    assert isinstance(changed, Settings)
    monkeypatch.setitem(app.extensions, "studio", replace(app.extensions["studio"], settings=changed))


def test_keys_are_sealed_anew_by_a_command_and_the_old_encryption_key_can_go(
    by: Actor, app: Flask, monkeypatch: pytest.MonkeyPatch
):
    enter(by)
    fresh = new_key()
    with_keys(app, monkeypatch, fresh, ENCRYPTION_KEY)
    result = app.test_cli_runner().invoke(args=["maintenance", "rotate-keys"])
    assert (result.exit_code, result.output) == (0, "Sealed anew: 1\n")
    with_keys(app, monkeypatch, fresh)
    assert key_of(by.organisation_id) == CANARY


def test_the_command_says_which_keys_are_lost_and_leaves_them(by: Actor, app: Flask, monkeypatch: pytest.MonkeyPatch):
    enter(by)
    with_keys(app, monkeypatch, new_key())
    result = app.test_cli_runner().invoke(args=["maintenance", "rotate-keys"])
    assert result.exit_code == 1 and "1 cannot be opened" in result.output
    with_keys(app, monkeypatch, ENCRYPTION_KEY)
    assert key_of(by.organisation_id) == CANARY


def test_a_worker_prepares_what_some_organisation_has_a_key_to(by: Actor):
    openai, _ = runtime.providers.find("openai")
    assert not provider_keys.offered_to_anybody().available(openai).ok

    enter(by)

    assert provider_keys.offered_to_anybody().available(openai).ok
