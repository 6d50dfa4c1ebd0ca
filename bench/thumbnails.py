"""Thumbnails served per second by one web process, beside nginx with the same file: kept connections, no cache."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

from bench.table import Baseline, Row
from tests.browser.windows import EMAIL, PASSWORD
from tests.fakes.pictures import picture
from tests.running_studio import Studio, json_of
from tests.waiting import eventually

READERS = 2
CONNECTIONS = 8
SECONDS = 4.0
NGINX = "nginx"
CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; types {{ image/webp webp; }}
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
}}
"""


def run() -> list[Row]:
    """Return one row, with nginx as its baseline where that is installed."""
    environment = {"STUDIO_ADMIN_EMAIL": EMAIL, "STUDIO_ADMIN_PASSWORD": PASSWORD, "WEB_CONCURRENCY": "1"}
    with tempfile.TemporaryDirectory(prefix="igs-") as name, Studio(Path(name), **environment) as studio:
        headers = {"Authorization": f"Bearer {studio.token(EMAIL)}"}
        address = _thumbnail(studio, headers)
        data = requests.get(address, headers=headers, timeout=30).content
        ours = _per_second(address, headers, len(data))
    what = f"thumbnails of {len(data) / 1000:.0f} kB served in a second"
    if shutil.which(NGINX) is None:
        print("nginx is not installed: thumbnails are measured without it.", file=sys.stderr)
        return [Row(what, ours, "/s")]
    with tempfile.TemporaryDirectory(prefix="igs-") as name, _nginx(Path(name), data) as served:
        theirs = _per_second(served, {}, len(data))
    return [Row(what, ours, "/s", Baseline("nginx, the same file, for everybody", theirs))]


def _thumbnail(studio: Studio, headers: Mapping[str, str]) -> str:
    """Bring a picture, and return the address of its thumbnail."""
    files = {"file": ("photo.jpg", picture(1600, 1200, "jpeg", photo=True), "image/jpeg")}
    made = json_of(requests.post(f"{studio.url}/api/v1/images/upload", files=files, headers=headers, timeout=60))
    address: str = made["thumbnail_urls"]["512"]
    return address if address.startswith("http") else studio.url + address


@contextmanager
def _nginx(folder: Path, data: bytes) -> Iterator[str]:
    """Serve `data` by nginx with one worker."""
    (folder / "files").mkdir()
    (folder / "files" / "small.webp").write_bytes(data)
    folder.chmod(0o755)  # nginx leaves root, and then is anybody
    port = _free_port()
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port))
    with subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]) as process:
        address = f"http://127.0.0.1:{port}/small.webp"
        try:
            eventually(lambda: _answers(address))
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=1).ok
    except requests.ConnectionError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _per_second(address: str, headers: Mapping[str, str], size: int) -> float:
    """Return how many whole answers come in a second over `READERS` times `CONNECTIONS` kept connections."""
    with ProcessPoolExecutor(READERS) as readers:
        counts = readers.map(_read, [address] * READERS, [dict(headers)] * READERS, [size] * READERS)
        return sum(counts) / SECONDS


def _read(address: str, headers: dict[str, str], size: int) -> int:
    """Ask over several connections in turn, each for the next as soon as it has answered; return how often it did."""
    parts = urlsplit(address)
    connections = [http.client.HTTPConnection(parts.netloc, timeout=30) for _ in range(CONNECTIONS)]
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    for connection in connections:
        connection.request("GET", path, headers=headers)
    count, over = 0, time.monotonic() + SECONDS
    while time.monotonic() < over:
        for connection in connections:
            answer = connection.getresponse()
            assert answer.status == 200 and len(answer.read()) == size
            connection.request("GET", path, headers=headers)
            count += 1
    for connection in connections:
        connection.close()
    return count
