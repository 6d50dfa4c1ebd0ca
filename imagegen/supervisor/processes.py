"""Keeping a table of processes running, and ending all of it in time.

One thread and one loop: signals arrive through a socket pair, deaths through SIGCHLD, answers of servers
through a selector. Children live in sessions of their own, so a Ctrl-C in the terminal reaches the
supervisor alone, and it decides who hears of it and when.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagegen.supervisor import linux
from imagegen.supervisor.probe import Attempt, Probe

RESTART_DELAYS: Sequence[float] = (0.0, 0.5, 1.0, 2.0)
"""Seconds before a process that ended soon after its start is started again; the last one repeats."""
STABLE_AFTER = 10.0
"""A process that ran for this many seconds is not broken: what ends it later is an accident."""
GIVE_UP_AFTER = 5
"""A process that never became stable and ended by itself this often is broken, and ends the run."""
KILL_AFTER = 6.0
"""Seconds from the wish to stop until whatever is left is killed."""
KILL_LAST_AFTER = 0.8
"""The same for those that stop last, counted from their own turn; with KILL_AFTER it stays under 8 s."""
_ASK_AGAIN = 0.03
_LOOK_FOR_ORPHANS = 0.1


@dataclass(frozen=True)
class ProcessSpec:
    """One process to keep running, or (`once`) one step to be done.

    It starts when all named in `after` are ready. A process is ready when its probe is answered, or at
    once without one; a step is ready when it has ended with 0, and `failure` is the sentence if it has not.
    """

    name: str
    argv: tuple[str, ...]
    after: tuple[str, ...] = ()
    probe: Probe | None = None
    once: bool = False
    stops_last: bool = False
    pass_fds: tuple[int, ...] = ()
    failure: str = "The lines above say why."


class _Child:
    """One line of the table with what is known of its process at the moment."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = False
        self.stable = False
        self.start_at: float | None = 0.0
        self.started_at = 0.0
        self.quick_ends = 0
        self.own_failures = 0
        self.attempt: Attempt | None = None
        self.ask_at: float | None = None


