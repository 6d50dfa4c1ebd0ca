"""The one way to write: short, whole or not at all, never nested, and heard of only once it is committed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import NullPool, create_engine, func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from imagegen.extensions import db, in_app_context
from imagegen.models import Event, Job, Organisation, UnitOfWork, system_scope, unit_of_work, writes
from imagegen.services import events
from imagegen.settings import Settings
from tests.models.conftest import Place
from tests.models.rows import add_member


def names() -> list[str]:
    """Return the organisations' names."""
    return sorted(db.session.scalars(select(Organisation.name)))


def test_the_session_that_pages_read_from_cannot_write(app: Flask) -> None:
    add_member()

    for statement in ("UPDATE organisations SET name = 'Mine'", "DELETE FROM organisations"):
        with pytest.raises(DBAPIError, match=r"readonly|read-only"):
            db.session.execute(text(statement))
        db.session.rollback()
    db.session.add(Organisation(name="Mine"))
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        db.session.commit()
    db.session.rollback()
    assert names() == ["One"]


def test_reading_stays_reading_on_a_connection_that_has_written_before(app: Flask) -> None:
    add_member()
    with unit_of_work() as uow:
        uow.execute(update(Organisation).values(name="Renamed"))

    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        db.session.execute(text("DELETE FROM organisations"))
    db.session.rollback()
    with unit_of_work() as uow:
        uow.execute(update(Organisation).values(name="Again"))
    assert names() == ["Again"]


def test_a_unit_of_work_is_committed_at_its_end(app: Flask) -> None:
    with unit_of_work() as uow:
        uow.add(Organisation(name="One"))
        assert names() == []
        db.session.rollback()

    assert names() == ["One"]


def test_an_exception_rolls_everything_back(app: Flask) -> None:
    with pytest.raises(ZeroDivisionError), unit_of_work() as uow:
        uow.add(Organisation(name="One"))
        uow.flush()
        raise ZeroDivisionError

    assert names() == []
    add_member()
    assert names() == ["One"]


def test_a_unit_of_work_within_another_is_refused_and_the_outer_one_rolled_back(app: Flask) -> None:
    with pytest.raises(RuntimeError, match="within another"), unit_of_work() as uow:
        uow.add(Organisation(name="One"))
        add_member()

    assert names() == []
    add_member()


def test_the_readers_snapshot_ends_when_its_own_thread_has_written(app: Flask) -> None:
    assert names() == []
    add_member()
    assert names() == ["One"]


def test_what_others_wrote_is_not_seen_in_the_middle_of_a_page(app: Flask) -> None:
    assert names() == []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(in_app_context(add_member)).result()

    assert names() == []
    db.session.rollback()
    assert names() == ["One"]


def test_writers_wait_for_each_other_and_lose_nothing(app: Flask) -> None:
    member = add_member()
    start = threading.Barrier(6)

    def count_up(_: int) -> None:
        start.wait()
        for _ in range(5):
            with unit_of_work() as uow:
                # Read, then write: a transaction that began by reading would fail here under others' writes.
                place = uow.get_one(Organisation, member.organisation_id, with_for_update=True)
                place.settings = {"count": place.settings.get("count", 0) + 1}

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(in_app_context(count_up), range(6)))

    db.session.rollback()
    assert db.session.get_one(Organisation, member.organisation_id).settings == {"count": 30}


class TestWithEveryConnectionTaken:
    """As many readers as there are connections, all of whom then write."""

    CONNECTIONS = 25

    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        """The smallest pool: five connections, and twenty more when they are wanted."""
        return {"shots_per_worker": 1}

    def test_whoever_has_read_and_then_writes_waits_for_nobody_who_does_the_same(self, app: Flask) -> None:
        assert db.engine.pool.size() + db.engine.pool._max_overflow == self.CONNECTIONS
        start = threading.Barrier(self.CONNECTIONS)

        def read_and_write(number: int) -> None:
            names()
            start.wait()
            with unit_of_work() as uow:
                uow.add(Organisation(name=str(number)))

        with ThreadPoolExecutor(self.CONNECTIONS) as pool:
            list(pool.map(in_app_context(read_and_write), range(self.CONNECTIONS)))

        assert len(names()) == self.CONNECTIONS


def test_what_was_read_before_can_be_used_while_writing_without_reading_it_again(app: Flask) -> None:
    member = add_member()
    place = db.session.get_one(Organisation, member.organisation_id)
    with unit_of_work() as uow:
        uow.get_one(Organisation, place.id).name = place.name + " and more"
        assert not db.session().in_transaction()

    assert place.name == "One and more"


