"""F18: no space for pictures, the database, logs. What was paid for waits in memory, and is not bought again."""

from __future__ import annotations

import errno
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from imagegen.settings import Settings
from tests.fakes.openai_server import OpenAIServer
from tests.faults.conftest import PAID, Ask
from tests.faults.outcome import expect_settled, expect_sound
from tests.faults.processes import Processes, session
from tests.models.rows import Member, submit
from tests.waiting import eventually

HELD = {"kind": "none", "hold": True}
LESS_THAN_A_PHOTO = 1 << 20
"""Bytes: more than the database, its journal and the log of a test, less than a picture like a photograph."""
NEXT_TO_NOTHING = 4096


class Limit:
    """The longest file that some processes may write, changed while they run."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def set(self, size: int) -> None:
        """Let no file of theirs grow beyond `size` bytes."""
        for process in session(self._leader):
            process.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def lift(self) -> None:
        """Let them write as they like."""
        self.set(resource.RLIM_INFINITY)


def files_of(settings: Settings) -> list[Path]:
    """Return the files that have a name in the storage."""
    files = settings.studio_data_dir / "files"
    return [path for path in files.rglob("*") if path.is_file() and ".scratch" not in path.parts]


def waits(processes: Processes) -> bool:
    """Tell whether a worker has said that it waits with a picture that was paid for."""
    return "attempt.waits" in processes.log.read_text()


def test_f18_a_picture_that_does_not_fit_waits_until_it_does_and_no_empty_file_is_seen(
    processes: Processes, ann: Member, openai: OpenAIServer, settings: Settings
) -> None:
    requests.post(openai.base_url.removesuffix("/v1") + "/_control", json={"photo": True}, timeout=10)
    openai.script(HELD)
    limit = Limit(processes.worker().pid)
    processes.scheduler()
    submit(ann, **PAID)
    eventually(lambda: openai.requests)

    limit.set(LESS_THAN_A_PHOTO)
    openai.release()
    eventually(lambda: waits(processes))
    assert all(path.stat().st_size for path in files_of(settings))
    limit.lift()

    expect_settled("succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 1


@pytest.mark.databases("sqlite")
def test_f18_with_no_space_for_anything_a_picture_is_open_and_then_there_after_all(
    processes: Processes, ann: Member, openai: OpenAIServer
) -> None:
    openai.script(HELD)
    limit = Limit(processes.worker().pid)
    processes.scheduler()
    submit(ann, **PAID)
    eventually(lambda: openai.requests)

    limit.set(NEXT_TO_NOTHING)
    openai.release()
    expect_settled("unknown")
    limit.lift()

    expect_settled("succeeded")
    expect_sound(openai)
    assert len(openai.requests) == 1


@pytest.mark.databases("sqlite")
def test_f18_a_database_that_cannot_grow_takes_no_job_and_says_when_to_come_back(
    processes: Processes, ask: Ask, openai: OpenAIServer
) -> None:
    url = processes.web()
    limit = Limit(processes.started[-1].pid)
    limit.set(NEXT_TO_NOTHING)

    refused = ask(url, key="order-1")
    limit.lift()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "3")
    assert ask(url, key="order-1").status_code == 202
    processes.worker()

    expect_settled("succeeded")
    expect_sound(openai)


class TestFullVolume:
    """The pictures' folder is a volume of its own, and full."""

    @pytest.fixture
    def volume(self, app: object, settings: Settings) -> Iterator[Path]:
        """A file system of 64 MB in the place of the pictures' folder."""
        folder = settings.studio_data_dir / "files"
        command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", str(folder)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a file system")
        yield folder
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

    def test_f18_a_picture_waits_until_somebody_makes_room(
        self, volume: Path, processes: Processes, ann: Member, openai: OpenAIServer, settings: Settings
    ) -> None:
        openai.script(HELD)
        processes.worker()
        processes.scheduler()
        submit(ann, **PAID)
        eventually(lambda: openai.requests)

        filler = fill(volume / "filler")
        openai.release()
        eventually(lambda: waits(processes))
        assert all(path.stat().st_size for path in files_of(settings))
        filler.unlink()

        expect_settled("succeeded")
        expect_sound(openai)
        assert len(openai.requests) == 1


def fill(path: Path) -> Path:
    """Take all the space that is left where `path` lies."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return path
