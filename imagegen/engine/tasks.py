"""What RQ runs: one task keeps a worker's slots full with the shots of any job, then ends."""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import FrameType

import structlog
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from imagegen.core.ids import new_id
from imagegen.engine import attempts, claims, dispatch, fair_order, fleet
from imagegen.engine.calls_first import CallsFirst
from imagegen.engine.claims import Claim
from imagegen.extensions import WORK_CHANNEL, db, in_app_context, runtime
from imagegen.models import system_scope

log = structlog.get_logger(__name__)

LONGEST_RUN = 300.0
"""After so many seconds a task makes room for a fresh process; its successor is queued before it ends."""
LISTEN_SECONDS = 0.1
"""How soon a listening thread sees that the task is over."""
POLL_SECONDS = 1.0
"""How long a wake-up may get lost in Redis before the database is asked anyway."""
LONGEST_LINGER = 60.0
"""A task stays for shots that may be tried again within so many seconds."""
GRACE_SECONDS = 4.0
ENOUGH_TO_KEEP_ONE = 8
"""With so many slots one of them is kept for small jobs; with fewer it would cost the large ones too much."""


def work(stay: float = 0.0) -> None:
    """Run one task to its end. RQ calls this in a process of its own.

    It stays `stay` seconds after its last call: a fresh process costs whoever asks next a third of a second.
    """
    Crew(slots=runtime.settings.shots_per_worker, stay=stay).work()