def test_what_waits_for_the_commit_is_called_after_it_in_order_and_can_read_and_write(app: Flask) -> None:
    heard: list[object] = []
    with unit_of_work() as uow:
        uow.add(Organisation(name="One"))
        uow.after_commit(lambda: heard.append(names()))
        uow.after_commit(lambda: heard.append(add_member("bob", "Two")))
        assert heard == []

    assert heard[0] == ["One"]
    assert names() == ["One", "Two"]


def test_what_waits_for_the_commit_is_never_called_when_there_is_none(app: Flask) -> None:
    heard: list[str] = []
    with pytest.raises(ZeroDivisionError), unit_of_work() as uow:
        uow.after_commit(lambda: heard.append("rolled back"))
        raise ZeroDivisionError
    with pytest.raises(IntegrityError), unit_of_work() as uow:
        uow.after_commit(lambda: heard.append("refused at the end"))
        uow.add(Organisation(name=None))

    assert heard == []


class _Lost(Exception):
    """How a driver says that two transactions were in each other's way."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "23505"])
def test_a_verb_that_lost_against_another_is_run_once_more(app: Flask, sqlstate: str) -> None:
    tries: list[int] = []

    @writes
    def rename(uow: UnitOfWork, *, name: str) -> str:
        tries.append(1)
        uow.add(Organisation(name=name))
        uow.flush()
        if len(tries) == 1:
            raise OperationalError("UPDATE", {}, _Lost(sqlstate))
        return name

    assert rename(name="One") == "One"
    assert (len(tries), names()) == (2, ["One"])


@pytest.mark.parametrize(("sqlstate", "runs"), [("40001", 2), ("23502", 1), (None, 1)])
def test_a_verb_is_not_run_for_ever_nor_for_other_reasons(app: Flask, sqlstate: str | None, runs: int) -> None:
    tries: list[int] = []

    @writes
    def fail(uow: UnitOfWork) -> None:
        tries.append(1)
        raise OperationalError("UPDATE", {}, _Lost(sqlstate) if sqlstate else Exception("locked"))

    with pytest.raises(OperationalError):
        fail()
    assert len(tries) == runs


def test_numbers_of_events_follow_the_commits(one: Place) -> None:
    start = threading.Barrier(6)

    def tell(number: int) -> None:
        start.wait()
        for _ in range(4):
            with system_scope(), unit_of_work() as uow:
                job = uow.get_one(Job, one.job.id)
                events.record(uow, job=job, type=f"job.{number}")
                events.record(uow, job=job, type=f"job.{number}")

    seen = 0
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(in_app_context(tell), number) for number in range(6)]
        while not all(future.done() for future in running):
            seen = _nothing_appears_behind(seen)
        for future in running:
            future.result()

    assert _nothing_appears_behind(seen) == 1 + 6 * 4 * 2


def _nothing_appears_behind(seen: int) -> int:
    """Return the highest number; fail if the numbers up to it have a gap, or fewer are there than were seen."""
    db.session.rollback()
    with system_scope():
        count, highest = db.session.execute(select(func.count(Event.id), func.max(Event.organisation_seq))).one()
        last = db.session.scalars(select(Event.seq).order_by(Event.organisation_seq.desc()).limit(1)).one()
    assert count == highest == last >= seen
    return int(highest)


def test_an_event_of_a_rolled_back_change_leaves_no_gap(one: Place) -> None:
    with pytest.raises(ZeroDivisionError), system_scope(), unit_of_work() as uow:
        events.record(uow, job=uow.get_one(Job, one.job.id), type="job.lost")
        uow.before_commit(lambda _: 1 // 0)
    with system_scope(), unit_of_work() as uow:
        events.record(uow, job=uow.get_one(Job, one.job.id), type="job.kept")

    with system_scope():
        found = db.session.execute(select(Event.type, Event.seq, Event.organisation_seq).order_by(Event.id)).all()
    assert [tuple(row) for row in found] == [("job.queued", 1, 1), ("job.kept", 2, 2)]


@pytest.mark.databases("postgresql")
def test_a_database_that_hangs_up_on_a_reader_costs_nobody_the_answer(app: Flask, settings: Settings) -> None:
    with app.app_context():
        mine = db.session.scalar(text("SELECT pg_backend_pid()"))
        with create_engine(settings.database_url, poolclass=NullPool).connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:mine)"), {"mine": mine})

    with app.app_context():
        assert db.session.scalar(text("SELECT 1")) == 1
