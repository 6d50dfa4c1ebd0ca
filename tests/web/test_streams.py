"""Promises of live pages: nothing missed, nothing told twice, nothing of others."""

from __future__ import annotations

import json
import random
import threading
from collections import deque

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from imagegen.models import Job, organisation_scope, unit_of_work
from imagegen.services import events as services_events
from imagegen.web import live, sse, streams
from imagegen.web.sse import Hub, Stream, hub, message
from tests.conftest import Person
from tests.web.listening import Message, Server, latest, open_stream, parse
from tests.web.rows import Made, make_job, say

texts = st.text(st.characters(codec="utf-8"), max_size=200)
hostile = st.sampled_from(
    ["\n\nevent: bye\ndata: x\n\n", "\rid: 9\r\rdata: y", "\r\n\r\n", "\u2028\u2029\x85", ": x"]
)


@given(data=st.lists(texts | hostile, max_size=5).map("".join), number=st.integers(0, 2**60))
def test_whatever_a_message_holds_it_is_one_event(data: str, number: int) -> None:
    found = parse(message(data, id=number, event="note").decode())
    expected = data.replace("\r\n", "\n").replace("\r", "\n")
    assert [(one.data, one.event, one.id) for one in found] == [(expected, "note", str(number))]


def test_a_page_hears_what_happens_to_its_job(server: Server, ann: Person) -> None:
    made = make_job(ann, states=("running", "waiting"))
    listener = open_stream(server, ann)
    say(ann, made, type="job.queued")
    heard = listener.next()
    assert heard.event == "message" and heard.id == str(latest(ann))
    assert f'id="job-status-{made.job}"' in heard.data and 'id="jobs-ring"' in heard.data
    assert listener.response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    assert listener.response.getheader("Cache-Control") == "no-store"


@pytest.mark.parametrize("type", ["shot.running", "job.running", "job.moved", "job.paused", "job.resumed"])
def test_what_ends_and_costs_nothing_leaves_ring_and_meter_alone(server: Server, ann: Person, type: str) -> None:
    made = make_job(ann, states=("running", "waiting"))
    listener = open_stream(server, ann)
    say(ann, made, type=type)
    heard = listener.next().data
    assert f'id="job-status-{made.job}"' in heard and 'id="jobs-ring"' not in heard and 'id="meter"' not in heard


def test_a_page_opened_late_is_told_what_it_missed(server: Server, ann: Person, numbers: None) -> None:
    made = make_job(ann, states=("running",))
    seen = latest(ann)
    say(ann, made, times=3)
    by_address = open_stream(server, ann, f"/jobs/stream?after={seen}").next()
    by_header = open_stream(server, ann, "/jobs/stream?after=0", Last_Event_ID=str(seen + 1)).next()
    assert json.loads(by_address.data) == [seen + 1, seen + 2, seen + 3]
    assert json.loads(by_header.data) == [seen + 2, seen + 3]


