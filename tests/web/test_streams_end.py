"""Promises of live pages: they end when it is due, and leave nothing behind."""

from __future__ import annotations

import time

import pytest
from flask import Flask
from sqlalchemy import delete, update

from imagegen.core.clock import now
from imagegen.models import ApiToken, Membership, Session, User, unit_of_work
from imagegen.web import sse
from imagegen.web.sse import hub
from tests.conftest import Person
from tests.waiting import LATE, eventually
from tests.web.listening import Listener, Server, listening, open_stream
from tests.web.rows import make_job, say


def test_signing_out_ends_the_pages_streams_at_once(server: Server, ann: Person, eve: Person) -> None:
    """Not when their rights are looked at next, which is after half a minute."""
    listener, colleagues = open_stream(server, ann), open_stream(server, eve)
    assert ann.post("/sign-out").status_code == 303
    begun = time.monotonic()
    assert [one.data for one in listener.until_bye()] == ["signed_out"]
    assert time.monotonic() - begun < LATE
    say(eve, make_job(eve, states=("running",)))
    assert colleagues.next().event == "message"


def test_signing_in_anew_ends_the_streams_of_the_session_before(server: Server, ann: Person) -> None:
    listener = open_stream(server, ann)
    form = {"email": ann.user.email, "password": "a long enough password", "csrf_token": ann.csrf()}
    assert ann.client.post("/sign-in", data=form).status_code == 303
    assert [one.data for one in listener.until_bye()] == ["signed_out"]


@pytest.mark.parametrize("lost", ["membership", "account", "session elsewhere", "role"])
def test_whoever_loses_the_right_to_listen_hears_no_more(
    server: Server, ann: Person, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(sse, "RECHECK_SECONDS", 0.2)
    listener = open_stream(server, ann)
    with unit_of_work() as uow:
        if lost == "membership":
            uow.execute(delete(Membership).where(Membership.user_id == ann.user.id))
        elif lost == "role":
            uow.execute(update(Membership).where(Membership.user_id == ann.user.id).values(role="viewer"))
        elif lost == "account":
            uow.execute(update(User).where(User.id == ann.user.id).values(enabled=False))
        else:
            uow.execute(delete(Session))
    assert [one.data for one in listener.until_bye()] == ["signed_out"]


def test_a_revoked_token_hears_no_more(server: Server, ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "RECHECK_SECONDS", 0.2)
    made = make_job(ann, states=("running",))
    listener = Listener(server.port, f"/api/v1/jobs/{made.job}/events", ann.bearer("read"))
    assert listener.next().event == "message"
    with unit_of_work() as uow:
        uow.execute(update(ApiToken).values(revoked_at=now()))
    assert [one.data for one in listener.until_bye()] == ["signed_out"]


def test_rights_are_looked_at_in_time_however_much_is_told(
    server: Server, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not later because the stream was just about to wait for its next ping."""
    monkeypatch.setattr(sse, "RECHECK_SECONDS", 0.5)
    monkeypatch.setattr(sse, "PING_SECONDS", 60)
    listener = open_stream(server, ann)
    with unit_of_work() as uow:
        uow.execute(update(User).values(enabled=False))
    begun = time.monotonic()
    assert [one.data for one in listener.until_bye()] == ["signed_out"]
    assert time.monotonic() - begun < LATE


def test_past_the_limit_a_page_is_told_to_ask_instead(
    server: Server, ann: Person, eve: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "MOST_STREAMS_A_PERSON", 2)
    monkeypatch.setattr(sse, "PING_SECONDS", 0.05)
    first, *others = [open_stream(server, ann) for _ in range(2)]
    assert [one.data for one in server.listen(ann).until_bye()] == ["busy"]
    others.append(open_stream(server, eve))
    assert listening() == 3
    first.close()
    eventually(lambda: listening() == 2)
    others.append(open_stream(server, ann))


def test_a_closed_tab_is_forgotten(server: Server, ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PING_SECONDS", 0.05)
    for listener in [open_stream(server, ann) for _ in range(3)]:
        listener.close()
    eventually(lambda: listening() == 0)
    assert not hub()._audiences


def test_a_stream_that_nobody_reads_is_forgotten(app: Flask, ann: Person) -> None:
    assert ann.client.head("/jobs/stream").status_code == 200
    cookie = ann.client.get_cookie("studio")
    assert cookie is not None
    environ = {"HTTP_COOKIE": f"studio={cookie.value}"}
    with app.test_request_context("/jobs/stream", environ_base=environ) as context:
        request_environ = context.request.environ
    unread = app.wsgi_app(request_environ, lambda *_: lambda _: None)
    assert listening() == 1
    unread.close()  # type: ignore[attr-defined]
    assert listening() == 0


def test_a_stream_asked_for_while_the_server_stops_is_told_so(server: Server, ann: Person) -> None:
    open_one = open_stream(server, ann)
    hub().close()
    assert [one.data for one in open_one.until_bye()] == ["shutdown"]
    assert [one.data for one in server.listen(ann).until_bye()] == ["shutdown"]
