"""What people bring: one picture to its thumbnail, a hundred at once, the renditions against Pillow and libvips."""

from __future__ import annotations

import io
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pyvips
import requests
from PIL import Image

from bench.table import Baseline, Row, median
from imagegen.imaging.client import PoolClient
from imagegen.imaging.facts import RENDITION_WIDTHS
from imagegen.imaging.pool import PoolOwner
from imagegen.imaging.renditions import RENDITION_EFFORT, RENDITION_QUALITY
from tests.browser.windows import EMAIL, PASSWORD
from tests.fakes.pictures import picture
from tests.running_studio import Studio

AT_ONCE = 100
SIDES = (4_000, 3_000)
ROUNDS = 7
LIMIT_SECONDS = 1.0
ANY_HEIGHT = 100_000


def run() -> list[Row]:
    """Return the rows of all three."""
    telephone = picture(*SIDES, "jpeg", photo=True)
    return [
        *_renditions("12-megapixel JPEG", telephone),
        *_renditions("PNG of 1024 x 1024", _small()),
        *_studio(telephone),
    ]


def _small() -> bytes:
    return picture(1024, 1024, "png", photo=True)


def _renditions(name: str, data: bytes) -> list[Row]:
    """Compare checking, baring and shrinking with shrinking alone."""
    with tempfile.TemporaryDirectory(prefix="igs-") as place:
        folder = Path(place)
        (folder / "received").write_bytes(data)
        with PoolOwner(folder / "pool.sock", children=1) as pool:
            ours = _median(lambda: _store(pool.client, folder))
        pillow = _median(lambda: _by_pillow(data, folder))
        libvips = _median(lambda: _by_libvips(data, folder))
    title = f"a {name} taken in, three renditions"
    return [
        Row(title, ours, "ms", Baseline("Pillow, thumbnail() and save()", pillow)),
        Row(title, ours, "ms", Baseline("libvips, thumbnails alone", libvips)),
    ]


def _median(way: Callable[[], None]) -> float:
    """Return the median of some rounds in milliseconds, the first not counted."""
    taken = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        way()
        taken.append(1000 * (time.perf_counter() - began))
    return median(taken[1:])


def _store(pool: PoolClient, folder: Path) -> None:
    pool.run("store_upload", received_path=str(folder / "received"), out_dir=str(folder), smallest_side=400)


def _by_pillow(data: bytes, folder: Path) -> None:
    for width in RENDITION_WIDTHS:
        with Image.open(io.BytesIO(data)) as image:
            image.thumbnail((width, ANY_HEIGHT))
            image.save(folder / f"pillow-{width}.webp", quality=RENDITION_QUALITY)


def _by_libvips(data: bytes, folder: Path) -> None:
    for width in RENDITION_WIDTHS:
        small = pyvips.Image.thumbnail_buffer(data, width, height=ANY_HEIGHT)
        small.write_to_file(f"{folder}{os.sep}vips-{width}.webp", Q=RENDITION_QUALITY, effort=RENDITION_EFFORT)


def _studio(telephone: bytes) -> list[Row]:
    """Bring one and then many to a studio that runs."""
    with tempfile.TemporaryDirectory() as name:
        environment = {"STUDIO_ADMIN_EMAIL": EMAIL, "STUDIO_ADMIN_PASSWORD": PASSWORD}
        with Studio(Path(name), **environment) as studio:
            session = requests.Session()
            session.headers["Authorization"] = f"Bearer {studio.token(EMAIL)}"
            first = _until_seen(session, studio.url, telephone)
            later = median([_until_seen(session, studio.url, picture(4_000, 3_000 + n, "jpeg")) for n in range(3)])
            seconds, megabytes, kept = _many(session, studio)
    title = f"{AT_ONCE} pictures of 1024 x 1024 at once"
    return [
        Row("a 12-megapixel JPEG to its thumbnail, the first", first, "s"),
        Row("a 12-megapixel JPEG to its thumbnail", later, "s", limit=LIMIT_SECONDS),
        Row(title, seconds, "s", Baseline("Pillow, one after the other", _one_by_one())),
        Row(f"{title}: memory beside rest", megabytes, "MB"),
        Row(f"{title}: lost", AT_ONCE - kept, "", limit=0),
    ]


def _until_seen(session: requests.Session, url: str, data: bytes) -> float:
    """Return the seconds from the first byte sent to the last byte of the smallest preview."""
    began = time.monotonic()
    answer = session.post(f"{url}/api/v1/images/upload", files={"file": ("sea.jpg", data)}, timeout=60)
    answer.raise_for_status()
    preview = answer.json()["thumbnail_urls"][str(RENDITION_WIDTHS[0])]
    session.get(url + preview, timeout=60).raise_for_status()
    return time.monotonic() - began


def _pictures() -> list[bytes]:
    """Return as many pictures, no two alike."""
    noise = _small()
    with Image.open(io.BytesIO(noise)) as image:
        image.load()
        found = []
        for number in range(AT_ONCE):
            image.putpixel((number, number), (255, 0, number))
            buffer = io.BytesIO()
            image.save(buffer, "PNG", compress_level=1)
            found.append(buffer.getvalue())
    return found


def _many(session: requests.Session, studio: Studio) -> tuple[float, float, int]:
    """Return seconds, megabytes beyond what the studio takes at rest, and how many pictures are there after."""
    before = session.get(f"{studio.url}/api/v1/images?count=1", timeout=60).json()["total"]
    pictures, headers = _pictures(), dict(session.headers)
    rest, peak, done = _memory(studio), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, _memory(studio))

    def send(data: bytes) -> None:
        url = f"{studio.url}/api/v1/images/upload"
        requests.post(url, headers=headers, files={"file": ("x.png", data)}, timeout=120).raise_for_status()

    watching = threading.Thread(target=watch)
    watching.start()
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(AT_ONCE) as many:
            list(many.map(send, pictures))
        seconds = time.monotonic() - began
    finally:
        done.set()
        watching.join()
    after = session.get(f"{studio.url}/api/v1/images?count=1", timeout=60).json()["total"]
    return seconds, peak - rest, after - before


def _memory(studio: Studio) -> float:
    """Return what all processes of the studio hold together, in MB; what they share counts once for each."""
    total = 0
    for process in studio.processes():
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / (1 << 20)


def _one_by_one() -> float:
    """Return how long Pillow takes for the renditions of as many pictures."""
    with tempfile.TemporaryDirectory() as name:
        pictures = _pictures()
        began = time.monotonic()
        for data in pictures:
            _by_pillow(data, Path(name))
        return time.monotonic() - began
