"""Processor time of a whole delivered picture, from the request to the open page, against the bare minimum."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.desk import EMAIL, PASSWORD, Desk, open_desk
from bench.table import Baseline, Row
from bench.usage import cpu_seconds
from bench.visitor import Visitor
from imagegen.settings import PROJECT_ROOT

JOBS, EACH = 6, 10
LATENCY = 0.5
ROUNDS = 15
MOST_TIMES_BARE = 1.8


def run() -> list[Row]:
    """Return one row: all of the studio's processes, an open page included, against one that only stores pictures."""
    with open_desk(latency=LATENCY) as desk:
        bare = Baseline("one process: decode, write, shrink", _bare(desk.service.answer()))
        Visitor(desk.studio, EMAIL, PASSWORD)
        studio = _per_picture(desk)
    limit = MOST_TIMES_BARE * bare.value
    return [Row("processor time of a delivered picture", studio, "ms", bare, limit=limit)]


def _per_picture(desk: Desk) -> float:
    """Return milliseconds of all of the studio's processes for each of some pictures.

    A first round is not counted, nor is the bare one's: it is in its course that every process meets every statement
    for the first time.
    """
    _draw(desk)
    before = cpu_seconds(desk.studio.processes())
    _draw(desk)
    return 1000 * (cpu_seconds(desk.studio.processes()) - before) / (JOBS * EACH)


def _draw(desk: Desk) -> None:
    for order in [desk.ask(EACH) for _ in range(JOBS)]:
        desk.seconds(order)


def _bare(answer: bytes) -> float:
    """Return milliseconds for each picture of whoever only stores what the provider answers, and shrinks it."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(answer)
        done = subprocess.run(
            [sys.executable, "-m", "bench.bare_store", file.name, str(ROUNDS)],
            cwd=PROJECT_ROOT,
            # As the studio's pool does it: with more threads libvips uses more time in all.
            env={**os.environ, "VIPS_CONCURRENCY": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
    return float(done.stdout)
