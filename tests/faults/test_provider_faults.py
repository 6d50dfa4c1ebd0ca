"""F5, F20 to F28: the provider refuses, fails, hangs, drips, breaks off, or answers with anything but a picture."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import psutil
import pytest
from sqlalchemy import select

from imagegen.core.errors import ErrorKind
from imagegen.engine import attempts, retries
from imagegen.extensions import db
from imagegen.models import Attempt, Image, LedgerEntry, ProviderState, Reservation, Shot, system_scope
from tests.fakes.file_server import FileServer
from tests.fakes.openai_server import OpenAIServer
from tests.fakes.tcp_proxy import TcpProxy, Trouble
from tests.faults.conftest import PAID
from tests.faults.outcome import expect_settled, expect_sound, statuses
from tests.faults.processes import Fault, Processes, kill, session, task
from tests.models.rows import Member, submit
from tests.waiting import eventually

HELD = {"kind": "none", "hold": True}
DEADLINE = 2
"""Seconds that a call to the provider may take where one is to take too long."""
SLACK = 8.0
"""Seconds by which a busy machine may be late."""
MOST_MEMORY = 100 * 2**20
"""Bytes by which a process may grow over an answer that does not end."""


@pytest.fixture
def at_work(processes: Processes) -> int:
    """A worker and a scheduler; the worker's process id."""
    worker = processes.worker()
    processes.scheduler()
    return worker.pid


def calls() -> list[tuple[str, str | None]]:
    """Return how each call ended and the kind of its error, in order."""
    db.session.rollback()
    with system_scope():
        return [(call.status, call.error_kind) for call in db.session.scalars(select(Attempt).order_by(Attempt.id))]


def sentences() -> list[str]:
    """Return what people are told of the shots."""
    db.session.rollback()
    with system_scope():
        return [
            text or "" for text in db.session.scalars(select(Shot.error_message).order_by(Shot.job_id, Shot.slot))
        ]


def set_aside() -> list[str]:
    """Return what became of the money that was set aside for each shot."""
    db.session.rollback()
    with system_scope():
        return list(db.session.scalars(select(Reservation.status).order_by(Reservation.id)))


def failures_noted() -> int:
    """Return how many failures in a row the studio holds against the provider."""
    db.session.rollback()
    with system_scope():
        return sum(db.session.scalars(select(ProviderState.failures)))


class TestAnsweredThenKilled:
    """F5: what the provider has made is fetched by whoever is there, and asked for once."""

    def test_f05_killed_between_the_answer_and_the_download_the_picture_comes_all_the_same(
        self, processes: Processes, ann: Member, openai: OpenAIServer
    ) -> None:
        openai.script_downloads("hang")
        first = processes.worker()
        submit(ann, **PAID)
        eventually(lambda: openai.fetched)

        kill(first.pid, task())
        processes.worker()
        processes.scheduler()

        expect_settled("succeeded")
        expect_sound(openai)
        assert (len(openai.requests), len(openai.fetched)) == (1, 2)
        assert calls() == [("succeeded", None)]

    def test_f05_killed_with_the_picture_itself_in_hand_its_fate_is_said_to_be_unknown(
        self, processes: Processes, ann: Member, openai: OpenAIServer
    ) -> None:
        processes.worker(Fault("K4 answered, not kept"))
        processes.scheduler()
        submit(ann, **PAID)
        processes.wait_for_the_fault()

        expect_settled("unknown")
        expect_sound(openai)
        assert len(openai.requests) == 1
        assert sentences() == [attempts.LOST]


