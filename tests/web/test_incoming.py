"""A file on its way in, over a real socket: cut, slow, endless, too long; and the page's own route."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from imagegen.extensions import db, runtime
from imagegen.models import Image, system_scope
from imagegen.web import incoming
from tests.conftest import Person
from tests.imaging import specimens
from tests.waiting import LATE, eventually
from tests.web.listening import Server

PATH = "/api/v1/images/upload"
PICTURE = specimens.encoded("png", specimens.scene(400, 400))
HEAD = b'--xXx\r\nContent-Disposition: form-data; name="file"; filename="sea.png"\r\n\r\n'
TAIL = b"\r\n--xXx--\r\n"
BODY = HEAD + PICTURE + TAIL


def left() -> tuple[int, list[str], list[str]]:
    """Return what there is of pictures: rows, files, workspaces."""
    db.session.rollback()
    with system_scope():
        rows = db.session.scalar(select(func.count(Image.id))) or 0
    return rows, list(runtime.storage.iter_keys()), runtime.storage.left_workspaces(timedelta(seconds=-60))


NOTHING = (0, [], [])


class Caller:
    """A program that sends an upload byte by byte."""

    def __init__(self, server: Server, token: str) -> None:
        self._port, self._token = server.port, token

    def begin(self, length: int | None, *more: str) -> socket.socket:
        """Send the head of a request; return the connection."""
        lines = [f"POST {PATH} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self._token}"]
        lines += ["Content-Type: multipart/form-data; boundary=xXx", *more]
        lines += [f"Content-Length: {length}"] if length is not None else []
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        return connection

    def status(self, connection: socket.socket) -> int:
        """Read the answer; return its status."""
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.read()
        connection.close()
        return answer.status


@pytest.fixture
def caller(server: Server, ann: Person) -> Caller:
    return Caller(server, ann.token("write"))


def test_a_whole_upload_comes_in(caller: Caller) -> None:
    connection = caller.begin(len(BODY))
    connection.sendall(BODY)
    assert caller.status(connection) == 201
    assert left()[0] == 1


@settings(max_examples=25)
@given(at=st.one_of(st.integers(0, len(HEAD) + 20), st.integers(0, len(BODY) - 1), st.just(len(BODY) - 1)))
def test_an_upload_cut_at_any_byte_leaves_nothing(caller: Caller, at: int) -> None:
    connection = caller.begin(len(BODY))
    connection.sendall(BODY[:at])
    connection.shutdown(socket.SHUT_WR)
    assert caller.status(connection) == 400
    assert left() == NOTHING


def test_one_who_goes_away_leaves_nothing(caller: Caller) -> None:
    connection = caller.begin(len(BODY))
    connection.sendall(BODY[:2_000])
    eventually(lambda: left()[2])
    connection.close()
    eventually(lambda: left() == NOTHING)


def test_a_body_that_is_too_long_is_read_to_its_end(caller: Caller) -> None:
    length = 3 * incoming.LARGEST_FILE
    connection = caller.begin(length)
    connection.sendall(HEAD + bytes(length - len(HEAD)))  # fails if nobody reads
    assert caller.status(connection) == 413
    assert left() == NOTHING


def test_a_body_that_would_never_end_is_refused_at_once(caller: Caller) -> None:
    connection = caller.begin(1 << 40)
    began = time.monotonic()
    assert caller.status(connection) == 413
    assert time.monotonic() - began < LATE


def test_a_body_without_a_length_is_refused_and_the_server_stays_up(caller: Caller) -> None:
    connection = caller.begin(None, "Transfer-Encoding: chunked")
    connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert caller.status(connection) == 400
    assert left() == NOTHING
    test_a_whole_upload_comes_in(caller)


def test_who_sends_too_slowly_is_not_waited_for(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "PATIENCE", 0.5)
    monkeypatch.setattr(incoming, "SLOWEST", 1 << 20)
    connection = caller.begin(len(BODY))
    stopped = threading.Event()

    def drip() -> None:
        for byte in BODY:
            if stopped.wait(0.05):
                return
            connection.send(bytes((byte,)))

    dripping = threading.Thread(target=drip)
    dripping.start()
    began = time.monotonic()
    try:
        answer = http.client.HTTPResponse(connection)
        answer.begin()
    finally:
        stopped.set()
        dripping.join()
        connection.close()
    assert answer.status == 400
    assert time.monotonic() - began < LATE
    eventually(lambda: left() == NOTHING)


def test_one_who_may_not_is_refused_before_anything_is_stored(
    server: Server, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the body was read")

    monkeypatch.setattr(incoming._Receiver, "read", never)
    caller = Caller(server, ann.token("read"))
    connection = caller.begin(len(BODY))
    connection.sendall(BODY)
    assert caller.status(connection) == 403


Post = Callable[..., object]


@pytest.fixture
def post(app: Flask, ann: Person) -> Post:
    """Send a file as the page does."""

    def send(data: bytes, name: str = "Sea shore.png", *, partial: bool = True, token: str | None = None) -> object:
        csrf = ann.csrf() if token is None else token
        headers = {"HX-Request-Type": "partial", "X-CSRFToken": csrf} if partial else {}
        form = {"csrf_token": csrf} if not partial else {}
        return ann.client.post("/library/upload", data=form | {"file": (BytesIO(data), name)}, headers=headers)

    return send


def test_the_page_gets_the_new_tile(post: Post) -> None:
    answer = post(PICTURE)
    assert answer.status_code == 201
    assert "data-uploaded=" in answer.text
    assert "data-earlier" not in answer.text
    assert "<html" not in answer.text


def test_the_page_gets_the_earlier_tile_and_hears_so(post: Post) -> None:
    post(PICTURE)
    answer = post(PICTURE)
    assert answer.status_code == 200
    assert "data-earlier" in answer.text
    assert "You have this picture already." in answer.text


@pytest.mark.parametrize(
    ("data", "status", "word"), [(b"hello", 415, "JPEG or PNG"), (PICTURE[:900], 422, "damaged"), (b"", 422, "empty")]
)
def test_the_page_gets_a_sentence(post: Post, data: bytes, status: int, word: str) -> None:
    answer = post(data)
    assert answer.status_code == status
    assert word in answer.text
    assert "data-refused" in answer.text
    assert "data-again" not in answer.text


def test_a_form_without_scripts_leads_to_the_picture(post: Post) -> None:
    answer = post(PICTURE, partial=False)
    assert answer.status_code == 303
    assert answer.location.startswith("/library/0")
    assert post(b"hello", "x.png", partial=False).status_code == 415


@pytest.mark.parametrize("partial", [True, False])
def test_a_form_of_another_page_is_refused(post: Post, partial: bool) -> None:
    assert post(PICTURE, partial=partial, token="forged").status_code == 400
    assert left() == NOTHING


def test_a_name_hurts_nobody(post: Post) -> None:
    assert "<script" not in post(PICTURE, "<script>alert(1)</script>.png").text


def test_other_forms_keep_their_own_limit(ann: Person) -> None:
    """B17: what is for files is not for words."""
    headers = {"X-CSRFToken": ann.csrf()}
    many = {f"field-{number}": "x" for number in range(5_000)}
    assert ann.client.post("/generate", data=many, headers=headers).status_code in (413, 422)
    assert ann.client.post("/generate", data={"prompt": "x" * (10 << 20)}, headers=headers).status_code == 413
