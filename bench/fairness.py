"""How long one picture takes behind other people's large jobs, against the same picture alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.desk import Desk, Order, open_desk
from bench.table import Baseline, Row, median

LATENCY = 2.0
ROUNDS = 5
MOST_TIMES_ALONE = 1.5
LARGE = 500
MANY, EACH = 20, 10
APART = 0.37
"""Seconds between two rounds, no part of the provider's time: each meets the others' calls at another point."""


def run() -> list[Row]:
    """Return the slowest of some lone pictures behind each crowd."""
    with open_desk(latency=LATENCY) as desk:
        alone = Baseline("the same alone", median([desk.seconds(desk.ask(1)) for _ in range(ROUNDS)]))
        return [
            _row(f"one picture behind a job of {LARGE}", _behind(desk, lambda: [desk.ask(LARGE)]), alone),
            _row(
                f"one picture behind {MANY} jobs of {EACH}",
                _behind(desk, lambda: [desk.ask(EACH) for _ in range(MANY)]),
                alone,
            ),
        ]


def _row(name: str, seconds: float, alone: Baseline) -> Row:
    return Row(name, seconds, "s", alone, limit=MOST_TIMES_ALONE * alone.value)


def _behind(desk: Desk, crowd: Callable[[], list[Order]]) -> float:
    """Return how long the slowest of some pictures took that were asked for while `crowd` kept the slots full."""
    slowest = 0.0
    orders = crowd()
    for number in range(ROUNDS):
        if not any(desk.running(order) for order in orders):
            orders = crowd()
        time.sleep(number * APART)
        slowest = max(slowest, desk.seconds(desk.ask(1)))
    for order in orders:
        desk.cancel(order)
    return slowest
