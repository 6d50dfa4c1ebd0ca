"""Many open pages from one cheap process: for `bench.streams`.

`python -m bench.crowd HOST PORT` takes lines of JSON: `{"open": [[path, cookie], ...]}` opens that many streams more
and answers how many are open; `{"take": true}` answers `[[stream, moment], ...]`: which streams have heard of an
event since, and when by the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any, Self

from imagegen.settings import PROJECT_ROOT

AT_ONCE = 20
LONGEST_LINE = 64 << 20


class Ear(asyncio.Protocol):
    """One stream: notes when it hears of an event, and reads nothing of it."""

    def __init__(self, number: int, request: bytes, heard: list[tuple[int, float]]) -> None:
        self._number = number
        self._request = request
        self._heard = heard
        self._head = b""
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note the moment if an event begins in `data`."""
        if not self.opened.done():
            self._head += data
            if b"retry: " in self._head:
                assert self._head.startswith(b"HTTP/1.1 200"), self._head
                self.opened.set_result(None)
        elif b"\nid: " in data:
            self._heard.append((self._number, time.monotonic()))

    def connection_lost(self, error: Exception | None) -> None:
        """Say when a stream could not be opened."""
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"no stream: {self._head[:300]!r}"))


class Crowd:
    """The side of whoever measures; a context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._command = [sys.executable, "-m", "bench.crowd", host, str(port)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the crowd has gone"
        return json.loads(answer)

    def open(self, pages: list[tuple[str, str]]) -> int:
        """Open a stream for each path and cookie; return how many are open."""
        found: int = self._say({"open": pages})
        return found

    def take(self) -> list[tuple[int, float]]:
        """Return which streams have heard of an event since this was last asked, and when."""
        return [(number, moment) for number, moment in self._say({"take": True})]


async def _listen(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    heard: list[tuple[int, float]] = []
    count, gate = 0, asyncio.Semaphore(AT_ONCE)

    async def open_one(number: int, path: str, cookie: str) -> None:
        head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\nCookie: {cookie}\r\n\r\n"
        async with gate:
            _, ear = await loop.create_connection(lambda: Ear(number, head.encode(), heard), host, port)
            await asyncio.wait_for(ear.opened, 60)

    while line := await orders.readline():
        order = json.loads(line)
        if "open" in order:
            await asyncio.gather(*(open_one(count + n, *page) for n, page in enumerate(order["open"])))
            count += len(order["open"])
            print(count, flush=True)
        else:
            print(json.dumps(heard), flush=True)
            heard.clear()


if __name__ == "__main__":
    asyncio.run(_listen(sys.argv[1], int(sys.argv[2])))