class Supervisor:
    """Runs the processes of `specs` until it is told to stop or one of them turns out to be broken.

    `on_ready` is called once, when everything has been started and answers; `on_stop` when stopping begins.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        *,
        environ: Mapping[str, str],
        folder: Path,
        on_ready: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._children = [_Child(spec) for spec in specs]
        self._environ = dict(environ)
        self._folder = folder
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._selector = selectors.DefaultSelector()
        self._told_to_stop = False
        self._told_to_kill = False
        self._exit_code = 0
        self._announced = False
        self._kill_at: float | None = None
        self._kill_last_at: float | None = None
        self._orphans_told: set[int] = set()

    def run(self) -> int:
        """Keep everything running; return the exit code when all of it is gone."""
        linux.adopt_orphans()
        with self._signals():
            while self._kill_at is None or self._left():
                self._reap()
                if self._kill_at is None:
                    self._start_due()
                    self._ask_due()
                    self._announce()
                else:
                    self._go_on_stopping()
                for key, _ in self._selector.select(self._pause()):
                    key.data()
        self._selector.close()
        return self._exit_code

    # Signals

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        receiver, sender = socket.socketpair()
        receiver.setblocking(False)
        sender.setblocking(False)
        handlers = {
            signal.SIGCHLD: lambda *_: None,  # it only wakes the loop, which looks who has ended
            signal.SIGINT: self._hear_interrupt,
            signal.SIGTERM: self._hear_stop,
            signal.SIGHUP: self._hear_stop,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup_before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        self._selector.register(receiver, selectors.EVENT_READ, lambda: self._hear_signals(receiver))
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.unregister(receiver)
            receiver.close()
            sender.close()

    def _hear_stop(self, *_: object) -> None:
        self._told_to_stop = True

    def _hear_interrupt(self, *_: object) -> None:
        # Only a person who presses Ctrl-C again is impatient; `make` may well deliver a SIGTERM twice.
        self._told_to_kill = self._told_to_stop
        self._told_to_stop = True

    def _hear_signals(self, receiver: socket.socket) -> None:
        receiver.recv(4096)
        if self._told_to_stop:
            self._begin_to_stop()
        if self._told_to_kill:
            self._kill_at = self._kill_last_at = time.monotonic()

    # Starting

    def _start_due(self) -> None:
        ready = {child.spec.name for child in self._children if child.ready}
        now = time.monotonic()
        for child in self._children:
            due = child.start_at is not None and child.start_at <= now
            if due and ready.issuperset(child.spec.after):
                self._start(child)

    def _start(self, child: _Child) -> None:
        supervisor = os.getpid()
        child.start_at = None
        child.started_at = time.monotonic()
        try:
            # preexec_fn is safe here: this process has one thread, and what it calls is loaded.
            child.process = subprocess.Popen(
                child.spec.argv,
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),  # what we print ourselves stays alone on the standard output
                pass_fds=child.spec.pass_fds,
                start_new_session=True,
                preexec_fn=lambda: linux.end_with_parent(supervisor),
            )
        except OSError as error:
            self._fail(f"{child.spec.name} cannot be started: {error}.")
            return
        if not child.ready:
            self._await(child)

    def _await(self, child: _Child) -> None:
        if child.spec.probe is not None:
            child.ask_at = None if child.attempt else time.monotonic()
        elif not child.spec.once:
            child.ready = True

    def _ask_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.spec.probe and child.ask_at is not None and child.ask_at <= now:
                child.ask_at = None
                child.attempt = Attempt(child.spec.probe, self._selector, self._hear_answer(child))

    def _hear_answer(self, child: _Child) -> Callable[[bool], None]:
        def hear(right: bool) -> None:
            child.attempt = None
            child.ready = right
            child.ask_at = None if right else time.monotonic() + _ASK_AGAIN

        return hear

    def _announce(self) -> None:
        if not self._announced and all(child.ready for child in self._children):
            self._announced = True
            self._on_ready()

    # Ends

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = next((c for c in self._children if c.process and c.process.pid == pid), None)
            if child is not None:
                self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: _Child, code: int) -> None:
        assert child.process is not None  # noqa: S101 - only running children are looked up
        child.process.returncode = code
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)  # nothing of it may hold on to a socket or a file
        child.process = None
        if self._kill_at is not None:
            return
        if not child.spec.once:
            self._plan_restart(child, code)
        elif code == 0:
            child.ready = True
        else:
            self._fail(child.spec.failure)

    def _plan_restart(self, child: _Child, code: int) -> None:
        now = time.monotonic()
        if now - child.started_at >= STABLE_AFTER:
            child.stable = True
            child.quick_ends = 0
        # A process killed from outside is not broken, so those ends don't count against it.
        child.own_failures += code > 0 or code in (-signal.SIGSEGV, -signal.SIGABRT)
        if not child.stable and child.own_failures >= GIVE_UP_AFTER:
            self._fail(f"{child.spec.name} does not stay up. {child.spec.failure}")
            return
        delay = RESTART_DELAYS[min(child.quick_ends, len(RESTART_DELAYS) - 1)]
        child.quick_ends += 1
        child.start_at = now + delay
        _say(f"{child.spec.name} {_how_it_ended(code)}; starting it again.")

    def _fail(self, sentence: str) -> None:
        _say(sentence)
        self._exit_code = 1
        self._begin_to_stop()

    # Stopping

    def _begin_to_stop(self) -> None:
        if self._kill_at is not None:
            return
        self._kill_at = time.monotonic() + KILL_AFTER
        self._on_stop()
        for child in self._children:
            child.start_at = child.ask_at = None
            if child.attempt is not None:
                child.attempt.close()
            if child.process is not None and not child.spec.stops_last:
                _signal(child.process.pid, signal.SIGTERM)

    def _go_on_stopping(self) -> None:
        now = time.monotonic()
        first = {c.process.pid for c in self._children if c.process and not c.spec.stops_last}
        last = {c.process.pid for c in self._children if c.process and c.spec.stops_last}
        orphans = linux.children() - first - last
        for pid in orphans - self._orphans_told:
            _signal(pid, signal.SIGTERM)
        self._orphans_told |= orphans
        if self._kill_at is not None and now >= self._kill_at:
            for pid in first | orphans:
                _signal_group(pid, signal.SIGKILL)
        elif first or orphans:
            return
        self._stop_last(last, now)

    def _stop_last(self, pids: set[int], now: float) -> None:
        if self._kill_last_at is None:
            self._kill_last_at = now + KILL_LAST_AFTER
            for pid in pids:
                _signal(pid, signal.SIGTERM)
        elif now >= self._kill_last_at:
            for pid in pids:
                _signal_group(pid, signal.SIGKILL)

    def _left(self) -> bool:
        return bool(linux.children()) or any(child.process for child in self._children)

    def _pause(self) -> float | None:
        """Return for how long nothing is due, None for ever."""
        if self._kill_at is not None:
            return _LOOK_FOR_ORPHANS if self._left() else 0.0
        due = [at for child in self._children if self._may_start(child) and (at := child.start_at) is not None]
        due += [child.ask_at for child in self._children if child.ask_at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _may_start(self, child: _Child) -> bool:
        return all(other.ready for other in self._children if other.spec.name in child.spec.after)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:  # most real-time signals have no name
        return f"was ended by signal {-code}"


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Signal `pid`, and its group if it leads one: a child's own children are in the child's group."""
    _signal(pid, number)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - this is the terminal program's voice
