"""The scheduler's process: duties in a rhythm of their own, which nothing but its end stops."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flask import Flask, current_app

from imagegen import scheduler
from imagegen.scheduler import Duty
from imagegen.settings import Settings


class Counted:
    """A duty that counts, and lets a test wait for a count."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self._seen = threading.Semaphore(0)
        self._then = then

    def __call__(self, _stopping: Callable[[], bool]) -> None:
        assert current_app.name
        self._seen.release()
        self._then()

    def was_done(self, times: int) -> bool:
        return all(self._seen.acquire(timeout=20) for _ in range(times))


def fails() -> None:
    raise RuntimeError("a mistake of ours")


def run(app: Flask, *duties: Duty) -> tuple[threading.Thread, threading.Event]:
    stopping = threading.Event()
    thread = threading.Thread(target=scheduler.run, args=(app, duties, stopping))
    thread.start()
    return thread, stopping


def end(thread: threading.Thread, stopping: threading.Event) -> bool:
    stopping.set()
    thread.join(20)
    return not thread.is_alive()


def test_a_duty_that_fails_is_tried_again_and_stops_no_other(app: Flask) -> None:
    broken, fine = Counted(fails), Counted()
    thread, stopping = run(app, Duty("broken", 0.01, broken), Duty("fine", 0.01, fine))
    try:
        assert broken.was_done(3) and fine.was_done(3)
    finally:
        assert end(thread, stopping)


def test_a_duty_that_takes_long_keeps_no_other_waiting(app: Flask) -> None:
    over = threading.Event()
    slow, quick = Counted(lambda: assert_(over.wait(30))), Counted()
    thread, stopping = run(app, Duty("slow", 0.01, slow), Duty("quick", 0.01, quick))
    try:
        assert slow.was_done(1) and quick.was_done(5)
    finally:
        over.set()
        assert end(thread, stopping)


def assert_(true: bool) -> None:
    assert true


def test_it_ends_when_it_is_told_although_a_duty_goes_on(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "LAST_WORDS_SECONDS", 0.05)
    over = threading.Event()
    slow = Counted(lambda: assert_(over.wait(30)))
    thread, stopping = run(app, Duty("slow", 1, slow))
    assert slow.was_done(1)
    assert end(thread, stopping)
    over.set()


def test_what_is_due_is_looked_for_often_enough_and_every_duty_does_something(app: Flask, settings: Settings) -> None:
    duties = {duty.name: duty for duty in scheduler.duties(settings)}
    assert duties["due"].seconds <= 30
    for duty in duties.values():
        duty.do(lambda: False)
