"""Promises of a stream's connection: whoever tells many waits for none, and each is told all, in order, by one."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from imagegen.web.connections import Connection
from imagegen.web.streams import Stream, message

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A server's end that never blocks, and a client's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.settimeout(5)
        yield ours, theirs


def environ(connected: socket.socket | None, protocol: str = "HTTP/1.1") -> dict[str, Any]:
    return {"gunicorn.socket": connected, "SERVER_PROTOCOL": protocol}


@pytest.fixture
def stream(pair: Pair) -> Stream:
    """A stream whose reader waits for what happens."""
    return Stream(organisation_id=1, user_id=1, connection=Connection.of(environ(pair[0])), waiting=True)


def chunks(received: bytes) -> list[bytes]:
    """Take apart a body that was sent in chunks."""
    found = []
    while received:
        size, _, received = received.partition(b"\r\n")
        length = int(size, 16)
        assert received[length : length + 2] == b"\r\n"
        found.append(received[:length])
        received = received[length + 2 :]
    return found


def received(theirs: socket.socket) -> bytes:
    """Return what there is to read at once."""
    theirs.setblocking(False)
    found = b""
    try:
        while piece := theirs.recv(1 << 20):
            found += piece
    except BlockingIOError:
        pass
    theirs.settimeout(5)
    return found


def test_a_waiting_reader_is_told_at_once_and_not_woken(stream: Stream, pair: Pair) -> None:
    stream.put(1, message("one"))
    stream.put(2, message("two"))
    assert chunks(received(pair[1])) == [message("one"), message("two")]
    assert not stream.inbox and not stream.stirred.is_set()


def test_what_was_told_when_it_connected_is_not_told_again(stream: Stream, pair: Pair) -> None:
    stream.seen = 7
    stream.put(7, b"old")
    stream.put(8, b"new")
    assert chunks(received(pair[1])) == [b"new"]


def test_while_its_reader_gives_something_out_nobody_else_writes(stream: Stream, pair: Pair) -> None:
    stream.waiting = False
    stream.put(1, b"one")
    stream.waiting = True
    stream.put(2, b"two")
    assert received(pair[1]) == b""
    assert list(stream.unread()) == [b"one", b"two"]


def test_a_connection_that_is_full_keeps_nobody_waiting_and_loses_nothing(stream: Stream, pair: Pair) -> None:
    """What went out in part is ended by its reader, before anything else."""
    ours, theirs = pair
    sent = [bytes([65 + number]) * 300_000 for number in range(4)]
    for number, chunk in enumerate(sent, 1):
        stream.put(number, chunk)
    assert stream.stirred.is_set() and len(stream.inbox) == 3
    stream.waiting = False
    found = received(theirs)
    ours.setblocking(True)  # so does gevent's, for whoever sends by it
    reader = stream.unread()
    rest = next(reader)
    found += received(theirs)
    assert chunks(found) == sent[:1]
    assert [rest, *reader] == sent[1:]


def test_a_connection_that_has_gone_is_left_to_its_reader(stream: Stream, pair: Pair) -> None:
    pair[1].close()
    stream.put(1, b"one")
    assert list(stream.unread()) == [b"one"]
    assert stream.stirred.is_set()


def test_a_stream_knows_without_waiting_whether_its_reader_has_left(stream: Stream, pair: Pair) -> None:
    ours, theirs = pair
    assert not stream.gone
    theirs.sendall(b"said too much")
    assert not stream.gone
    assert ours.recv(100) == b"said too much"
    theirs.close()
    assert stream.gone
    ours.close()
    assert stream.gone


def test_to_a_connection_that_was_closed_here_nothing_is_written(stream: Stream, pair: Pair) -> None:
    """Its number may be another's by now."""
    number = pair[0].fileno()
    pair[0].close()
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert other.fileno() == number
        stream.put(1, b"one")
    assert list(stream.unread()) == [b"one"]


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/2.0", ""])
def test_what_is_not_sent_in_chunks_is_left_to_the_server(pair: Pair, protocol: str) -> None:
    assert Connection.of(environ(pair[0], protocol)) is None


def test_a_connection_on_which_a_writer_would_wait_is_left_to_the_server(pair: Pair) -> None:
    pair[0].setblocking(True)
    assert Connection.of(environ(pair[0])) is None
    assert Connection.of(environ(None)) is None
    assert Connection.of({}) is None


def test_what_is_encrypted_is_left_to_the_server(pair: Pair) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with context.wrap_socket(pair[0], server_side=True, do_handshake_on_connect=False) as encrypted:
        assert Connection.of(environ(encrypted)) is None
