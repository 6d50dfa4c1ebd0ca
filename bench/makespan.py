"""How long jobs of 1, 10 and 200 pictures take, against their provider's time alone with all slots always full.

`BENCH_SHOTS` (`1,10`) chooses other sizes.
"""

from __future__ import annotations

import math
import os

from bench.desk import Desk, open_desk
from bench.table import Baseline, Row

SHOTS = tuple(int(size) for size in os.environ.get("BENCH_SHOTS", "1,10,200").split(","))
LATENCY = 2.0
WORKERS, SLOTS = 2, 16
ANSWER_BYTES = range(1_600_000, 2_000_000)
MOST_TIMES_IDEAL = {200: 1.10}


def run() -> list[Row]:
    """Return a row for each size."""
    with open_desk(latency=LATENCY, workers=WORKERS, slots=SLOTS) as desk:
        _check_answer(desk)
        return [_row(shots, desk.seconds(desk.ask(shots))) for shots in SHOTS]


def _check_answer(desk: Desk) -> None:
    """See that the provider answers as much as a real one does."""
    length = len(desk.service.answer())
    assert length in ANSWER_BYTES, f"an answer has {length:,} bytes"


def _row(shots: int, seconds: float) -> Row:
    ideal = Baseline(
        f"ceil({shots} / {WORKERS} x {SLOTS}) x {LATENCY:g} s", math.ceil(shots / WORKERS / SLOTS) * LATENCY
    )
    most = MOST_TIMES_IDEAL.get(shots)
    return Row(f"makespan of {shots}", seconds, "s", ideal, limit=most * ideal.value if most else None)