@pytest.mark.databases("sqlite")  # the database has no part in it
class TestTooMany:
    """F20: the provider wants to be left alone for a while."""

    def test_f20_a_wait_is_honoured_in_seconds_as_a_date_and_where_none_is_named(
        self, at_work: int, ann: Member, openai: OpenAIServer
    ) -> None:
        shortest = retries.RETRIES[ErrorKind.RATE_LIMITED].first_wait
        waits: dict[str, float] = {}
        for way in ("seconds", "date", "absent"):
            before = len(openai.requests)
            told = {
                "seconds": {"retry_after": "3"},
                "date": {"retry_after": format_datetime(datetime.now(UTC) + timedelta(seconds=6), usegmt=True)},
                "absent": {},
            }[way]
            openai.script({"kind": "429"} | told)
            submit(ann, **PAID)
            eventually(lambda before=before: len(openai.requests) == before + 2, within=30)
            refused, again = openai.requests[before:]
            assert (refused.status, refused.billed_micro) == (429, 0)
            waits[way] = again.arrived_at - refused.answered_at

        expect_settled(*["succeeded"] * 3)
        expect_sound(openai)
        assert 3 <= waits["seconds"] < 3 * 1.3 + SLACK
        assert shortest < waits["date"] < 6 * 1.3 + SLACK
        assert shortest <= waits["absent"] < shortest * 1.3 + SLACK
        assert calls() == [("rejected", "rate_limited"), ("succeeded", None)] * 3
        assert failures_noted() == 0

    def test_f20_a_wait_that_nobody_would_sit_through_ends_what_waits_and_is_no_failure_of_the_providers(
        self, at_work: int, ann: Member, openai: OpenAIServer
    ) -> None:
        openai.script({"kind": "429", "retry_after": str(10**9)})
        submit(ann, **PAID, n=1)
        expect_settled("failed")
        submit(ann, **PAID, n=2)

        expect_settled(*["failed"] * 3)
        expect_sound(openai)
        assert (len(openai.requests), openai.bill) == (1, 0)
        assert set_aside() == ["void"] * 3
        assert all("no more requests" in text for text in sentences())
        assert failures_noted() == 0
        with system_scope():
            paused = db.session.scalars(select(ProviderState.paused_until)).one()
        assert paused is not None
        assert paused < datetime.now(UTC) + timedelta(seconds=600)

    def test_f20_a_short_wait_told_last_does_not_cut_a_long_one_short(
        self, at_work: int, ann: Member, openai: OpenAIServer
    ) -> None:
        openai.script({"kind": "429", "retry_after": "5"}, {"kind": "429", "latency": 0.5})
        submit(ann, **PAID, n=2)

        expect_settled("succeeded", "succeeded")
        expect_sound(openai)
        long, _short, *later = sorted(openai.requests, key=lambda seen: seen.answered_at)
        assert [seen.arrived_at - long.answered_at >= 5 for seen in later] == [True, True]


@pytest.mark.databases("sqlite")  # the database has no part in it
def test_f21_server_errors_that_come_at_once_are_tried_again_and_paid_once(
    at_work: int, ann: Member, openai: OpenAIServer
) -> None:
    openai.script("500", "502", "503")
    submit(ann, **PAID, n=2)

    expect_settled("succeeded", "succeeded")
    expect_sound(openai)
    assert sorted(calls()) == [("rejected", "unavailable")] * 3 + [("succeeded", None)] * 2
    assert set_aside() == ["posted", "posted"]


@pytest.mark.databases("sqlite")  # the database has no part in it
def test_f21_server_errors_that_go_on_give_the_money_back(at_work: int, ann: Member, openai: OpenAIServer) -> None:
    openai.script(*["503"] * retries.RETRIES[ErrorKind.UNAVAILABLE].tries)
    submit(ann, **PAID)

    expect_settled("failed")
    expect_sound(openai)
    assert calls() == [("rejected", "unavailable")] * retries.RETRIES[ErrorKind.UNAVAILABLE].tries
    assert (set_aside(), openai.bill) == (["void"], 0)


