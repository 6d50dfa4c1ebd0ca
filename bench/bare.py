"""The least that somebody without a studio would write: call the service, decode the answer, keep the file."""

from __future__ import annotations

import base64
import os
import time
from dataclasses import dataclass
from pathlib import Path

import requests


@dataclass(frozen=True, slots=True)
class Drawn:
    """When it began and when the file was safe on the disk, by the machine's monotonic clock."""

    began_at: float
    written_at: float


class BareScript:
    """Draws one picture after the other over one kept connection."""

    def __init__(self, base_url: str, key: str, folder: Path) -> None:
        self._url = f"{base_url}/images/generations"
        self._folder = folder
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"

    def draw(self, wish: dict[str, object]) -> Drawn:
        """Ask for one picture and write it down."""
        began_at = time.monotonic()
        answer = self._session.post(self._url, json=wish, timeout=60)
        answer.raise_for_status()
        data = base64.b64decode(answer.json()["data"][0]["b64_json"])
        with (self._folder / f"{began_at}.png").open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return Drawn(began_at, time.monotonic())