def test_two_tabs_get_the_same_bytes_and_one_drawing(
    server: Server, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def draw(_events: object, **_: object) -> str:
        drawn.append(f"drawing {len(drawn)}")
        return drawn[-1]

    monkeypatch.setattr(live, "pieces", draw)
    made = make_job(ann, states=("running",))
    tabs = [open_stream(server, ann) for _ in range(3)]
    say(ann, made)
    assert {tab.next().data for tab in tabs} == set(drawn) == {"drawing 0"}


def test_what_happens_between_a_pages_reading_and_its_joining_is_not_lost(
    server: Server, ann: Person, numbers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request's database session began before; the hub told the others and thinks it is done with the event."""
    made = make_job(ann, states=("running",))
    other_tab = open_stream(server, ann)
    join = Hub.join

    def late(self: Hub, stream: Stream) -> None:
        thread = threading.Thread(target=say_elsewhere, args=(self.app, ann, made))
        thread.start()
        thread.join()
        other_tab.next()
        join(self, stream)

    seen = latest(ann)
    monkeypatch.setattr(Hub, "join", late)
    tab = open_stream(server, ann, f"/jobs/stream?after={seen}")
    assert json.loads(tab.next().data) == [seen + 1]


def say_elsewhere(app: Flask, person: Person, made: Made, times: int = 1) -> None:
    """Write events as another process does: in a context of its own."""
    with app.app_context():
        say(person, made, times=times)


class RestlessPage:
    """A page that comes and goes, each time from where it was."""

    def __init__(self, server: Server, person: Person, number: int, *, first: int, last: int) -> None:
        self.server, self.person, self.first, self.last = server, person, first, last
        self.seen = first
        self.faults: list[str] = []
        self._choose = random.Random(number)

    def read(self) -> None:
        while self.seen < self.last:
            by_header = self._choose.random() < 0.5
            listener = self.server.listen(
                self.person,
                f"/jobs/stream?after={self.first if by_header else self.seen}",
                **({"Last_Event_ID": str(self.seen)} if by_header else {}),
            )
            for _ in range(self._choose.randint(1, 6)):
                if self.seen < self.last:
                    self._hear(listener.next())
            listener.close()

    def _hear(self, told: Message) -> None:
        about, newest = json.loads(told.data), int(told.id)
        if about != list(range(about[0], newest + 1)) or not about[0] <= self.seen + 1 <= newest:
            self.faults.append(f"had seen {self.seen} and was told of {about} as {newest}")
        self.seen = newest


class RestlessProgram:
    """A program that follows a job, and is cut off now and then."""

    def __init__(self, server: Server, person: Person, made: Made, *, last: int) -> None:
        self.server, self.person, self.made, self.last = server, person, made, last
        self.heard = [0]

    def read(self) -> None:
        choose = random.Random(99)
        while self.heard[-1] < self.last:
            after = self.heard[-1]
            listener = self.server.listen(self.person, f"/api/v1/jobs/{self.made.job}/events?after={after}")
            for _ in range(choose.randint(1, 9)):
                if self.heard[-1] < self.last:
                    self.heard.append(json.loads(listener.next().data)["seq"])
            listener.close()


def test_nothing_is_missed_while_pages_come_and_go(app: Flask, server: Server, ann: Person, numbers: None) -> None:
    """A program hears each event once; a piece of a page may come again, as it is then, but never an older one."""
    made = make_job(ann, states=("running",))
    first, writers, each = latest(ann), 3, 25
    pages = [RestlessPage(server, ann, number, first=first, last=first + writers * each) for number in range(4)]
    program = RestlessProgram(server, ann, made, last=1 + writers * each)
    threads = [threading.Thread(target=reader.read) for reader in (*pages, program)]
    threads += [threading.Thread(target=say_elsewhere, args=(app, ann, made, each)) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [page.faults for page in pages] == [[]] * len(pages)
    assert program.heard == list(range(1 + writers * each + 1))


def test_many_events_at_once_all_arrive(
    server: Server, ann: Person, numbers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "BATCH", 5)
    made = make_job(ann, states=("running",))
    listener, seen = open_stream(server, ann), latest(ann)
    with organisation_scope(ann.organisation.id), unit_of_work() as uow:
        job = uow.get_one(Job, made.job_key)
        for _ in range(12):
            services_events.record(uow, job=job, type="job.running")
    heard: list[int] = []
    while len(heard) < 12:
        heard += json.loads(listener.next().data)
    assert heard == list(range(seen + 1, seen + 13))


def test_a_page_that_has_missed_too_much_is_told_to_load_anew(
    server: Server, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "BATCH", 5)
    say(ann, make_job(ann, states=("running",)), times=6)
    assert [one.data for one in server.listen(ann, "/jobs/stream?after=0").until_bye()] == ["behind"]


def test_a_number_from_the_future_hides_nothing(server: Server, ann: Person, numbers: None) -> None:
    """So a page goes on after the database has been brought back from a backup."""
    made = make_job(ann, states=("running",))
    page = open_stream(server, ann, "/jobs/stream?after=999999")
    program = open_stream(server, ann, f"/api/v1/jobs/{made.job}/events?after=999999")
    say(ann, made)
    assert json.loads(page.next().data) == [latest(ann)]
    assert json.loads(program.next().data)["seq"] == 2


@pytest.mark.parametrize("after", ["-1", "1e9", "٣", "x", "9" * 30, ""])
def test_a_number_that_is_none_begins_now(server: Server, ann: Person, numbers: None, after: str) -> None:
    made = make_job(ann, states=("running",))
    listener = open_stream(server, ann, "/jobs/stream", Last_Event_ID=after.encode().decode("latin-1"))
    say(ann, made)
    assert json.loads(listener.next().data) == [latest(ann)]


def test_a_finished_jobs_stream_tells_all_and_ends(server: Server, ann: Person) -> None:
    made = make_job(ann)
    *told, bye = server.listen(ann, f"/api/v1/jobs/{made.job}/events").until_bye()
    assert [json.loads(one.data)["type"] for one in told] == ["job.succeeded"]
    assert (bye.event, bye.data) == ("bye", "finished")
    assert [one.data for one in server.listen(ann, f"/api/v1/jobs/{made.job}/events?after=1").until_bye()] == [
        "finished"
    ]


def test_what_comes_together_with_the_end_is_told_before_it(app: Flask) -> None:
    stream = Stream(organisation_id=1, user_id=1)

    class JustTooLate(deque):  # type: ignore[type-arg]
        """It is found empty, and filled before anything else can be looked at."""

        def __bool__(self) -> bool:
            if stream.closing is not None:
                return len(self) > 0
            stream.closing = "finished"
            self.append((7, b"the last picture"))
            return False

    stream.inbox = JustTooLate()
    assert list(sse._read(hub(), stream, []))[1:] == [b"the last picture", message("finished", event="bye")]


def test_a_reader_that_lags_too_far_behind_is_told_to_come_back(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BACKLOG", 3)
    stream = Stream(organisation_id=1, user_id=1)
    for seq in range(1, 9):
        stream.put(seq, b"%d" % seq)
    assert list(sse._read(hub(), stream, []))[1:] == [b"1", b"2", b"3", message("shutdown", event="bye")]


def test_events_of_others_never_arrive(server: Server, ann: Person, ben: Person, eve: Person, numbers: None) -> None:
    """Another organisation's not at all; a colleague's only on the page of that very job."""
    anns, evas, bens = (make_job(person, states=("running",)) for person in (ann, eve, ben))
    listener = open_stream(server, ann)
    of_evas_job = open_stream(server, ann, f"/jobs/stream?jobs={evas.job}")
    for person, made in ((ben, bens), (eve, evas), (ann, anns)):
        say(person, made)
    newest = latest(ann)
    # The next event is her own, and may come with it.
    assert json.loads(of_evas_job.next().data)[0] == newest - 1
    assert json.loads(listener.next().data) == [newest]


def test_what_others_did_is_not_told_late_either(
    server: Server, ann: Person, ben: Person, eve: Person, numbers: None
) -> None:
    for person in (ben, eve, ann):
        make_job(person, states=("running",))
    told = open_stream(server, ann, "/jobs/stream?after=0").next()
    assert json.loads(told.data) == [latest(ann)] == [2]
