"""Whose turn it is to write: one at a time, the urgent before the others, nobody for ever."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from imagegen.extensions import in_app_context
from imagegen.models import unit_of_work, writes, writes_first
from imagegen.models.unit_of_work import Turns
from tests.waiting import eventually

# The package gives its name to a function.
own = importlib.import_module("imagegen.models.unit_of_work")

Start = Callable[[Callable[[], object]], None]


@pytest.fixture
def start() -> Iterator[Start]:
    """Run something in a thread of its own, whose end is waited for."""
    with ThreadPoolExecutor(64) as pool:
        begun = []
        yield lambda function: begun.append(pool.submit(function))
        for each in begun:
            each.result(timeout=30)


def waiting(turns: Turns) -> int:
    """Return how many stand in line."""
    return turns._urgent.length + turns._others.length


def test_the_urgent_go_first_in_whatever_order_they_came(start: Start) -> None:
    turns, done = Turns(), []

    def write(urgent: bool) -> None:
        with turns.taken(urgent=urgent):
            done.append(urgent)

    with turns.taken(urgent=False):
        for number, urgent in enumerate((False, True, False, True, False), 1):
            start(lambda urgent=urgent: write(urgent))  # type: ignore[misc]
            eventually(lambda number=number: waiting(turns) == number)  # type: ignore[misc]
    eventually(lambda: len(done) == 5)
    assert done == [True, True, False, False, False]


def test_however_many_write_each_is_alone_and_all_come_to_their_end(start: Start) -> None:
    turns, inside, most = Turns(), [0], [0]

    def write(number: int) -> None:
        for _ in range(50):
            with turns.taken(urgent=number % 3 == 0):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)
                inside[0] -= 1

    for number in range(30):
        start(lambda number=number: write(number))  # type: ignore[misc]
    eventually(lambda: waiting(turns) == 0 and not turns._taken)
    assert most == [1]


def test_who_fails_gives_the_turn_back(start: Start) -> None:
    turns, done = Turns(), threading.Event()
    with pytest.raises(ZeroDivisionError), turns.taken(urgent=True):
        _ = 1 / 0

    def write() -> None:
        with turns.taken(urgent=False):
            done.set()

    start(write)
    assert done.wait(30)


@pytest.mark.databases("sqlite")
def test_what_a_call_waits_for_is_written_before_what_came_earlier(app: Flask, start: Start) -> None:
    order: list[str] = []
    later = writes(lambda _uow: order.append("picture"))
    first = writes_first(lambda _uow: order.append("call"))

    with unit_of_work():
        for number, write in enumerate((later, first), 1):
            start(in_app_context(write))
            eventually(lambda number=number: waiting(own._turns) == number)  # type: ignore[misc]
        assert order == []
    eventually(lambda: len(order) == 2)
    assert order == ["call", "picture"]
