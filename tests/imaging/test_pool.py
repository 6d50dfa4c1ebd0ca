"""The pool survives whatever its tasks do, and ends with its owner."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path

import pytest

from imagegen.imaging import child, errors, master, protocol
from imagegen.imaging.client import PoolClient
from imagegen.imaging.master import Master
from imagegen.imaging.pool import PoolOwner, start_pool
from tests.waiting import LATE, eventually

TASKS = "tests.imaging.unruly_tasks"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="img-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def unruly() -> Iterator[PoolOwner]:
    with (
        tempfile.TemporaryDirectory(prefix="img-") as name,
        PoolOwner(Path(name) / "s", 2, tasks_module=TASKS) as owner,
    ):
        yield owner


@pytest.fixture
def pool(unruly: PoolOwner) -> PoolClient:
    unruly.ensure()
    return unruly.client


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(one) for one in found.split()]


def test_a_task_is_done_by_one_of_its_children(unruly: PoolOwner, pool: PoolClient) -> None:
    assert unruly.pid is not None
    assert pool.run("whoami")["pid"] in children_of(unruly.pid)


def test_two_tasks_run_at_the_same_time(pool: PoolClient, tmp_path: Path) -> None:
    marks = [tmp_path / "one", tmp_path / "other"]
    with ThreadPoolExecutor(2) as threads:
        meetings = [threads.submit(pool.run, "meet", mark=mark, other=other) for mark, other in permutations(marks)]
        assert len({meeting.result()["pid"] for meeting in meetings}) == 2


def test_more_tasks_than_children_wait_for_their_turn(pool: PoolClient) -> None:
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: pool.run("sleep", timeout=3, seconds=0.7), range(12)))
    assert len(answers) == 12


@pytest.mark.parametrize("task", ["sleep", "spin"])
def test_a_task_that_takes_too_long_is_ended_and_said_so(pool: PoolClient, task: str) -> None:
    begun = time.monotonic()
    with pytest.raises(errors.TimedOut):
        pool.run(task, timeout=0.3, **({"seconds": 60} if task == "sleep" else {}))
    assert time.monotonic() - begun < 0.3 + LATE
    assert pool.run("whoami")["pid"]


def test_no_task_runs_without_a_limit(pool: PoolClient) -> None:
    with pytest.raises(errors.TimedOut):
        pool.run("sleep", timeout=0, seconds=60)


@pytest.mark.parametrize("task", ["segfault", "leave", "fail"])
def test_a_task_that_dies_is_said_so_and_the_next_one_runs(pool: PoolClient, task: str) -> None:
    with pytest.raises(errors.Crashed):
        pool.run(task)
    assert pool.run("whoami")["pid"]


def test_a_child_killed_in_the_middle_spoils_only_its_own_task(pool: PoolClient, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with ThreadPoolExecutor(2) as threads:
        doomed = threads.submit(pool.run, "sleep", seconds=30, mark=mark)
        eventually(lambda: mark.exists() and mark.read_text())
        other = threads.submit(pool.run, "sleep", seconds=0.3)
        os.kill(int(mark.read_text()), signal.SIGKILL)
        with pytest.raises(errors.Crashed):
            doomed.result()
        assert other.result()["pid"] != int(mark.read_text())


def test_a_task_cannot_take_all_memory(pool: PoolClient) -> None:
    with pytest.raises(errors.TooManyPixels):
        pool.run("hog")
    assert pool.run("whoami")["pid"]


def test_a_task_cannot_write_without_end(pool: PoolClient, tmp_path: Path) -> None:
    with pytest.raises(errors.NoSpace):
        pool.run("fill", path=tmp_path / "big")
    assert (tmp_path / "big").stat().st_size == 0


def test_a_full_disk_is_said(pool: PoolClient) -> None:
    with pytest.raises(errors.NoSpace):
        pool.run("full")


def test_what_a_task_writes_is_for_the_studio_alone(pool: PoolClient, tmp_path: Path) -> None:
    assert pool.run("create", path=tmp_path / "x")["mode"] == 0o600


def test_an_unknown_task_is_an_error_and_not_a_hang(pool: PoolClient) -> None:
    with pytest.raises(errors.Crashed):
        pool.run("no_such_task")


def test_no_secret_of_the_owner_reaches_the_children(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with PoolOwner(folder / "s", 1, tasks_module=TASKS) as owner:
        assert "sk-secret" not in str(owner.client.run("whoami")["environment"])


def test_a_client_that_goes_away_disturbs_nobody(unruly: PoolOwner, pool: PoolClient) -> None:
    for message in (
        b"",
        b"\0",
        b"\0\0\0\5",
        b"\xff\xff\xff\xff",
        b"\0\0\0\2[]",
        b"\0\0\0\3abc",
        b"\0\0\0\2{}",
    ):
        with socket.socket(socket.AF_UNIX) as stray:
            stray.connect(str(pool.socket_path))
            stray.sendall(message)
    assert unruly.pid is not None
    before = children_of(unruly.pid)
    assert pool.run("whoami")["pid"] in before


def test_a_client_that_leaves_during_its_task_disturbs_nobody(pool: PoolClient) -> None:
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as hasty:
            hasty.connect(str(pool.socket_path))
            protocol.send(hasty, {"task": "sleep", "timeout": 5, "params": {"seconds": 0.1}})
            protocol.receive_exactly(hasty, 1)
    assert pool.run("whoami")["pid"]


def test_a_busy_pool_says_so_after_the_wait(folder: Path) -> None:
    with PoolOwner(folder / "s", 1, tasks_module=TASKS) as owner, ThreadPoolExecutor(1) as threads:
        mark = folder / "pid"
        long = threads.submit(owner.client.run, "sleep", seconds=1.5, mark=mark)
        eventually(mark.exists)
        with pytest.raises(errors.Unavailable):
            owner.client.run("whoami", wait=0.2)
        assert long.result()["pid"]


def test_a_busy_pool_of_somebody_else_is_waited_for_and_not_replaced(folder: Path) -> None:
    with PoolOwner(folder / "s", 1, tasks_module=TASKS) as owner, ThreadPoolExecutor(1) as threads:
        mark, guest = folder / "pid", PoolOwner(folder / "s", 1, tasks_module=TASKS)
        long = threads.submit(owner.client.run, "sleep", seconds=0.5, mark=mark)
        eventually(mark.exists)
        assert guest.run("whoami", 20.0)["pid"] == long.result()["pid"]
        assert guest.pid is None


def test_the_first_task_starts_a_pool_and_a_later_one_starts_it_again(folder: Path) -> None:
    with PoolOwner(folder / "s", 1, tasks_module=TASKS) as started:
        started.stop()
        (folder / "s").touch()  # as a killed one leaves it
        assert started.run("whoami", 20.0)["pid"]
        os.kill(started.pid or 0, signal.SIGKILL)
        eventually(lambda: not alive(started.pid or 0))
        assert started.run("whoami", 20.0)["pid"]


def test_a_web_process_with_greenlets_is_not_held_up(pool: PoolClient) -> None:
    code = (
        "import gevent.monkey; gevent.monkey.patch_all(); import gevent, sys, time;"
        "from imagegen.imaging.client import PoolClient; client = PoolClient(sys.argv[1]); ticks = [];"
        "task = gevent.spawn(client.run, 'sleep', seconds=0.4)\n"
        "while not task.ready(): ticks.append(1); gevent.sleep(0.01)\n"
        "task.get(); print(len(ticks))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(pool.socket_path)]
    assert int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) > 10


def test_without_a_pool_the_client_gives_up_after_the_wait(folder: Path) -> None:
    with pytest.raises(errors.Unavailable):
        PoolClient(folder / "nothing").run("whoami", wait=0.1)


def test_the_client_waits_for_a_pool_that_is_just_starting(folder: Path) -> None:
    owner = PoolOwner(folder / "s", 1, tasks_module=TASKS)
    with ThreadPoolExecutor(1) as threads:
        early = threads.submit(owner.client.run, "whoami", wait=20)
        owner.start()
        assert early.result()["pid"]
    owner.stop()


def test_stop_leaves_no_process_and_no_socket(folder: Path) -> None:
    owner = PoolOwner(folder / "s", 2, tasks_module=TASKS)
    owner.start()
    owner.client.run("whoami")
    assert owner.pid is not None
    processes = [owner.pid, *children_of(owner.pid)]
    owner.stop()
    assert not any(alive(pid) for pid in processes)
    assert list(folder.iterdir()) == []


def test_ensure_starts_a_dead_pool_again_and_only_then(folder: Path) -> None:
    with PoolOwner(folder / "s", 1, tasks_module=TASKS) as owner:
        assert owner.ensure() is False
        assert owner.pid is not None
        os.kill(owner.pid, signal.SIGKILL)
        eventually(lambda: not alive(owner.pid or 0))
        assert owner.ensure() is True
        assert owner.client.run("whoami")["pid"]


def test_the_children_of_a_killed_master_end_too(folder: Path) -> None:
    with PoolOwner(folder / "s", 2, tasks_module=TASKS) as owner, ThreadPoolExecutor(1) as threads:
        mark = folder / "pid"
        lost = threads.submit(owner.client.run, "sleep", seconds=30, mark=mark)
        eventually(mark.exists)
        assert owner.pid is not None
        children = children_of(owner.pid)
        os.kill(owner.pid, signal.SIGKILL)
        eventually(lambda: not any(alive(pid) for pid in children))
        with pytest.raises(errors.Crashed):
            lost.result()


def test_a_fork_of_the_owner_can_neither_stop_nor_start_the_pool(
    unruly: PoolOwner, pool: PoolClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: 1)
        unruly.stop()
        assert unruly.ensure() is False
    assert unruly.pid is not None
    assert pool.run("whoami")["pid"] in children_of(unruly.pid)


def test_the_pool_ends_when_its_owner_is_killed(folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from imagegen.imaging.pool import start_pool;"
        f"p = start_pool(Path(sys.argv[1]), 1, tasks_module={TASKS!r}); print(p.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(folder / "s")], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    leader = int(owner.stdout.readline())
    PoolClient(folder / "s").run("whoami")
    children = children_of(leader)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    eventually(lambda: not any(alive(pid) for pid in (leader, *children)))
    assert not (folder / "s").exists()


def test_a_left_over_socket_is_no_obstacle(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(folder / "s"))
    with PoolOwner(folder / "s", 1, tasks_module=TASKS) as owner:
        assert owner.client.run("whoami")["pid"]


def test_a_path_that_the_kernel_would_cut_is_refused_at_once(folder: Path) -> None:
    long = folder / ("x" * 120)
    with pytest.raises(ValueError, match="107 bytes"):
        start_pool(long, 1)
    with pytest.raises(ValueError, match="107 bytes"):
        PoolClient(long)


def test_a_pool_that_cannot_start_says_so(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(errors.Unavailable):
        start_pool(folder / "missing" / "s", 1)


def test_the_master_holds_no_picture_library(folder: Path) -> None:
    process = start_pool(folder / "s", 1)
    try:
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert "vips" not in maps
        assert "_imaging" not in maps
        assert len(list(Path(f"/proc/{process.pid}/task").iterdir())) == 1
    finally:
        process.terminate()
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


@pytest.mark.skipif(not os.access(master._AUTOGROUP, os.W_OK), reason="this kernel weighs no sessions")
def test_its_children_stand_back_within_their_session_and_the_session_for_others(
    unruly: PoolOwner, pool: PoolClient
) -> None:
    worker = pool.run("whoami")["pid"]
    assert os.getpriority(os.PRIO_PROCESS, worker) == child.NICENESS
    assert Path(f"/proc/{unruly.pid}/autogroup").read_text().split()[-2:] == ["nice", str(child.NICENESS)]


class Autogroup:
    """What the kernel answers who would stand back, one after the other."""

    def __init__(self, *answers: OSError | None) -> None:
        self.answers = list(answers)

    def write_text(self, _niceness: str) -> None:
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer


@pytest.mark.parametrize(
    ("answers", "left"),
    [
        ([BlockingIOError(), BlockingIOError(), None, None], 1),  # pools that start together ask at once
        ([FileNotFoundError(), None], 1),
        ([PermissionError(), None], 1),
        ([OSError(errno.EROFS, "read-only"), None], 1),
        ([BlockingIOError()] * 12, 2),
    ],
)
def test_a_pool_that_cannot_stand_back_yet_tries_again_and_one_that_never_can_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answers: list[OSError | None], left: int
) -> None:
    file, slept = Autogroup(*answers), []
    monkeypatch.setattr(master, "_AUTOGROUP", file)
    monkeypatch.setattr(master.time, "sleep", slept.append)
    one = Master(folder / "s", 1, TASKS)
    one._stand_back()
    one._end()
    assert len(file.answers) == left
    assert len(slept) == sum(isinstance(answer, BlockingIOError) for answer in answers[: len(answers) - left])
    assert all(seconds >= 0.1 for seconds in slept), "less than the kernel wants between two"


def test_every_error_has_its_own_sentence() -> None:
    sentences = [error().message for error in errors.BY_CODE.values()]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.endswith(".") for sentence in sentences)
