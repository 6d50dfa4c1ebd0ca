"""A pool, started for real, once for each module that asks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagegen.imaging.client import PoolClient
from imagegen.imaging.pool import PoolOwner


@pytest.fixture(scope="module")
def owner() -> Iterator[PoolOwner]:
    # pytest's own folders have names too long for a socket.
    with tempfile.TemporaryDirectory(prefix="img-") as folder, PoolOwner(Path(folder) / "s", 2) as running:
        yield running


@pytest.fixture
def pool(owner: PoolOwner) -> PoolClient:
    owner.ensure()
    return owner.client


@pytest.fixture
def at(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write bytes to a file and return its path."""

    def write(data: bytes) -> Path:
        path = tmp_path / f"in-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        return path

    return write
