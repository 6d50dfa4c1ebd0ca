"""Who calls the provider without a studio, for `bench.memory`: threads of one process, or a task for RQ's workers.

`python -m bench.memory_peer URL KEY FOLDER THREADS CALLS` imports all that a worker of the studio imports, prints
`ready`, and makes so many calls in so many threads when a line comes in.
"""

from __future__ import annotations

import base64
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from uuid import uuid4

import pyvips
from openai import OpenAI

import imagegen.worker as worker  # what it imports takes most of its memory
from imagegen.imaging.facts import rendition_widths
from imagegen.imaging.renditions import RENDITION_EFFORT, RENDITION_QUALITY

assert worker

WISH = {"model": "gpt-image-2", "prompt": "a lighthouse in fog", "size": "1024x1024"}


@cache
def client(base_url: str, key: str) -> OpenAI:
    """Return this process's client."""
    return OpenAI(base_url=base_url, api_key=key, max_retries=0)


def draw(base_url: str, key: str, folder: str) -> None:
    """Make one call, and keep the picture in all widths."""
    answer = client(base_url, key).images.generate(**WISH)  # type: ignore[call-overload]
    data = base64.b64decode(answer.data[0].b64_json)
    place = Path(folder) / uuid4().hex
    place.with_suffix(".png").write_bytes(data)
    for width in rendition_widths(1024):
        small = pyvips.Image.thumbnail_buffer(data, width)
        small.webpsave(f"{place}-{width}.webp", Q=RENDITION_QUALITY, effort=RENDITION_EFFORT)


def main() -> None:
    """Draw in threads when told to, then wait to be ended."""
    base_url, key, folder, threads, calls = sys.argv[1:]
    client(base_url, key)
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(int(threads)) as pool:
        for done in [pool.submit(draw, base_url, key, folder) for _ in range(int(calls))]:
            done.result()
    print("done", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
