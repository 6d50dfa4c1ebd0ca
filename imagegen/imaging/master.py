"""The pool's master: forks the children, replaces the dead ones, ends with its owner.

It has no threads and loads no picture library, so that forking is safe and cheap at any time.
"""

from __future__ import annotations

import ctypes
import logging
import os
import random
import selectors
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

from imagegen.imaging import child, protocol

BACKLOG = 512
_STABLE_AFTER = 1.0
_LONGEST_PAUSE = 5.0
_PR_SET_PDEATHSIG = 1
_AUTOGROUP = Path("/proc/self/autogroup")
_AUTOGROUP_TRIES = 10

log = logging.getLogger(__name__)


class Master:
    """Keeps `count` children accepting on one listening socket until stdin closes or SIGTERM arrives."""

    def __init__(self, socket_path: Path, count: int, tasks_module: str) -> None:
        self._path = socket_path
        self._count = count
        self._tasks_module = tasks_module
        self._born_at: dict[int, float] = {}
        self._early_deaths = 0
        self._not_before = 0.0
        self._stopping = False
        self._lifeline = os.pipe()
        self._listener = _listen(socket_path)
        self._inode = socket_path.stat().st_ino

    def run(self) -> None:
        """Serve until told to stop; on return all children are gone and so is the socket."""
        woken, waker = socket.socketpair()
        woken.setblocking(False)
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, self._stop)
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
            try:
                self._stand_back()
                while not self._stopping:
                    self._fill()
                    for key, _ in selector.select(self._pause()):
                        if key.fileobj is woken:
                            woken.recv(4096)
                        elif not os.read(sys.stdin.fileno(), 4096):
                            self._stopping = True
                    self._reap()
            finally:
                self._end()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _stand_back(self) -> None:
        """Let other sessions go before this one's children, where there is not enough for everybody.

        Linux weighs sessions against each other, and heeds a process's own niceness only within its session.
        """
        for _ in range(_AUTOGROUP_TRIES):
            if self._stopping:
                return
            try:
                _AUTOGROUP.write_text(str(child.NICENESS))
                return
            except BlockingIOError:
                # One such write in a tenth of a second is allowed to all who are not root, taken together.
                time.sleep(random.uniform(0.1, 0.2))  # noqa: S311
            except OSError:
                return  # a kernel may have none of this, a container may not be allowed it
        log.warning("imaging children will not stand back for other sessions: too many ask for that at once")

    def _pause(self) -> float | None:
        """Seconds until the next child is due, or None if none is missing."""
        if len(self._born_at) >= self._count:
            return None
        return max(0.0, self._not_before - time.monotonic())

    def _fill(self) -> None:
        while len(self._born_at) < self._count and time.monotonic() >= self._not_before:
            pid = os.fork()
            if pid == 0:
                self._be_child()
            self._born_at[pid] = time.monotonic()

    def _be_child(self) -> None:
        """Never returns: the child serves and exits without running anything of the master's."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            _die_with_parent()
            os.close(self._lifeline[1])
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            child.serve(self._listener, self._lifeline[0], self._tasks_module)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while self._born_at:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            age = time.monotonic() - self._born_at.pop(pid)
            self._note_death(pid, os.waitstatus_to_exitcode(status), age)

    def _note_death(self, pid: int, code: int, age: float) -> None:
        """Pause before the next fork only when children die as soon as they are born."""
        if code == 0 or age >= _STABLE_AFTER:
            self._early_deaths = 0
        else:
            self._early_deaths += 1
            self._not_before = time.monotonic() + min(_LONGEST_PAUSE, 0.05 * 2**self._early_deaths)
        if code < 0:
            log.warning("imaging child %d was ended by %s", pid, signal.Signals(-code).name)
        elif code:
            log.error("imaging child %d ended with status %d", pid, code)

    def _end(self) -> None:
        for pid in self._born_at:
            os.kill(pid, signal.SIGKILL)
        for pid in self._born_at:
            os.waitpid(pid, 0)
        self._listener.close()
        try:
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            pass  # a successor has cleaned up already


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Let the signal only write to the wake-up descriptor."""


def _listen(path: Path) -> socket.socket:
    """Return a listening socket at `path`, which appears there only when it already listens."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    protocol.check_socket_path(fresh)
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(fresh))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    fresh.rename(path)
    return listener


def _die_with_parent() -> None:
    """Ask Linux to end this process with its master; elsewhere the lifeline does it after the task."""
    if sys.platform != "linux":
        return
    master = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != master:
        os._exit(1)
