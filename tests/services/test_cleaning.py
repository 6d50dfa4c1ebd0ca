"""Cleaning up: what goes, what stays, and that a dry run tells the same and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import String, inspect, select, update

from imagegen.core.clock import now
from imagegen.core.errors import Conflict, NotFound
from imagegen.core.ids import new_id
from imagegen.extensions import Base, db, runtime
from imagegen.models import (
    CleaningReport,
    IdempotencyKey,
    Image,
    Invitation,
    Job,
    Outbox,
    PasswordReset,
    ScheduleRun,
    Session,
    system_scope,
    unit_of_work,
)
from imagegen.services import schedules
from imagegen.services.audit import COMMAND_LINE
from imagegen.services.cleaning import files, reports, rows
from imagegen.services.cleaning.duties import DUTIES
from imagegen.services.cleaning.reports import Result
from imagegen.services.generation import GenerationRequest
from imagegen.services.schedules import When
from imagegen.storage import keys
from tests.conftest import Person
from tests.web.rows import make_job

DAY = timedelta(days=1)
OLD = timedelta(days=8)


@pytest.fixture(autouse=True)
def everything(app: Flask) -> Iterator[None]:
    """The scope of the studio's own machinery."""
    with system_scope():
        yield


def clean(only: str | None = None, *, dry_run: bool = False) -> dict[str, Result]:
    report = reports.clean_now(dry_run=dry_run, only=only)
    assert report.finished_at is not None
    return {result.name: result for result in reports.results_of(report)}


def add(*rows: Any) -> None:
    with unit_of_work() as uow:
        uow.add_all(rows)


def ids(table: Any) -> list[int]:
    db.session.rollback()
    return list(db.session.scalars(select(table.id).order_by(table.id)))


def change(table: Any, **values: object) -> None:
    with unit_of_work() as uow:
        uow.execute(update(table).values(**values))


def put(key: str, data: bytes = b"pixels", *, age: timedelta = 2 * DAY) -> str:
    """Store a file that was put so long ago; renditions alone may hold any bytes."""
    with runtime.storage.workspace() as folder:
        (folder / "x").write_bytes(data)
        runtime.storage.put(folder / "x", key)
    return make_old(key, age)


def make_old(key: str, age: timedelta = 2 * DAY) -> str:
    path = runtime.storage.local_path(key)
    assert path is not None
    moment = (now() - age).timestamp()
    os.utime(path, (moment, moment))
    return key


def orphan(ann: Person, number: int = 0, **more: Any) -> str:
    digest = f"{number:064x}"
    key = keys.rendition_key(ann.organisation.public_id, ann.user.public_id, digest, 256)
    return put(key, **more)


def stored() -> set[str]:
    return set(runtime.storage.iter_keys())


# Rows


def _session(ann: Person, age: timedelta) -> Session:
    return Session(secret_hash=new_id(), user_id=ann.user.id, expires_at=now() - age)


def _reset(ann: Person, age: timedelta) -> PasswordReset:
    return PasswordReset(secret_hash=new_id(), user_id=ann.user.id, expires_at=now() - age)


def _invitation(ann: Person, age: timedelta, **more: Any) -> Invitation:
    return Invitation(
        organisation_id=ann.organisation.id,
        email="guest@one.example",
        role="viewer",
        secret_hash=new_id(),
        expires_at=now() - age,
        **more,
    )


def _key(ann: Person, age: timedelta) -> IdempotencyKey:
    job_id = db.session.scalars(select(Job.id)).first()
    return IdempotencyKey(
        organisation_id=ann.organisation.id,
        user_id=ann.user.id,
        key=new_id(),
        request_hash="x",
        job_id=job_id,
        created_at=now() - age,
    )


def _sent(_ann: Person, age: timedelta) -> Outbox:
    return Outbox(task="work", name=new_id(), sent_at=now() - age, created_at=now() - age)


def _report(_ann: Person, age: timedelta) -> CleaningReport:
    moment = now() - age - 90 * DAY + 7 * DAY
    return CleaningReport(results=[], created_at=moment, started_at=moment, finished_at=moment)


