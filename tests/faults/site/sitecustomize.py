"""Kills or stops a process at one exact point, from outside: nothing in the product knows of it.

Python imports this at its start in every process that has this folder on its PYTHONPATH. FAULT_AT names a point of
`POINTS`; the first process that is about to call that function leaves its id in the file FAULT_FILE and, by
FAULT_DOES, is killed without a chance to tidy up, or its thread waits there until the file is gone. Whoever comes
later passes. With FAULT_AFTER a process may call the function so many times before. With FAULT_TOGETHER whoever
marks calls as sent waits until they are so many, as long as it has not happened.
"""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

POINTS = {
    "K0 committed, not queued": ("imagegen.engine.dispatch", "send"),
    "K1 dequeued, not claimed": ("imagegen.engine.claims", "claim_some"),
    "K2 claimed, not sent": ("imagegen.engine.departures", "mark_sent"),
    "K3 sent, not called": ("imagegen.engine.departures", "_let_go"),
    "K4 answered, not kept": ("imagegen.engine.attempts", "store"),
    "K5 temporary file written": ("imagegen.storage.local", "_make_young"),
    "K6 files kept, no row": ("imagegen.engine.attempts", "_deliver"),
    "K7 committed, not announced": ("imagegen.extensions", "announce"),
}
"""Module and function; it happens just before the call."""


Change = Callable[[Callable[..., Any]], Callable[..., Any]]


class _Trap:
    """Finds modules as ever, and puts a deadly function into one of them."""

    def __init__(self, module: str, function: str, change: Change) -> None:
        self._module = module
        self._function = function
        self._change = change

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._module:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None and spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            setattr(module, self._function, self._change(getattr(module, self._function)))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _deadly(function: Callable[..., Any]) -> Callable[..., Any]:
    calls = itertools.count()
    after = int(os.environ.get("FAULT_AFTER", "0"))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) < after:
            return function(*args, **kwargs)
        try:
            mark = os.open(os.environ["FAULT_FILE"], os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return function(*args, **kwargs)
        os.write(mark, str(os.getpid()).encode())
        os.close(mark)
        if os.environ["FAULT_DOES"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while os.path.exists(os.environ["FAULT_FILE"]):
            time.sleep(0.01)
        return function(*args, **kwargs)

    return call


def _for_many(function: Callable[..., Any]) -> Callable[..., Any]:
    together = int(os.environ["FAULT_TOGETHER"])

    @functools.wraps(function)
    def call(departure: Any) -> Any:
        while len(departure.claims) < together and not os.path.exists(os.environ["FAULT_FILE"]):
            time.sleep(0.01)
        return function(departure)

    return call


def set_trap(point: str) -> None:
    """Let it happen in this process."""
    _replace(*POINTS[point], _deadly)
    if "FAULT_TOGETHER" in os.environ:
        _replace("imagegen.engine.departures", "_when_it_is_our_turn", _for_many)


def _replace(module: str, function: str, change: Change) -> None:
    """Change a function wherever somebody has it by its name, if its module is here by now; else when it comes."""
    if module not in sys.modules:
        sys.meta_path.insert(0, _Trap(module, function, change))
        return
    harmless = getattr(sys.modules[module], function)
    deadly = change(harmless)
    for each in list(sys.modules.values()):
        for name in [name for name, value in vars(each).items() if value is harmless]:
            setattr(each, name, deadly)


if point := os.environ.get("FAULT_AT"):
    set_trap(point)
