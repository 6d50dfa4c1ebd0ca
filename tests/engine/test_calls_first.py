"""Pictures wait for calls that are about to begin, for a moment, and for nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from imagegen.engine import calls_first
from imagegen.engine.calls_first import CallsFirst

Waiting = Callable[[], "Future[None]"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> CallsFirst:
    """Calls for which a picture would wait for a minute."""
    monkeypatch.setattr(calls_first, "MOST_SECONDS", 60)
    made = CallsFirst()
    made.work_waits = True
    return made


@pytest.fixture
def picture(calls: CallsFirst) -> Iterator[Waiting]:
    """Let a picture wait in a thread of its own."""
    with ThreadPoolExecutor(4) as pool:
        yield lambda: pool.submit(calls.wait, lambda: False)


def waits(picture: Future[None]) -> bool:
    time.sleep(0.1)
    return not picture.done()


def test_nothing_to_wait_for_is_no_wait(picture: Waiting) -> None:
    picture().result(timeout=20)


def test_each_call_that_is_about_to_begin_is_waited_for(calls: CallsFirst, picture: Waiting) -> None:
    calls.found(1)
    calls.found(2)
    first, second = picture(), picture()
    calls.begun(1)
    calls.begun(1)
    assert waits(first) and waits(second)
    calls.begun(2)
    first.result(timeout=20)
    second.result(timeout=20)


def test_who_looks_for_calls_is_waited_for_and_what_they_find(calls: CallsFirst, picture: Waiting) -> None:
    with calls.looking():
        waiting = picture()
        assert waits(waiting)
        calls.found(1)
    assert waits(waiting)
    calls.begun(1)
    waiting.result(timeout=20)


def test_a_look_that_has_been_asked_for_is_waited_for(calls: CallsFirst) -> None:
    asked = threading.Event()
    asked.set()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(calls.wait, asked.is_set)
        assert waits(waiting)
        with calls.looking():
            asked.clear()
        waiting.result(timeout=20)


def test_no_look_is_waited_for_where_nothing_may_be_found(calls: CallsFirst, picture: Waiting) -> None:
    calls.work_waits = False
    with calls.looking():
        calls.wait(lambda: True)
        calls.found(1)
        waiting = picture()
        assert waits(waiting)
        calls.begun(1)
        waiting.result(timeout=20)


def test_who_waits_for_a_look_hears_that_there_will_be_none(calls: CallsFirst) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(calls.wait, lambda: True)
        assert waits(waiting)
        with calls.looking():
            calls.work_waits = False
        waiting.result(timeout=20)


def test_a_look_that_fails_keeps_nobody(calls: CallsFirst, picture: Waiting) -> None:
    with pytest.raises(OSError, match="away"), calls.looking():
        raise OSError("the database is away")
    picture().result(timeout=20)


def test_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_first, "MOST_SECONDS", 0.05)
    calls = CallsFirst()
    calls.found(1)
    calls.wait(lambda: True)
