"""Promises of what is kept for a moment."""

from __future__ import annotations

from imagegen.core.moments import Lately


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_found_out_once_until_it_is_too_old():
    clock, found = Clock(), []

    def find_out() -> int:
        found.append(clock.now)
        return len(found)

    lately = Lately(clock)
    assert [lately.get("a", find_out, seconds=15) for _ in range(3)] == [1, 1, 1]
    clock.now += 14.9
    assert lately.get("a", find_out, seconds=15) == 1
    clock.now += 0.2
    assert lately.get("a", find_out, seconds=15) == 2


def test_answers_have_names_and_nothing_is_an_answer_too():
    lately = Lately(Clock())
    assert lately.get(("a", 1), lambda: None, seconds=15) is None
    assert lately.get(("a", 2), lambda: "two", seconds=15) == "two"
    assert lately.get(("a", 1), lambda: "late", seconds=15) is None


def test_what_is_too_old_is_not_kept():
    clock = Clock()
    lately = Lately(clock)
    for name in range(100):
        lately.get(name, lambda: "x", seconds=1)
        clock.now += 2
    assert len(lately._kept) == 1