@pytest.mark.parametrize(
    ("duty", "make", "table"),
    [
        ("sessions", _session, Session),
        ("resets", _reset, PasswordReset),
        ("invitations", _invitation, Invitation),
        ("idempotency-keys", _key, IdempotencyKey),
        ("outbox", _sent, Outbox),
        ("reports", _report, CleaningReport),
    ],
)
def test_what_is_over_for_a_week_goes_and_what_is_not_stays(ann: Person, duty: str, make: Any, table: Any) -> None:
    make_job(ann)
    add(make(ann, 6 * DAY))
    staying = ids(table)
    add(make(ann, OLD), make(ann, 70 * DAY))

    told = clean(duty, dry_run=True)[duty]
    assert (told.found, told.removed, len(told.examples)) == (2, 0, 2)
    done = clean(duty)[duty]
    assert (done.found, done.removed, done.examples) == (2, 2, told.examples)
    assert set(staying) <= set(ids(table))
    again = clean(duty)[duty]
    assert (again.found, again.removed) == (0, 0)


def test_what_somebody_took_up_and_what_is_not_sent_stays_for_good(ann: Person) -> None:
    add(_invitation(ann, 99 * DAY, accepted_at=now() - 99 * DAY))
    add(Outbox(task="work", name="left", created_at=now() - 99 * DAY))

    found = clean()
    assert (found["invitations"].found, found["outbox"].found) == (0, 0)


def test_records_of_schedules_go_after_a_while_and_what_is_due_never(ann: Person) -> None:
    schedule = schedules.create(
        organisation_id=ann.organisation.id,
        user_id=ann.user.id,
        request=GenerationRequest(prompt="waves", provider="local"),
        when=When(cron="0 9 * * *"),
    )
    for day, status in ((91, "begun"), (92, "due"), (1, "failed")):
        moment = now() - day * DAY
        of = {"organisation_id": ann.organisation.id, "schedule_id": schedule.id}
        add(ScheduleRun(**of, slot_at=moment, created_at=moment, status=status))

    assert clean("schedule-runs")["schedule-runs"].removed == 1
    assert set(db.session.scalars(select(ScheduleRun.status))) == {"due", "failed"}


# The trash


def test_only_what_lay_in_the_trash_for_30_days_goes(ann: Person) -> None:
    make_job(ann, states=("succeeded",) * 4)
    kept, fresh, old, used = ids(Image)
    with unit_of_work() as uow:
        for row_id, days in ((fresh, 29), (old, 31), (used, 31)):
            uow.execute(update(Image).where(Image.id == row_id).values(deleted_at=now() - days * DAY))
        uow.execute(update(Image).where(Image.id == used).values(usage_count=1, filename="in-a-post.png"))

    told = clean("trash", dry_run=True)["trash"]
    assert (told.found, told.kept, told.bytes > 0) == (1, 1, True)
    assert "in-a-post.png" in told.examples
    assert ids(Image) == [kept, fresh, old, used]

    assert clean("trash")["trash"].removed == 1
    assert ids(Image) == [kept, fresh, used]
    assert clean("trash")["trash"].found == 0


def test_what_is_taken_out_of_the_trash_meanwhile_stays(ann: Person) -> None:
    make_job(ann)
    change(Image, deleted_at=now() - 31 * DAY)
    duty = DUTIES["trash"]
    found = list(duty.find(now()))
    assert len(found) == 1 and duty.remove is not None
    change(Image, deleted_at=None)

    assert list(duty.remove(found, now())) == []
    assert len(ids(Image)) == 1


# Files


def test_files_without_a_picture_go_once_they_are_a_day_old(ann: Person) -> None:
    make_job(ann, states=("succeeded", "succeeded"))
    mine = stored()
    for key in mine:
        make_old(key)
    gone = {orphan(ann, 1, data=b"x" * 1000), put(keys.rendition_key(new_id(), new_id(), "ab" * 32, 16))}
    young = orphan(ann, 2, age=timedelta(hours=23))

    told = clean("orphaned-files", dry_run=True)["orphaned-files"]
    assert (told.found, told.bytes, set(told.examples)) == (2, 1006, gone)
    assert stored() == mine | gone | {young}
    assert clean("orphaned-files")["orphaned-files"].removed == 2
    assert stored() == mine | {young}
    assert clean("orphaned-files")["orphaned-files"].found == 0


