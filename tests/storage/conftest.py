"""Every storage of the registry, empty."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from imagegen.storage.base import Storage
from imagegen.storage.registry import BACKENDS, create_storage


@dataclass(frozen=True)
class Configured:
    storage_backend: str
    studio_data_dir: Path


@pytest.fixture(params=sorted(BACKENDS))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return create_storage(Configured(request.param, tmp_path / "data"))