@pytest.mark.databases("sqlite")  # the database has no part in it
class TestNobodyThere:
    """F21: no connection can be made."""

    @pytest.fixture
    def settings_values(self, settings_values: dict[str, object]) -> Iterator[dict[str, object]]:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            yield settings_values | {"openai_base_url": f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"}

    def test_f21_what_cannot_be_sent_is_tried_again_and_then_given_back(
        self, at_work: int, ann: Member, openai: OpenAIServer
    ) -> None:
        submit(ann, **PAID)

        expect_settled("failed")
        expect_sound(openai)
        assert calls() == [("not_sent", "unavailable")] * retries.RETRIES[ErrorKind.UNAVAILABLE].tries
        assert set_aside() == ["void"]
        assert sentences() == ["OpenAI cannot be reached."]


class TestOnABadLine:
    """F22 to F24: the request arrives, and the answer does not, or not whole, or not in time."""

    @pytest.fixture
    def line(self, openai: OpenAIServer) -> Iterator[TcpProxy]:
        host, port = openai.base_url.removeprefix("http://").removesuffix("/v1").split(":")
        with TcpProxy((host, int(port))) as line:
            yield line

    @pytest.fixture
    def settings_values(self, settings_values: dict[str, object], line: TcpProxy) -> dict[str, object]:
        return settings_values | {"openai_base_url": f"{line.url}/v1", "provider_timeout_seconds": DEADLINE}

    @pytest.mark.databases("sqlite")  # the database has no part in it
    @pytest.mark.parametrize(
        ("trouble", "words"),
        [
            (Trouble(drip=(1, 0.05)), "did not answer in time"),
            (Trouble(cut_after=5000), "broke before the answer came"),
            (Trouble(cut_after=150, reset=True), "broke before the answer came"),
        ],
        ids=["F23 one byte at a time", "F24 cut in the middle", "F24 reset"],
    )
    def test_the_call_ends_in_time_as_unknown_is_explained_and_not_made_again(
        self, at_work: int, ann: Member, openai: OpenAIServer, line: TcpProxy, trouble: Trouble, words: str
    ) -> None:
        line.trouble = trouble
        submit(ann, **PAID)
        eventually(lambda: openai.requests)

        expect_settled("unknown")
        line.trouble = Trouble()
        expect_sound(openai)
        assert (len(openai.requests), openai.bill > 0) == (1, True)
        assert calls() == [("unknown", "unknown")]
        (told,) = sentences()
        assert words in told
        assert "nobody can tell whether it was billed" in told
        with system_scope():
            call = db.session.scalars(select(Attempt)).one()
        assert (call.ended_at - call.sent_at).total_seconds() < DEADLINE + SLACK

    def test_f22_accepted_and_then_silent_a_call_is_open_and_the_rest_of_the_job_goes_on(
        self, at_work: int, ann: Member, openai: OpenAIServer
    ) -> None:
        openai.script("hang", "none", "hang")
        submit(ann, **PAID, n=4)

        expect_settled("unknown", "unknown", "succeeded", "succeeded")
        expect_sound(openai)
        assert len(openai.requests) == 4
        assert sorted(set_aside()) == ["held", "held", "posted", "posted"]
        assert sum("did not answer in time" in text for text in sentences()) == 2


def test_f24_f25_answers_without_a_picture_are_paid_for_kept_in_the_books_and_not_asked_for_again(
    at_work: int, ann: Member, openai: OpenAIServer
) -> None:
    faults = ("broken_base64", "empty_data", "no_data", "wrong_count", "not_a_picture", "address")
    openai.script(*faults)
    submit(ann, **PAID, n=len(faults) + 1)

    expect_settled(*["failed"] * len(faults), "succeeded")
    expect_sound(openai)
    assert len(openai.requests) == len(faults) + 1
    assert calls().count(("billed_no_image", "bad_answer")) == len(faults)
    with system_scope():
        lost = db.session.scalars(select(Attempt).where(Attempt.status == "billed_no_image")).all()
    assert all(call.provider_request_id and call.usage and call.cost_micro for call in lost), "what support asks for"


@pytest.mark.databases("sqlite")  # the database has no part in it
def test_f25_answers_that_are_none_are_booked_at_what_they_may_have_cost(
    at_work: int, ann: Member, openai: OpenAIServer
) -> None:
    faults = ("html", "broken_json", "list", "packed")
    openai.script(*faults, "error_in_200")
    submit(ann, **PAID, n=len(faults) + 1)

    expect_settled(*["failed"] * (len(faults) + 1))
    assert len(openai.requests) == len(faults) + 1
    assert calls() == [("billed_no_image", "bad_answer")] * (len(faults) + 1)
    with system_scope():
        spent = sum(db.session.scalars(select(LedgerEntry.amount_micro).where(LedgerEntry.account == "spend")))
        estimated = sum(db.session.scalars(select(Shot.estimated_micro)))
    assert spent == estimated >= openai.bill > 0


@pytest.mark.databases("sqlite")  # the database has no part in it
def test_f24_f26_what_lies_at_the_address_is_looked_at_whatever_it_is_called(
    at_work: int, ann: Member, openai: OpenAIServer
) -> None:
    bad = ("html_as_picture", "svg", "animated", "html", "empty")
    openai.script_downloads(*bad, "wrong_type")
    submit(ann, **PAID, n=len(bad) + 1)

    expect_settled(*["failed"] * len(bad), "succeeded")
    expect_sound(openai)
    assert (len(openai.requests), len(openai.fetched)) == (len(bad) + 1,) * 2
    assert calls().count(("billed_no_image", "bad_answer")) == len(bad)
    with system_scope():
        assert len(db.session.scalars(select(Image)).all()) == 1


@pytest.mark.databases("sqlite")  # the database has no part in it
def test_f24_a_download_that_breaks_off_is_fetched_again_and_nothing_is_drawn_again(
    at_work: int, ann: Member, openai: OpenAIServer
) -> None:
    openai.script_downloads("cut", "cut_before")
    submit(ann, **PAID)

    expect_settled("succeeded")
    expect_sound(openai)
    assert (len(openai.requests), len(openai.fetched)) == (1, 3)


@pytest.mark.databases("sqlite")  # the database has no part in it
def test_f27_a_redirect_into_this_machine_or_to_a_cloud_s_secrets_is_not_followed(
    at_work: int, ann: Member, openai: OpenAIServer
) -> None:
    with FileServer(b"the canary", "image/png") as canary:
        openai.script_downloads(
            {"kind": "redirect", "to": canary.url},
            {"kind": "redirect", "to": canary.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")},
            "redirect_private",
            "redirect_file",
        )
        submit(ann, **PAID, n=4)

        expect_settled(*["failed"] * 4)
        expect_sound(openai)
        assert canary.hits == []
    assert (len(openai.requests), len(openai.fetched)) == (4, 4)
    assert calls() == [("billed_no_image", "bad_answer")] * 4


@pytest.mark.databases("sqlite")  # it is about memory
def test_f28_what_does_not_end_or_swells_is_cut_off_before_it_fills_the_memory(
    at_work: int, ann: Member, openai: OpenAIServer
) -> None:
    openai.script_downloads()
    submit(ann, **PAID)
    expect_settled("succeeded")  # all is loaded now that a picture takes
    openai.script_downloads("endless", "bomb", "huge_length")
    with watching_memory(at_work) as grown:
        for count in range(1, 4):
            submit(ann, **PAID)
            eventually(lambda count=count: statuses().count("failed") == count, within=60)

    expect_sound(openai)
    assert (len(openai.requests), len(openai.fetched)) == (4, 4)
    assert calls()[1:] == [("billed_no_image", "bad_answer")] * 3
    assert grown and max(grown.values()) < MOST_MEMORY, {pid: f"{size / 2**20:.0f} MB" for pid, size in grown.items()}


@contextmanager
def watching_memory(leader: int) -> Iterator[dict[int, int]]:
    """Watch the processes that `leader` started: by how many bytes each grows at most, by its id."""
    before: dict[int, int] = {}
    grown: dict[int, int] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            for process in session(leader):
                with suppress(psutil.NoSuchProcess):
                    size = process.memory_info().rss
                    grown[process.pid] = max(grown.get(process.pid, 0), size - before.setdefault(process.pid, size))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield grown
    finally:
        over.set()
        watcher.join()
