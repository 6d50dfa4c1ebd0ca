"""The worker: takes wake-ups from RQ and runs each in a process forked from this one, where all is imported."""

from __future__ import annotations

import gc
import os
import signal
import sys

import setproctitle
import structlog
from redis import RedisError
from rq import Queue, Worker
from rq.job import Job
from sqlalchemy.exc import SQLAlchemyError

from imagegen.app import create_app
from imagegen.engine import attempts, dispatch, journal
from imagegen.engine import tasks as tasks  # imported before the fork: a task starts in 7 ms instead of 440
from imagegen.engine.rehearsal import rehearse
from imagegen.extensions import connect_redis, db, runtime
from imagegen.models import system_scope
from imagegen.services import provider_keys
from imagegen.settings import Settings, SettingsError


class AppWorker(Worker):
    """RQ's worker, bound to the studio: fresh connections after the fork, and a stop that reaches the slots."""

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork without a database connection that parent and child would both believe to be theirs."""
        runtime.pool.ensure()
        db.session.remove()
        db.engine.dispose()
        super().fork_work_horse(job, queue)

    def handle_work_horse_killed(self, *_: object) -> None:
        """Put away what a task that died had been told by providers."""
        adopt()

    def handle_warm_shutdown_request(self) -> None:
        """Pass a polite stop on to the running task, which then claims nothing more and ends in seconds."""
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)

    def procline(self, message: str) -> None:
        """Keep one recognisable title, instead of RQ's account of what it does."""


def adopt() -> None:
    """Put away the answers that processes of this host left behind when they died."""
    try:
        with system_scope():
            journal.adopt(attempts.put_away)
    except (OSError, SQLAlchemyError) as error:
        structlog.get_logger(__name__).warning("worker.not_adopted", error=str(error))
    finally:
        db.session.remove()


def main() -> int:
    """Run a worker until it is told to stop."""
    setproctitle.setproctitle("imagegen-worker")
    try:
        settings = Settings.load()
        app = create_app(settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with app.app_context(), runtime.pool:
        provider_keys.offered_to_anybody().prepare()
        rehearse()
        adopt()
        # What is there by now stays: tasks, which are forked from here, need not look through it for garbage, and so
        # they share its memory.
        gc.collect()
        gc.freeze()
        try:
            queue = dispatch.queue()
            # RQ waits minutes for a wake-up, so it raises its client's time-out: it gets a client that is its alone.
            worker = AppWorker([queue], connection=connect_redis(settings.redis_url), serializer=queue.serializer)
            worker.work(logging_level="WARNING")
        except RedisError as error:
            sys.stderr.write(f"The worker ends, to be started again: Redis (REDIS_URL) is away. ({error})\n")
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
