"""How long the local provider draws, against Pillow filling the same size with a plain gradient."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from bench.table import Baseline, Row, median
from imagegen.providers.local.drawing import Wish, picture
from imagegen.providers.local.encode import encode
from imagegen.providers.local.kinds import KINDS

SIZE = (1024, 1280)
ROUNDS = 3
LIMIT_MS = 1000


def run() -> list[Row]:
    """Return a row for each kind: a portrait PNG against Pillow's gradient as PNG."""
    baseline = Baseline("Pillow, a plain gradient", _median(_gradient))
    return [
        Row(f"local {kind.id}", _median(partial(_drawn, kind.id)), "ms", baseline, limit=LIMIT_MS) for kind in KINDS
    ]


def _gradient() -> None:
    plain = Image.linear_gradient("L").resize(SIZE, Image.Resampling.BICUBIC).convert("RGB")
    encode(np.asarray(plain), "png")


def _drawn(kind: str) -> None:
    encode(picture(Wish(prompt="", seed=1, kind=kind), *SIZE), "png")


def _median(work: Callable[[], None]) -> float:
    work()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    return median(times)
