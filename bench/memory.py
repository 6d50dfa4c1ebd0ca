"""Memory of a worker with 16 calls under way, against 16 bare threads with the same imports, and 16 RQ workers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
from redis import Redis
from rq import Queue

from bench.desk import Desk, open_desk
from bench.memory_peer import draw
from bench.table import Baseline, Row
from bench.usage import family, resident_bytes
from imagegen.settings import PROJECT_ROOT
from imagegen.supervisor import redis_server
from tests.waiting import eventually

IN_FLIGHT = 16
WAVES = 3
CALLS = IN_FLIGHT * WAVES
LATENCY = 2.0
EVERY = 0.05
MOST_TIMES_THREADS = 1.4
MEGABYTE = 1_000_000


def run() -> list[Row]:
    """Return the highest that each came to in three waves of calls."""
    with open_desk(latency=LATENCY, workers=1, slots=IN_FLIGHT) as desk, tempfile.TemporaryDirectory() as folder:
        studio = _studio(desk)
        threads = Baseline(f"{IN_FLIGHT} threads, the same imports", _threads(desk, folder))
        processes = _rq(desk, folder)
    limit = MOST_TIMES_THREADS * threads.value
    return [
        Row(f"memory of a worker, {IN_FLIGHT} pictures under way", studio, "MB", threads, limit=limit),
        Row(f"memory of {IN_FLIGHT} RQ workers, one picture each", processes, "MB", threads),
    ]


@contextmanager
def _peak(processes: Callable[[], list[psutil.Process]]) -> Iterator[list[float]]:
    """Look at `processes` all the time; the list's last entry is the most that they held together, in megabytes."""
    highest, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(EVERY):
            highest.append(max(highest[-1], resident_bytes(processes()) / MEGABYTE))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield highest
    finally:
        over.set()
        looking.join()


def _studio(desk: Desk) -> float:
    """Return what a worker, the task that it forked and its pixel pool hold."""
    (worker,) = [found for found in desk.studio.processes("imagegen-worker") if _is_parent(found)]
    with _peak(lambda: family(worker)) as highest:
        desk.seconds(desk.ask(CALLS))
    return highest[-1]


def _is_parent(process: psutil.Process) -> bool:
    return not any("imagegen-worker" in " ".join(parent.cmdline()) for parent in process.parents())


def _threads(desk: Desk, folder: str) -> float:
    command = [sys.executable, "-m", "bench.memory_peer", desk.service.base_url, desk.service.key, folder]
    with subprocess.Popen(
        [*command, str(IN_FLIGHT), str(CALLS)],
        cwd=PROJECT_ROOT,
        # Like the studio's pixel pool: libvips' own threads would each bring their buffers.
        env={**desk.studio.environ, "VIPS_CONCURRENCY": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with _peak(lambda: [psutil.Process(process.pid)]) as highest:
            process.stdin.write("go\n")
            process.stdin.flush()
            assert process.stdout.readline() == "done\n"
        process.terminate()
    return highest[-1]


def _rq(desk: Desk, folder: str) -> float:
    url = f"unix://{redis_server.socket_path(desk.studio.data)}"
    queue = Queue("bench", connection=Redis.from_url(url))
    command = [sys.executable, "-m", "rq.cli", "worker", "--url", url, "--path", str(PROJECT_ROOT)]
    command += ["--worker-class", "rq.SimpleWorker", "--logging_level", "ERROR", "--quiet", "bench"]
    workers = [
        subprocess.Popen(command, cwd=PROJECT_ROOT, env=dict(desk.studio.environ), stdout=subprocess.DEVNULL)
        for _ in range(IN_FLIGHT)
    ]
    try:
        with _peak(lambda: [psutil.Process(worker.pid) for worker in workers]) as highest:
            jobs = [queue.enqueue(draw, desk.service.base_url, desk.service.key, folder) for _ in range(CALLS)]
            eventually(lambda: all(job.get_status() == "finished" for job in jobs), within=120)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return highest[-1]
