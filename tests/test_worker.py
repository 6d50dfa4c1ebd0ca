"""The worker as a process of its own, as a Procfile starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def test_without_redis_it_ends_with_a_sentence(data_folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "imagegen.worker"],
        cwd=PROJECT,
        env={**os.environ, "STUDIO_DATA_DIR": str(data_folder), "REDIS_URL": f"unix://{data_folder}/none.sock"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "Redis (REDIS_URL) is away" in ended.stderr and "Traceback" not in ended.stderr
