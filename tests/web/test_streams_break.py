"""Promises of live pages: what breaks beside them does not silence them."""

from __future__ import annotations

import json
import time

import pytest
from flask import Flask

from imagegen.extensions import EVENTS_CHANNEL, runtime
from imagegen.services import events as services_events
from imagegen.services import jobs
from imagegen.web import live, sse
from tests.conftest import Person
from tests.waiting import LATE, eventually
from tests.web.listening import Server, latest, open_stream
from tests.web.rows import make_job, say


@pytest.mark.parametrize("strange", [b"", b"abc", b"\xff", b"-1", b"9" * 400, "٣".encode(), b"1e3", b"0"])
def test_strange_messages_in_redis_do_no_harm(
    server: Server, ann: Person, numbers: None, monkeypatch: pytest.MonkeyPatch, strange: bytes
) -> None:
    monkeypatch.setattr(sse, "ASK_SECONDS", 60)
    made = make_job(ann, states=("running",))
    listener = open_stream(server, ann)
    say(ann, made)
    listener.next()  # the hub listens
    runtime.redis.publish(EVENTS_CHANNEL, strange)
    say(ann, made)
    assert json.loads(listener.next().data) == [latest(ann)]


def test_an_announcement_that_got_lost_is_made_up_for(
    server: Server, ann: Person, numbers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "PING_SECONDS", 0.1)
    made = make_job(ann, states=("running",))
    listener = open_stream(server, ann)
    monkeypatch.setattr(services_events, "announce", lambda _organisation: None)
    say(ann, made)
    assert json.loads(listener.next().data) == [latest(ann)]


def test_what_was_announced_while_the_line_to_redis_was_cut_arrives(
    server: Server, ann: Person, numbers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_job(ann, states=("running",))
    listener = open_stream(server, ann)
    say(ann, made)
    listener.next()
    with monkeypatch.context() as patched:
        patched.setattr(services_events, "announce", lambda _organisation: None)
        say(ann, made)
    runtime.redis.client_kill_filter(_type="pubsub")
    assert json.loads(listener.next().data) == [latest(ann)]


def test_a_database_that_fails_once_does_not_silence_the_hub(
    server: Server, ann: Person, numbers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "ASK_SECONDS", 0.05)
    made = make_job(ann, states=("running",))
    listener = open_stream(server, ann)
    say(ann, made)
    listener.next()
    real, failures = jobs.events_after, [RuntimeError("gone"), RuntimeError("still gone")]

    def fails(**asked: object) -> object:
        if failures:
            raise failures.pop()
        return real(**asked)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "events_after", fails)
    say(ann, made)
    eventually(lambda: not failures)
    # Of the first may have been read, in one go with an earlier question, before it was to fail.
    say(ann, made)
    while latest(ann) not in json.loads(listener.next().data):
        pass


def test_what_cannot_be_drawn_ends_its_readers_streams_and_no_others(
    server: Server, ann: Person, eve: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = live.pieces

    def fails_for_ann(events: object, *, user_id: int | None) -> str:
        if user_id == ann.user.id:
            raise RuntimeError("a template is broken")
        return real(events, user_id=user_id)  # type: ignore[arg-type]

    monkeypatch.setattr(live, "pieces", fails_for_ann)
    of_ann, of_eve = open_stream(server, ann), open_stream(server, eve)
    anns, evas = make_job(ann, states=("running",)), make_job(eve, states=("running",))
    say(ann, anns)
    say(eve, evas)
    assert [one.data for one in of_ann.until_bye()] == ["shutdown"]
    assert evas.job in of_eve.next().data


def test_pieces_are_drawn_where_only_certain_host_names_are_answered(app: Flask, server: Server, ann: Person) -> None:
    made = make_job(ann, states=("running",))
    app.config["TRUSTED_HOSTS"] = [".studio.example"]
    listener = open_stream(server, ann, Host="one.studio.example")
    say(ann, made)
    assert f'data-poll="/jobs/{made.job}"' in listener.next().data


def test_an_announcement_reaches_a_page_at_once(
    server: Server, ann: Person, numbers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "ASK_SECONDS", 60)
    made = make_job(ann, states=("running",))
    listener = open_stream(server, ann)
    say(ann, made)
    listener.next()  # the hub listens
    begun = time.monotonic()
    say(ann, made)
    listener.next()
    assert time.monotonic() - begun < LATE
