"""What was paid for waits: for a database that is busy or away, pixel workers that are, and a disk that is full."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import structlog
from sqlalchemy.exc import OperationalError

from imagegen.imaging.errors import NoSpace, Unavailable
from imagegen.storage.errors import StorageFull

log = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds between tries to keep what a provider has answered. Meanwhile it is held in memory."""


def patiently(step: Callable[P, R]) -> Callable[P, R]:
    """Run `step` again while there is no database or no space for it: what was paid for must not get lost."""

    @functools.wraps(step)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for wait in PATIENCE:
            try:
                return step(*args, **kwargs)
            except (OperationalError, StorageFull, NoSpace, Unavailable) as error:
                log.warning("attempt.waits", step=step.__name__, error=str(error).splitlines()[0], again_in=wait)
                time.sleep(wait)
        return step(*args, **kwargs)

    return run