def test_every_file_of_a_picture_is_kept_in_the_trash_too(ann: Person) -> None:
    """The picture, a provider's bytes, and renditions, also of widths that nobody wrote down."""
    make_job(ann)
    row = db.session.scalars(select(Image)).one()
    own = (ann.organisation.public_id, ann.user.public_id)
    data = b"as the provider sent it"
    digest = "6b" + "0" * 62
    received = put(keys.rendition_key(*own, digest, 8), data)
    renditions = {put(keys.rendition_key(*own, row.sha256, width)) for width in (16, 999)}
    change(Image, received_key=received, received_sha256=digest, deleted_at=now())
    make_old(row.file_key)

    assert clean("orphaned-files", dry_run=True)["orphaned-files"].found == 0
    assert files.owned_keys(db.session(), stored()) == stored() == {row.file_key, received, *renditions}


def test_a_file_that_pictures_share_goes_with_the_last_of_them(ann: Person) -> None:
    make_job(ann, states=("succeeded", "succeeded"))
    first, second = ids(Image)
    row = db.session.get_one(Image, first)
    key, other = row.file_key, db.session.get_one(Image, second).file_key
    if other != key:
        runtime.storage.delete(other)
    change(Image, file_key=key, sha256=row.sha256)
    make_old(key)
    for row_id, left in ((first, {key}), (second, set())):
        with unit_of_work() as uow:
            uow.execute(update(Image).where(Image.id == row_id).values(deleted_at=now() - 31 * DAY))
        clean()
        assert stored() == left


def test_the_same_content_of_another_person_is_another_file(ann: Person) -> None:
    make_job(ann)
    row = db.session.scalars(select(Image)).one()
    theirs = put(keys.rendition_key(ann.organisation.public_id, new_id(), row.sha256, 16))

    clean("orphaned-files")
    assert theirs not in stored()


