"""People who read pages one after the other over kept connections: for `bench.streams`.

`python -m bench.reading HOST PORT PATH COOKIE READERS EVERY` reads until a line comes in, then prints the
milliseconds of each page as a list of JSON.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from imagegen.settings import PROJECT_ROOT


@contextmanager
def reading(host: str, port: int, path: str, cookie: str, *, readers: int, every: float) -> Iterator[list[float]]:
    """Have `readers` ask for a page each `every` seconds; the list is filled with milliseconds at the end."""
    command = [sys.executable, "-m", "bench.reading", host, str(port), path, cookie, str(readers), str(every)]
    times: list[float] = []
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield times
        times += json.loads(process.communicate("enough\n", timeout=60)[0])


def _read(host: str, port: int, path: str, cookie: str, every: float, over: threading.Event) -> list[float]:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    headers = {"Cookie": cookie, "Accept": "text/html", "Accept-Encoding": "gzip"}
    times: list[float] = []
    while not over.wait(every):
        began = time.monotonic()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert answer.read() and answer.status == 200, answer.status
        times.append(1000 * (time.monotonic() - began))
    return times


def main() -> None:
    """Read."""
    host, port, path, cookie, readers, every = sys.argv[1:]
    over = threading.Event()
    times: list[float] = []

    def read() -> None:
        times.extend(_read(host, int(port), path, cookie, float(every), over))

    people = [threading.Thread(target=read) for _ in range(int(readers))]
    for number, person in enumerate(people):
        person.start()
        time.sleep(float(every) / len(people) if number < len(people) - 1 else 0)
    sys.stdin.readline()
    over.set()
    for person in people:
        person.join()
    print(json.dumps(times))


if __name__ == "__main__":
    main()
