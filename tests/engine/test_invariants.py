"""Every invariant can fail: what is damaged behind the engine's back is found and named, and nothing else is."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from pydantic import SecretStr
from sqlalchemy import select, text

from imagegen.engine import claims, control
from imagegen.engine.invariants import INVARIANTS, Broken, check
from imagegen.engine.invariants.standing import derived
from imagegen.extensions import db, runtime
from imagegen.models import Image, Job, Shot, system_scope, unit_of_work
from imagegen.models.budgets import Per
from imagegen.models.states import ShotStatus, derive
from imagegen.services import budgets
from imagegen.services.audit import COMMAND_LINE
from imagegen.storage import keys
from tests.engine.calls_in_hand import FATES, Bill, Calls
from tests.models.rows import Member, submit
from tests.money.books import EACH, MODEL

LONG_AGO = "'2020-01-01 00:00:00.000000'"
WISH = {"provider": "openai", "model": MODEL, "quality": "medium", "size": "1024x1024"}


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {"openai_api_key": SecretStr("sk-never-called"), "openai_base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture
def calls(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    made = Calls()
    made.replace(monkeypatch)
    with system_scope():
        yield made
    made.forget()


def draw(calls: Calls, fate: str) -> None:
    """Claim the next shot and let its call go through."""
    claim = claims.claim(owner="one", lease_seconds=600, lone_only=False)
    assert claim is not None
    call = calls.take("one", claim, Bill())
    while call.waits != "over":
        call.go_on(FATES[fate])


@pytest.fixture
def studio(calls: Calls, ann: Member) -> Member:
    """A studio that has been used: pictures, an overrun, a refusal, a retry, an unknown fate, one under way."""
    budgets.set_budget(
        by=COMMAND_LINE, organisation_id=ann.organisation_id, per=Per.MONTH, cap=1000 * EACH, hard=True
    )
    submit(ann, n=2, key="click", prompt="two", **WISH)
    draw(calls, "picture")
    draw(calls, "dear picture")
    refused = submit(ann, prompt="no", **WISH)
    draw(calls, "refused")
    control.retry(refused.public_id)
    draw(calls, "picture")
    submit(ann, prompt="who knows", **WISH)
    draw(calls, "silence")
    submit(ann, n=2, prompt="now", **WISH)
    assert claims.claim(owner="two", lease_seconds=600, lone_only=False) is not None
    assert check() == []
    return ann


def damage(*statements: str) -> None:
    """Write what the database would refuse: no trigger, no constraint and no foreign key is heeded."""
    db.session.rollback()
    if db.engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(str(db.engine.url.database), isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            for statement in (*statements, *(made for _, made in triggers)):
                connection.execute(statement)
        return
    checks = text("SELECT conrelid::regclass, conname FROM pg_constraint WHERE contype = 'c'")
    with unit_of_work() as uow:
        uow.execute(text("SET LOCAL session_replication_role = replica"))
        for table, name in uow.execute(checks).all():
            if name.startswith("ck_"):
                uow.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        for statement in statements:
            uow.execute(text(statement))


def first(table: str, condition: str = "1 = 1") -> str:
    """Return a condition on one row alone."""
    return f"id = (SELECT min(id) FROM {table} WHERE {condition})"


DONE, UNKNOWN, RUNNING = (f"status = '{status}'" for status in ("succeeded", "unknown", "running"))
NO_OVERRUN = "UPDATE reservations SET amount_micro = posted_micro WHERE posted_micro > amount_micro"
A_DONE_SHOT = f"(SELECT min(id) FROM shots WHERE {DONE})"

DAMAGES: list[tuple[str, str, tuple[str, ...]]] = [
    ("I1", "its reservations say", ("UPDATE budget_periods SET reserved_micro = reserved_micro + 1",)),
    ("I1", "books of deleted jobs", ("UPDATE budget_periods SET spent_micro = spent_micro + 1",)),
    ("I1", "above the", ("UPDATE budget_periods SET cap_micro = 1",)),
    (
        "I1",
        "nothing explains that",
        (NO_OVERRUN, "DELETE FROM audit_entries", "UPDATE budget_periods SET over_micro = 1"),
    ),
    ("I2", "has no reservation", (f"DELETE FROM reservations WHERE {first('reservations')}",)),
    (
        "I2",
        "sets money aside for a picture that was there before",
        (f"UPDATE shots SET reused = true WHERE {first('shots', DONE)}",),
    ),
    (
        "I2",
        "is held while the shot is succeeded",
        ("UPDATE reservations SET status = 'held', ended_at = NULL, posted_micro = NULL WHERE status = 'posted'",),
    ),
    (
        "I2",
        "is void while the shot is unknown",
        (
            f"UPDATE reservations SET status = 'void', ended_at = {LONG_AGO} "
            f"WHERE shot_id = (SELECT id FROM shots WHERE {UNKNOWN})",
        ),
    ),
    ("I2", "whether it has an end", ("UPDATE reservations SET ended_at = NULL WHERE status = 'posted'",)),
    ("I2", "and yet has 5 micro-USD posted", ("UPDATE reservations SET posted_micro = 5 WHERE status = 'void'",)),
    ("I2", "and no event says so", ("UPDATE reservations SET amount_micro = 1 WHERE status = 'posted'",)),
    ("I2", "and did not", (NO_OVERRUN,)),
    ("I2", "belongs to another", ("UPDATE reservations SET user_id = user_id + 1",)),
    ("I3", "not to zero", (f"UPDATE ledger_entries SET amount_micro = 1 WHERE {first('ledger_entries')}",)),
    (
        "I3",
        "was booked 3 times",
        (
            "UPDATE ledger_entries SET attempt_id = (SELECT min(attempt_id) FROM ledger_entries) "
            "WHERE account = 'spend'",
        ),
    ),
    ("I3", "says that it cost 0 micro-USD", (f"UPDATE jobs SET actual_micro = 0 WHERE {first('jobs')}",)),
    ("I3", "says that it cost 7 micro-USD", (f"UPDATE shots SET actual_micro = 7 WHERE {first('shots', DONE)}",)),
    ("I4", "cost 3 micro-USD", (f"UPDATE attempts SET cost_micro = 3 WHERE {first('attempts', DONE)}",)),
    (
        "I4",
        "is rejected and cost",
        (f"UPDATE attempts SET status = 'rejected' WHERE {first('attempts', DONE)}",),
    ),
    (
        "I4",
        "is of unknown fate, while its shot",
        (f"UPDATE attempts SET {UNKNOWN}, cost_micro = NULL WHERE {first('attempts', DONE)}",),
    ),
    ("I4", "for the sake of 0 calls", (f"UPDATE attempts SET status = 'rejected' WHERE {UNKNOWN}",)),
    ("I5", "succeeded and has no picture", (f"DELETE FROM images WHERE {first('images')}",)),
    (
        "I5",
        "is the picture of a shot",
        (f"UPDATE images SET shot_id = (SELECT id FROM shots WHERE {UNKNOWN}) WHERE {first('images')}",),
    ),
    ("I5", "is of another size", (f"UPDATE images SET width = 3 WHERE {first('images')}",)),
    (
        "I5",
        "and the money for it is void",
        (f"UPDATE reservations SET status = 'void' WHERE shot_id = {A_DONE_SHOT}",),
    ),
    (
        "I5",
        "and 0 events say so",
        (f"UPDATE events SET type = 'shot.failed' WHERE type = 'shot.succeeded' AND shot_id = {A_DONE_SHOT}",),
    ),
    (
        "I5",
        "and an event says that it succeeded",
        ("UPDATE events SET type = 'shot.succeeded' WHERE type = 'shot.refused'",),
    ),
    ("I5", "not called by their hashes", (f"UPDATE images SET sha256 = received_key WHERE {first('images')}",)),
    ("I8", "counts its shots otherwise", (f"UPDATE jobs SET n_succeeded = 1 WHERE {first('jobs')}",)),
    ("I8", "is failed and should be succeeded", (f"UPDATE jobs SET status = 'failed' WHERE {first('jobs')}",)),
    ("I8", "whether it has an end", (f"UPDATE jobs SET finished_at = NULL WHERE {first('jobs')}",)),
    ("I8", "newest shots for picture 0", (f"UPDATE shots SET slot = 0 WHERE {DONE}",)),
    ("I8", "still counts as the newest", ("UPDATE shots SET newest = true",)),
    ("I8", "whether it has an end", (f"UPDATE shots SET finished_at = NULL WHERE {DONE}",)),
    ("I8", "does not say why", (f"UPDATE shots SET error_kind = NULL WHERE {UNKNOWN}",)),
    ("I8", "although its job was canceled", (f"UPDATE jobs SET cancel_requested_at = {LONG_AGO}",)),
    ("I8", "with 1 calls that succeeded", (f"UPDATE attempts SET {DONE} WHERE {UNKNOWN}",)),
    ("I8", "whether it has an end", (f"UPDATE attempts SET ended_at = NULL WHERE {DONE}",)),
    ("I9", "an owner and a lease", (f"UPDATE shots SET lease_owner = NULL WHERE {RUNNING}",)),
    ("I9", "with 0 calls under way", ("UPDATE attempts SET status = 'not_sent' WHERE status = 'prepared'",)),
    ("I9", "was claimed 9 times", (f"UPDATE shots SET fence = 9 WHERE {RUNNING}",)),
    ("I10", "events, and", (f"DELETE FROM events WHERE {first('events', 'seq = 2')}",)),
    ("I10", "in another place", ("UPDATE events SET organisation_seq = 1000 - organisation_seq",)),
    ("I10", "and has one with the number", ("UPDATE organisations SET event_seq = 1",)),
    ("I10", "of another organisation", ("UPDATE events SET organisation_id = 99",)),
    ("I10", "begins with the event job.running", ("UPDATE events SET type = 'job.running' WHERE seq = 1",)),
    (
        "I10",
        "the last that its events tell is job.running",
        ("DELETE FROM events WHERE type = 'job.succeeded'",),
    ),
    (
        "I10",
        "has ended, and later its event 100 tells of shot.succeeded",
        ("UPDATE events SET seq = 100, organisation_seq = 1000 WHERE " + first("events", "type = 'shot.succeeded'"),),
    ),
    ("I11", "of another person", ("UPDATE idempotency_keys SET user_id = 99",)),
    ("I11", "a job that is not there", ("UPDATE idempotency_keys SET job_id = 99",)),
    ("I11", "which asks for something else", ("UPDATE idempotency_keys SET request_hash = 'other'",)),
    (
        "I12",
        "nobody works at all",
        tuple(f"UPDATE {table} SET created_at = {LONG_AGO}" for table in ("shots", "attempts", "events")),
    ),
    ("I12", "more than 15 minutes ago", (f"UPDATE shots SET lease_until = {LONG_AGO} WHERE {RUNNING}",)),
    ("I16", "was not taken back", (f"UPDATE shots SET lease_until = {LONG_AGO} WHERE {RUNNING}",)),
    ("I16", "was not sent", (f"UPDATE outbox SET sent_at = NULL, created_at = {LONG_AGO}",)),
]


def found(invariant: str) -> list[Broken]:
    """Return what is wrong with one invariant."""
    return check(only=(invariant,))


@pytest.fixture
def restore(studio: Member, tmp_path: Path) -> Callable[[], None]:
    """Bring the database back to how it was when the test began."""
    copy, database = tmp_path / "before.db", Path(str(db.engine.url.database))
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"VACUUM INTO '{copy}'")

    def back() -> None:
        db.session.remove()
        db.engine.dispose()
        for left in database.parent.glob("studio.db-*"):
            left.unlink()
        shutil.copy(copy, database)

    return back


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("invariant", sorted({invariant for invariant, _, _ in DAMAGES}))
def test_what_is_damaged_is_named(restore: Callable[[], None], invariant: str) -> None:
    for _, sentence, statements in (each for each in DAMAGES if each[0] == invariant):
        damage(*statements)
        named = [broken for broken in found(invariant) if sentence in broken.sentence]
        assert named, sentence
        assert all(broken.invariant == invariant and broken.where for broken in named)
        restore()
    assert found(invariant) == []


@pytest.mark.databases("postgresql")
def test_what_is_damaged_is_named_by_postgresql_too(studio: Member) -> None:
    damage(
        "UPDATE ledger_entries SET amount_micro = amount_micro + 1",
        "UPDATE budget_periods SET cap_micro = 1",
        "UPDATE reservations SET ended_at = NULL",
        "UPDATE attempts SET cost_micro = 3",
        "UPDATE images SET width = 3",
        "UPDATE jobs SET status = 'failed'",
        "UPDATE shots SET lease_owner = NULL",
        "UPDATE events SET organisation_seq = 1000 - organisation_seq",
        "UPDATE idempotency_keys SET user_id = 99",
        f"UPDATE shots SET lease_until = {LONG_AGO} WHERE {RUNNING}",
    )

    assert {broken.invariant for broken in check()} == {each.id for each in INVARIANTS} - {"I6", "I7"}


@pytest.mark.databases("sqlite")
def test_fractions_are_named_where_the_database_takes_them(studio: Member) -> None:
    damage("UPDATE ledger_entries SET amount_micro = amount_micro * 1.00001")

    assert any("fractions" in broken.sentence for broken in found("I3"))


def test_every_rule_has_a_damage_of_its_own() -> None:
    """A rule that nobody has seen fail may be one that cannot."""
    told = {(invariant, sentence) for invariant, sentence, _ in DAMAGES}
    rules = sum(len({rule.sentence for rule in each.rules}) for each in INVARIANTS)
    # Apart: fractions, and two events with one number, which a unique index keeps from being written at all.
    assert len(told) >= rules - 2


def test_a_trigger_that_is_gone_is_named(studio: Member) -> None:
    drop = {
        "sqlite": "DROP TRIGGER shots_moves",
        "postgresql": "DROP TRIGGER shots_moves ON shots",
    }[db.engine.dialect.name]
    with unit_of_work() as uow:
        uow.execute(text(drop))

    assert [broken.where for broken in found("I8")] == ["trigger shots_moves"]


# --- files -----------------------------------------------------------------------------------------------------


def an_image() -> Image:
    db.session.rollback()
    return db.session.scalars(select(Image).order_by(Image.id).limit(1)).one()


def path_of(key: str) -> Path:
    path = runtime.storage.local_path(key)
    assert path is not None
    return path


def test_other_bytes_than_the_row_says_are_found_by_reading(studio: Member) -> None:
    image = an_image()
    path_of(image.file_key).write_bytes(b"somebody wrote here")

    assert f"image {image.public_id}" in {broken.where for broken in found("I5")}
    assert check(only=("I5",), hash_files=False) == []


def test_a_picture_without_its_file_is_named(studio: Member) -> None:
    image = an_image()
    path_of(image.file_key).unlink()

    assert (f"image {image.public_id}", f"has no file {image.file_key}") in {
        (broken.where, broken.sentence) for broken in found("I6")
    }


def test_a_picture_that_was_deleted_may_be_without_files(studio: Member) -> None:
    for image in db.session.scalars(select(Image)).all():
        runtime.storage.delete(image.file_key)
    damage(f"UPDATE images SET deleted_at = {LONG_AGO}")

    assert check(only=("I5", "I6")) == []


@pytest.mark.parametrize("kind", ["files", "received", "renditions"])
def test_a_file_of_nobody_is_named_once_it_is_a_day_old(studio: Member, tmp_path: Path, kind: str) -> None:
    _, org, _, user, *_ = an_image().file_key.split("/")
    key = {
        "files": keys.file_key(org, user, "0" * 64, "png"),
        "received": keys.received_key(org, user, "f" * 64, "png"),
        "renditions": keys.rendition_key(org, user, "7" * 64, 320),
    }[kind]
    path = runtime.settings.studio_data_dir / "files" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"nobody's")
    assert found("I6") == []

    for each in (path, path_of(an_image().file_key)):
        os.utime(each, (time.time() - 90_000,) * 2)

    assert [(broken.where, broken.sentence) for broken in found("I6")] == [(f"file {key}", "belongs to no picture")]


def test_a_workspace_that_a_crash_left_is_named_after_a_day(studio: Member) -> None:
    scratch = runtime.settings.studio_data_dir / "files" / ".scratch"
    names = [f"w-{int(time.time() - age)}-{'0' * 16}" for age in (90_000, 80_000)]
    for name in names:
        (scratch / name).mkdir()

    assert [broken.where for broken in found("I7")] == [f"workspace {names[0]}"]


# --- what is no fault ------------------------------------------------------------------------------------------


AGED = tuple(f"UPDATE {table} SET created_at = {LONG_AGO}" for table in ("shots", "attempts", "events"))


@pytest.mark.parametrize(
    "reason",
    [
        f"UPDATE jobs SET paused_at = {LONG_AGO}",
        "UPDATE shots SET not_before = '2100-01-01 00:00:00.000000'",
        "UPDATE provider_states SET paused_until = '2100-01-01 00:00:00.000000' WHERE provider = 'openai'",
    ],
)
def test_what_waits_for_a_reason_is_not_idle(studio: Member, reason: str) -> None:
    damage(*AGED)
    assert found("I12") != []

    damage(reason)

    assert found("I12") == []


def test_patience_is_for_what_a_sweep_will_find(studio: Member) -> None:
    with unit_of_work() as uow:
        uow.execute(text("UPDATE outbox SET sent_at = NULL"))

    assert check(only=("I16",), patience=timedelta(minutes=5)) == []
    assert {broken.sentence for broken in check(only=("I16",), patience=timedelta(0))} == {"was not sent"}


def test_budgets_remember_what_deleted_jobs_cost(studio: Member) -> None:
    done = db.session.scalars(select(Job.public_id).where(Job.status == "succeeded")).all()
    db.session.rollback()
    for job in done:
        control.delete(job)

    assert check() == []


def test_numbers_are_given_once(calls: Calls, ann: Member) -> None:
    """What the ledger and late workers know by its number must never become another thing."""
    deleted = submit(ann, prompt="first", **WISH)
    draw(calls, "picture")
    control.delete(deleted.public_id)

    submit(ann, prompt="second", **WISH)
    draw(calls, "picture")

    assert check() == []


def test_a_job_stands_in_a_query_as_it_does_in_the_engine(studio: Member) -> None:
    job = db.session.scalars(select(Job.id).limit(1)).one()
    columns = ", ".join(f"n_{status} = :{status}" for status in ShotStatus)
    for counts in itertools.product(range(2), repeat=len(ShotStatus)):
        standing = dict(zip(ShotStatus, counts, strict=True))
        if not any(counts):
            continue
        for begun in (True, False):
            with unit_of_work() as uow:
                uow.execute(text(f"UPDATE jobs SET {columns} WHERE id = {job}"), standing)
                moment = LONG_AGO if begun else "NULL"
                uow.execute(text(f"UPDATE jobs SET started_at = {moment} WHERE id = {job}"))
                said = uow.scalars(select(derived).where(Job.id == job)).one()
                uow.rollback()
            assert said == derive(standing, begun=begun)


# --- the command -----------------------------------------------------------------------------------------------


def test_the_command_says_of_each_invariant_that_it_holds(app: Flask, studio: Member) -> None:
    result = app.test_cli_runner().invoke(args=["maintenance", "check"])

    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [["holds", each.id] for each in INVARIANTS]
    assert "pictures read: 3 of 3" in result.stderr


def test_the_command_names_what_does_not_hold_and_ends_with_one(app: Flask, studio: Member) -> None:
    damage("UPDATE jobs SET actual_micro = 1 WHERE " + first("jobs"))
    job = db.session.scalars(select(Job.public_id).order_by(Job.id).limit(1)).one()

    result = app.test_cli_runner().invoke(args=["maintenance", "check", "--quick", "--only", "I3", "--only", "I9"])

    assert result.exit_code == 1
    assert [line.split()[:2] for line in result.stdout.splitlines() if line[0] != " "] == [
        ["BROKEN", "I3"],
        ["holds", "I9"],
    ]
    assert f"job {job} says that it cost 1 micro-USD" in result.stdout
    assert "read" not in result.stderr


def test_checking_writes_nothing(studio: Member) -> None:
    def everything() -> list[object]:
        db.session.rollback()
        return [db.session.execute(select(table)).all() for table in (Job.__table__, Shot.__table__)]

    before = everything()
    check()

    assert everything() == before
