"""What a line that goes wrong promises to those who test with it."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests.fakes.tcp_proxy import TcpProxy, Trouble

BODY = b"x" * 2000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + BODY


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while self.rfile.readline().strip():
            while self.rfile.readline().strip():
                pass
            self.wfile.write(ANSWER)


@pytest.fixture
def line() -> Iterator[TcpProxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with TcpProxy(server.server_address) as line:
            yield line
        server.shutdown()


def get(line: TcpProxy, path: str = "/", within: float = 5.0) -> bytes:
    return requests.get(line.url + path, timeout=within).content


def test_without_trouble_everything_comes_through_and_is_noted(line: TcpProxy) -> None:
    assert get(line, "/a") == BODY
    assert [request.split(b"\r\n")[0] for request in line.begun(b"GET /a")] == [b"GET /a HTTP/1.1"]


@pytest.mark.parametrize("reset", [False, True])
def test_an_answer_can_be_cut_in_the_middle(line: TcpProxy, reset: bool) -> None:
    line.trouble = Trouble(cut_after=500, reset=reset)
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as caught:
        get(line)
    assert ("reset" in str(caught.value)) is reset


def test_a_request_can_be_refused(line: TcpProxy) -> None:
    line.trouble = Trouble(cut_after=0)
    with pytest.raises(requests.ConnectionError):
        get(line)


def test_only_those_that_begin_so_are_in_trouble_even_on_one_connection(line: TcpProxy) -> None:
    line.trouble = Trouble(only=b"GET /stream", cut_after=0)
    with requests.Session() as browser:
        assert browser.get(line.url + "/page", timeout=5).content == BODY
        with pytest.raises(requests.ConnectionError):
            browser.get(line.url + "/stream", timeout=5)
        assert browser.get(line.url + "/page", timeout=5).content == BODY


@pytest.mark.parametrize("trouble", [Trouble(delay=0.2), Trouble(drip=(500, 0.06))])
def test_it_can_be_slow_and_still_whole(line: TcpProxy, trouble: Trouble) -> None:
    line.trouble = trouble
    began = time.monotonic()
    assert get(line) == BODY
    assert time.monotonic() - began >= 0.2


def test_a_black_hole_says_nothing_and_does_not_end(line: TcpProxy) -> None:
    line.trouble = Trouble(black_hole=True)
    with pytest.raises(requests.ReadTimeout):
        get(line, within=0.3)


def test_what_is_open_can_be_cut_at_a_chosen_moment(line: TcpProxy) -> None:
    with requests.Session() as browser:
        browser.get(line.url + "/stream", timeout=5)
        assert line.cut(b"GET /page") == 0
        assert line.cut(b"GET /stream") == 1
