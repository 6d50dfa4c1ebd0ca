"""The scheduler: looks every few seconds for what got lost or is due, and cleans up once a day.

Any number of them may run. Each duty has a thread and a rhythm of its own, so that none keeps another one waiting.
One that fails is logged and tried again.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

import setproctitle
import structlog
from flask import Flask

from imagegen.app import create_app
from imagegen.engine.due import begin_due
from imagegen.engine.sweep import sweep
from imagegen.services.cleaning import reports
from imagegen.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

LAST_WORDS_SECONDS = 4.0
"""For so long the process waits for its duties after it was told to stop. What it leaves, the next one takes up."""

WAKING_SECONDS = 1.0

ASKED_FOR_SECONDS = 2.0
"""How often somebody's wish to clean up is looked for: they look at the page."""


@dataclass(frozen=True)
class Duty:
    """Something to do every so many seconds; it may ask whether the process is to stop."""

    name: str
    seconds: float
    do: Callable[[Callable[[], bool]], object]


def duties(settings: Settings) -> tuple[Duty, ...]:
    """Return what a scheduler does."""
    return (
        Duty("sweep", settings.sweep_seconds, lambda _stopping: sweep()),
        Duty("due", min(settings.sweep_seconds, 15), lambda _stopping: begin_due()),
        Duty("clean_daily", 60, lambda _stopping: reports.ask_daily(hour=settings.clean_hour)),
        Duty("clean", ASKED_FOR_SECONDS, reports.clean_next),
    )


def run(app: Flask, duties: Sequence[Duty], stopping: threading.Event) -> None:
    """Do all `duties`, each in its rhythm, until `stopping` is set."""
    threads = [
        threading.Thread(target=_repeat, args=(app, duty, stopping), name=duty.name, daemon=True) for duty in duties
    ]
    for thread in threads:
        thread.start()
    # Not for ever at once: a signal that another thread took (after the process was frozen) is heard on waking up.
    while not stopping.wait(WAKING_SECONDS):
        pass
    until = time.monotonic() + LAST_WORDS_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _repeat(app: Flask, duty: Duty, stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            with app.app_context():
                duty.do(stopping.is_set)
        except Exception:
            # Whatever it was (a database that is away, a mistake of ours): the next time may be better.
            log.exception("scheduler.duty_failed", duty=duty.name)
        stopping.wait(duty.seconds)


def main() -> int:
    """Do the duties until told to stop."""
    setproctitle.setproctitle("imagegen-scheduler")
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        settings = Settings.load()
        app = create_app(settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    run(app, duties(settings), stopping)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
