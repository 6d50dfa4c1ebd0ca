"""How long the local provider draws, against Pillow filling the same size with a plain gradient."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from imagegen.providers.local.drawing import Wish, picture
from imagegen.providers.local.encode import encode
from imagegen.providers.local.kinds import KINDS

SIZE = (1024, 1280)
ROUNDS = 3


def run() -> list[tuple[str, float, str]]:
    """Return (name, ratio, sentence) for each kind: a portrait PNG against Pillow's gradient as PNG."""
    baseline = _median(_gradient)
    rows = []
    for kind in KINDS:
        taken = _median(partial(_drawn, kind.id))
        sentence = f"{taken * 1000:.0f} ms for a PNG; a plain Pillow gradient takes {baseline * 1000:.0f} ms"
        rows.append((f"local {kind.id}", taken / baseline, sentence))
    return rows


def _gradient() -> None:
    plain = Image.linear_gradient("L").resize(SIZE, Image.Resampling.BICUBIC).convert("RGB")
    encode(np.asarray(plain), "png")


def _drawn(kind: str) -> None:
    encode(picture(Wish(prompt="", seed=1, kind=kind), *SIZE), "png")


def _median(work: Callable[[], None]) -> float:
    work()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


if __name__ == "__main__":
    for name, ratio, sentence in run():
        print(f"{name:18} {ratio:5.1f} times  {sentence}")