class Crew:
    """The slots of one worker: calls to providers that are under way at the same time, each in a thread of its own.

    A slot is free again when its provider has answered; the picture is put away beside the next call.

    One thread claims for all of them: sixteen that race for the same rows would mostly wait for each other.
    """

    def __init__(self, *, slots: int, stay: float = 0.0) -> None:
        self.slots = slots
        self._kept = int(slots >= ENOUGH_TO_KEEP_ONE)
        self._stay = stay
        self._last_busy = -math.inf  # a wake-up that finds nothing to do ends at once
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{new_id()}"[:80]
        self.lease_seconds = float(runtime.settings.lease_seconds)
        self._claims: dict[int, Claim] = {}
        self._answered: set[int] = set()
        self._lock = threading.Lock()
        self._calls = CallsFirst()
        self._stirred = threading.Event()
        self._stopping = threading.Event()
        self._heard_enough = threading.Event()
        self._over = threading.Event()
        self._asked_at = -math.inf
        self._parent = os.getppid()
        self._worker = fleet.worker_here()

    def work(self) -> None:
        """Keep the slots full until nothing is claimable, the time is up or the worker is told to stop."""
        before = signal.signal(signal.SIGTERM, self._on_terminate)
        listener, keeper = duties = [
            threading.Thread(target=in_app_context(duty), name=duty.__name__, daemon=True)
            for duty in (self._listen, self._keep_leases)
        ]
        for duty in duties:
            duty.start()
        pool = ThreadPoolExecutor(2 * self.slots, thread_name_prefix="slot")
        try:
            with system_scope():
                self._keep_full(pool)
                # Until here this task was counted on by who submitted work.
                self._heard_enough.set()
                listener.join()
                self._hand_over()
        finally:
            self._heard_enough.set()
            self._finish(pool)
            keeper.join()
            signal.signal(signal.SIGTERM, before)

    def _keep_full(self, pool: ThreadPoolExecutor) -> None:
        until = time.monotonic() + LONGEST_RUN
        while not self._stopping.is_set() and time.monotonic() < until:
            # Not the other way round: between the two a picture would see nobody who looks or is to look.
            with self._calls.looking():
                self._stirred.clear()
                wait = self._turn(pool)
            if wait is None:
                break
            self._stirred.wait(wait)
        with self._calls.looking():
            self._calls.work_waits = False

    def _turn(self, pool: ThreadPoolExecutor) -> float | None:
        """Fill the free slots; return how long to wait for more, in seconds, None if there is nothing to wait for."""
        try:
            orders = fleet.orders(self._worker)
            if orders.draining and not self._claims:
                return None
            self._calls.work_waits = orders.waiting and not orders.draining
            if (orders.waiting or orders.fetching) and not orders.draining:
                self._fill(pool, fetching=orders.fetching)
            if orders.waiting and (orders.draining or self._free() <= self._kept):
                self._call_for_help()
            return self._seconds_to_wait()
        except SQLAlchemyError:
            # The database is busy or away. What runs here goes on; what waits is found by a later wake-up.
            log.exception("task.database_failed")
            return POLL_SECONDS if self._claims else None

    def _on_terminate(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping.set()
        self._stirred.set()

    def _fill(self, pool: ThreadPoolExecutor, *, fetching: bool) -> None:
        while not self._stopping.is_set() and (free := self._free()) > 0:
            if free == self._kept and not fetching and not fair_order.is_lone_waiting():
                return  # which is so at most times: others may write meanwhile
            found, more = claims.claim_some(
                owner=self.owner,
                lease_seconds=self.lease_seconds,
                free=free,
                keep_one=bool(self._kept),
                fetching=fetching,
            )
            if not more and free - len(found) > self._kept:
                # Paused, not yet due, or a provider is at its limit: nothing for a picture to stand back for.
                self._calls.work_waits = False
            for claim in found:
                with self._lock:
                    self._claims[claim.attempt_id] = claim
                self._calls.found(claim.attempt_id)
                pool.submit(in_app_context(self._run), claim)
            if not more:
                return

    def _free(self) -> int:
        """Return how many more calls may be made: none while as many answers as there are slots are put away."""
        with self._lock:
            calls, answers = len(self._claims) - len(self._answered), len(self._answered)
        return self.slots - calls if answers < self.slots else 0

    def _run(self, claim: Claim) -> None:
        try:
            with system_scope():
                attempts.run(claim, partial(self._calls.begun, claim.attempt_id), partial(self._on_answer, claim))
        except Exception:
            self._abandon(claim, attempts.CRASHED)
            log.exception("slot.failed", shot=claim.shot_id)
        finally:
            db.session.remove()
            self._calls.begun(claim.attempt_id)
            with self._lock:
                # By the attempt: the shot itself may have been given back and claimed again by now.
                self._claims.pop(claim.attempt_id, None)
                frees = claim.attempt_id not in self._answered or len(self._answered) >= self.slots
                self._answered.discard(claim.attempt_id)
            if frees or not self._claims:
                self._stirred.set()

    def _on_answer(self, claim: Claim) -> None:
        """Let another call begin while this one's picture is put away."""
        with self._lock:
            self._answered.add(claim.attempt_id)
        self._stirred.set()
        self._calls.wait(self._stirred.is_set)

    def _abandon(self, claim: Claim, message: str) -> None:
        try:
            with system_scope():
                attempts.abandon(claim, message=message)
        except Exception:
            # The shot keeps its lease until that runs out; the sweeper then finds out how far it got.
            log.exception("slot.not_abandoned", shot=claim.shot_id)

    def _seconds_to_wait(self) -> float | None:
        """Return how long to wait for something to claim, in seconds; None if nothing is left to wait for."""
        if os.getppid() != self._parent:
            self._stopping.set()
            return 0.0
        if self._claims:
            self._last_busy = time.monotonic()
            return POLL_SECONDS
        due = claims.seconds_to_next()
        if due is None or due > LONGEST_LINGER:
            return POLL_SECONDS if time.monotonic() - self._last_busy < self._stay else None
        # Due and not claimed means that its provider is at its limit, or pauses.
        return min(due, POLL_SECONDS) or POLL_SECONDS

    def _call_for_help(self) -> None:
        """Have another worker woken for what this one has no slot for, though it was counted on."""
        if time.monotonic() - self._asked_at < POLL_SECONDS:
            return
        self._asked_at = time.monotonic()
        try:
            if claims.seconds_to_next() == 0 and not fleet.draining():
                dispatch.call_for_help(f"help-{new_id()}")
        except RedisError as error:
            log.warning("task.no_help", error=str(error))

    def _hand_over(self) -> None:
        """Queue a successor if there is something that this task leaves: at its end, or come since its last look."""
        try:
            if self._leaves_work():
                dispatch.wake(f"successor-{new_id()}")
        except (RedisError, SQLAlchemyError) as error:
            log.warning("task.no_successor", error=str(error))

    def _leaves_work(self) -> bool:
        if fleet.draining(self._worker):
            return False
        due = claims.seconds_to_next()
        return due is not None and due <= LONGEST_LINGER

    def _finish(self, pool: ThreadPoolExecutor) -> None:
        """Let running calls end; when the worker stops, only for so long, and then say what became of them."""
        orphaned = os.getppid() != self._parent
        patient_until = time.monotonic() + GRACE_SECONDS
        while self._claims and (not self._stopping.is_set() or orphaned or time.monotonic() < patient_until):
            self._stirred.wait(0.05)
            self._stirred.clear()
        with self._lock:
            left = list(self._claims.values())
        for claim in left:
            self._abandon(claim, attempts.STOPPED)
        self._over.set()
        pool.shutdown(wait=False, cancel_futures=True)
        if left:
            # Threads that wait for a provider can't be ended; this process was forked for the task alone.
            os._exit(0)

    def _listen(self) -> None:
        """Wake the claiming thread when new work is announced."""
        while not self._heard_enough.is_set():
            try:
                with runtime.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    pubsub.subscribe(WORK_CHANNEL)
                    while not self._heard_enough.is_set():
                        if pubsub.get_message(timeout=LISTEN_SECONDS):
                            self._stirred.set()
            except RedisError as error:
                log.warning("task.redis_unreachable", error=str(error))
                self._heard_enough.wait(POLL_SECONDS)

    def _keep_leases(self) -> None:
        """Renew the leases of what runs here, so that nobody else takes it over."""
        while not self._over.wait(runtime.settings.heartbeat_seconds):
            with self._lock:
                held = [claim.shot_id for claim in self._claims.values()]
            if held:
                self._renew(held)

    def _renew(self, held: list[int]) -> None:
        try:
            with system_scope():
                claims.keep(owner=self.owner, shot_ids=held, lease_seconds=self.lease_seconds)
        except Exception:
            # One beat may be missed; a thread that ended would miss all of them.
            log.exception("task.heartbeat_failed")
