"""What checking, marking and shrinking a picture takes, against Pillow as most write it and bare libvips."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyvips
from PIL import Image

from bench.table import Baseline, Row, median
from imagegen.imaging.client import PoolClient
from imagegen.imaging.facts import rendition_widths
from imagegen.imaging.pool import PoolOwner
from imagegen.imaging.renditions import RENDITION_EFFORT, RENDITION_QUALITY
from tests.fakes.pictures import picture

SIDE = 1024
ROUNDS = 15
AI = {"digital_source_type": "trainedAlgorithmicMedia", "system": "OpenAI", "version": "gpt-image-2"}
WIDTHS = rendition_widths(SIDE)


def run() -> list[Row]:
    """Return one row for each way of treating the same PNG of a megapixel."""
    data = picture(SIDE, SIDE, "png", photo=True)
    with tempfile.TemporaryDirectory(prefix="igs-") as name:
        folder = Path(name)
        (folder / "received").write_bytes(data)
        with PoolOwner(folder / "pool.sock", children=1) as pool:
            ours, naive, bare = _turn_by_turn(
                lambda: _store(pool.client, folder),
                lambda: _by_pillow(data, folder),
                lambda: _by_libvips(data, folder),
            )
    return [
        Row("a picture checked, marked and shrunk", ours, "ms", Baseline("Pillow, as most write it", naive)),
        Row("a picture checked, marked and shrunk", ours, "ms", Baseline("libvips, unchecked and unmarked", bare)),
    ]


def _turn_by_turn(*ways: Callable[[], None]) -> list[float]:
    """Return each way's median in milliseconds."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS + 1):
        for times, way in zip(taken, ways, strict=True):
            began = time.perf_counter()
            way()
            times.append(1000 * (time.perf_counter() - began))
    return [median(times[1:]) for times in taken]


def _store(pool: PoolClient, folder: Path) -> None:
    pool.run("store_generated", received_path=str(folder / "received"), out_dir=str(folder), ai=AI)


def _by_pillow(data: bytes, folder: Path) -> None:
    Image.open(io.BytesIO(data)).verify()
    image = Image.open(io.BytesIO(data))
    image.load()
    image.save(folder / "pillow.png")
    for width in WIDTHS:
        image.resize((width, width), Image.Resampling.LANCZOS).save(folder / f"pillow-{width}.webp", quality=80)


def _by_libvips(data: bytes, folder: Path) -> None:
    for width in WIDTHS:
        small = pyvips.Image.thumbnail_buffer(data, width)
        small.write_to_file(f"{folder}{os.sep}vips-{width}.webp", Q=RENDITION_QUALITY, effort=RENDITION_EFFORT)
