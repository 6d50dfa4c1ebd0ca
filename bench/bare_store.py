"""The least that keeps a picture and shows it in three sizes: for `bench.pictures_cpu`, in a process of its own.

`python -m bench.bare_store FILE ROUNDS` takes a provider's answer, and prints the milliseconds of processor time that
one round takes.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import pyvips

from bench.table import median
from imagegen.imaging.facts import rendition_widths
from imagegen.imaging.renditions import RENDITION_EFFORT, RENDITION_QUALITY


def store(answer: bytes, folder: Path) -> None:
    """Write the picture of `answer`, and decode it once for all of its renditions."""
    data = base64.b64decode(json.loads(answer)["data"][0]["b64_json"])
    with (folder / "picture.png").open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    step = pyvips.Image.new_from_buffer(data, "").copy_memory()
    for width in sorted(rendition_widths(step.width), reverse=True):
        step = step.thumbnail_image(width).copy_memory() if width < step.width else step
        step.webpsave(str(folder / f"{width}.webp"), Q=RENDITION_QUALITY, effort=RENDITION_EFFORT, keep="none")


def main() -> None:
    """Measure."""
    answer, rounds = Path(sys.argv[1]).read_bytes(), int(sys.argv[2])
    times = []
    with tempfile.TemporaryDirectory() as name:
        for _ in range(rounds + 1):
            before = time.process_time()
            store(answer, Path(name))
            times.append(1000 * (time.process_time() - before))
    print(median(times[1:]))


if __name__ == "__main__":
    main()