def test_storage_that_takes_its_time_keeps_nobody_from_writing_pictures(
    ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphans = {orphan(ann, number) for number in range(5)}
    begun: list[int] = []

    def counted() -> Any:
        begun.append(len(orphans & stored()))
        return unit_of_work()

    monkeypatch.setattr(files, "unit_of_work", counted)
    monkeypatch.setattr(files, "LONGEST_HELD", 0.0)

    assert clean("orphaned-files")["orphaned-files"].removed == 5
    assert begun == [5, 4, 3, 2, 1]


def test_the_trash_is_emptied_a_few_pictures_at_a_time(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    make_job(ann, states=("succeeded",) * 7)
    change(Image, deleted_at=now() - 31 * DAY)
    forgotten: list[int] = []
    forget = rows._forget

    def counted(*, ids: Any, over: Any) -> set[int]:
        forgotten.append(len(ids))
        return forget(ids=ids, over=over)

    monkeypatch.setattr(rows, "_AT_ONCE", 3)
    monkeypatch.setattr(rows, "_forget", counted)

    assert clean("trash")["trash"].removed == 7
    assert forgotten == [3, 3, 1]


def test_what_gets_a_picture_or_is_put_again_meanwhile_stays(ann: Person) -> None:
    make_job(ann)
    adopted, renewed, left = (orphan(ann, number) for number in (1, 2, 3))
    duty = DUTIES["orphaned-files"]
    found = list(duty.find(now()))
    assert len(found) == 3 and duty.remove is not None
    change(Image, received_key=adopted, received_sha256=f"{1:064x}")
    with runtime.storage.workspace() as folder:
        (folder / "x").write_bytes(b"pixels")
        runtime.storage.put(folder / "x", renewed)

    assert [finding.ref for finding in duty.remove(found, now())] == [left]
    assert {adopted, renewed} < stored() and left not in stored()


def test_a_picture_without_its_file_is_told_and_kept(ann: Person) -> None:
    make_job(ann)
    (key,) = stored()
    runtime.storage.delete(key)

    found = clean("missing-files")["missing-files"]
    assert (found.found, found.kept, found.removed) == (0, 1, 0)
    assert key in found.examples[0]
    assert len(ids(Image)) == 1


def test_every_column_that_names_a_file_is_asked(app: Flask) -> None:
    """Whoever adds one must tell `owned_keys` of it, or its files are swept."""
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name.endswith("_key") and isinstance(column.type, String) and (column.type.length or 0) >= 200
    }
    assert columns == {"images.file_key", "images.received_key"}


def test_both_questions_about_a_file_find_their_index(app: Flask) -> None:
    indexed = {tuple(index["column_names"]) for index in inspect(db.engine).get_indexes("images")}
    assert {("organisation_id", "sha256"), ("organisation_id", "received_sha256")} <= indexed


def test_temporary_files_of_the_dead_go_after_a_day(ann: Person, data_folder: Path) -> None:
    scratch = data_folder / "files" / ".scratch"
    old = scratch / f"w-{int((now() - 2 * DAY).timestamp())}-{'0' * 16}"
    old.mkdir()
    (old / "half").write_bytes(b"written")
    with runtime.storage.workspace() as mine:
        assert clean("temporary-files", dry_run=True)["temporary-files"].examples == (old.name,)
        assert old.exists()
        assert clean("temporary-files")["temporary-files"].removed == 1
        assert mine.is_dir()
    assert not old.exists()


# Rounds


def test_a_round_does_everything_and_a_second_one_finds_nothing(ann: Person) -> None:
    make_job(ann)
    add(_session(ann, OLD), _reset(ann, OLD), _invitation(ann, OLD), _key(ann, OLD), _sent(ann, OLD))
    orphan(ann)
    change(Image, deleted_at=now() - 31 * DAY)

    first = clean()
    assert list(first) == list(DUTIES)
    assert {name for name, result in first.items() if result.removed} == {
        *("sessions", "resets", "invitations", "idempotency-keys", "outbox", "trash", "orphaned-files")
    }
    for key in stored():
        make_old(key)
    clean()
    assert not stored()
    assert not any(result.found or result.kept or result.error for result in clean().values())


def test_more_than_a_batch_is_done_in_batches(ann: Person) -> None:
    add(*(_sent(ann, OLD) for _ in range(450)))
    for number in range(230):
        orphan(ann, number)

    found = clean()
    assert (found["outbox"].removed, found["orphaned-files"].removed) == (450, 230)
    assert len(found["outbox"].examples) == reports.EXAMPLES


def test_a_duty_that_breaks_is_told_and_keeps_no_other_from_its_own(
    ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(runtime.storage, "iter_files", broken)
    add(_sent(ann, OLD))
    found = clean()
    assert [name for name, result in found.items() if result.error] == ["orphaned-files"]
    assert found["outbox"].removed == 1


def test_the_day_is_cleaned_once_and_not_before_its_hour(ann: Person) -> None:
    hour = now().hour
    assert not reports.ask_daily(hour=24)
    assert [reports.ask_daily(hour=hour) for _ in range(3)] == [True, False, False]

    assert reports.clean_next(lambda: False)
    assert not reports.clean_next(lambda: False)
    (done,) = reports.latest()
    assert not done.under_way and not done.died and len(done.results) == len(DUTIES)


def test_a_wish_waits_for_a_scheduler_and_nobody_asks_twice(ann: Person) -> None:
    wished = reports.ask(by=COMMAND_LINE, dry_run=True, only="outbox")
    assert reports.get_round(wished).under_way
    with pytest.raises(Conflict):
        reports.ask(by=COMMAND_LINE, dry_run=False)
    with pytest.raises(NotFound):
        reports.ask(by=COMMAND_LINE, dry_run=False, only="everything")

    assert reports.clean_next(lambda: False)
    assert [result.name for result in reports.get_round(wished).results] == ["outbox"]
    reports.ask(by=COMMAND_LINE, dry_run=False)


def test_a_process_that_is_to_stop_leaves_the_rest(ann: Person) -> None:
    add(_sent(ann, OLD))
    wished = reports.ask(by=COMMAND_LINE, dry_run=False)
    reports.clean_next(lambda: True)

    assert "outbox" not in {result.name for result in reports.get_round(wished).results}
    assert reports.get_round(wished).row.finished_at is None
    change(CleaningReport, seen_at=now() - timedelta(seconds=reports.SILENT_SECONDS + 1))
    assert reports.get_round(wished).died
    reports.ask(by=COMMAND_LINE, dry_run=False)


def test_there_is_no_report_of_what_is_no_id(app: Flask) -> None:
    for strange in ("x", new_id()):
        with pytest.raises(NotFound):
            reports.get_round(strange)
