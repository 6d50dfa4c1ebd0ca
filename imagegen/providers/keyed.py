"""One provider under many keys: each organisation's own gets a client of its own, and only so many stay open."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Generic, Protocol, TypeVar

from pydantic import SecretStr

MOST_KEYS = 32
"""Under how many keys a process keeps connections to one provider."""


class Closable(Protocol):
    """Something with connections that can be closed."""

    def close(self) -> None:
        """Close the connections."""


class CallsUnderWay:
    """Counts the calls of something with connections, and closes it only once none is under way.

    A call whose connection is closed from beside has an unknown fate, and may have been paid for.
    """

    def __init__(self, owner: Closable) -> None:
        self._owner = owner
        self._lock = Lock()
        self._count = 0
        self._retired = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count the block as a call."""
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                last = self._retired and not self._count
            if last:
                self._owner.close()

    def retire(self) -> None:
        """Close after the last call; whoever still holds the thing may call it, and it closes again after that."""
        with self._lock:
            self._retired = True
            idle = not self._count
        if idle:
            self._owner.close()


class Retiring(Closable, Protocol):
    """Something that can be told to close once it is idle."""

    def retire(self) -> None:
        """Close as soon as no call is under way."""


Kept = TypeVar("Kept", bound=Retiring)


class ByKey(Generic[Kept]):
    """What was made for each key, the `most` lately used; safe for threads. Keys are held as their hashes."""

    def __init__(self, make: Callable[[SecretStr], Kept], most: int = MOST_KEYS) -> None:
        self._make = make
        self._most = most
        self._lock = Lock()
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()

    def get(self, key: SecretStr) -> Kept:
        """Return what belongs to `key`, made if need be; what was used longest ago goes for it."""
        name = hashlib.sha256(key.get_secret_value().encode()).digest()
        gone: list[Kept] = []
        with self._lock:
            found = self._kept.get(name)
            if found is None:
                found = self._kept[name] = self._make(key)
            self._kept.move_to_end(name)
            while len(self._kept) > self._most:
                gone.append(self._kept.popitem(last=False)[1])
        for each in gone:
            each.retire()
        return found

    def close(self) -> None:
        """Close everything and keep nothing."""
        with self._lock:
            kept = list(self._kept.values())
            self._kept.clear()
        for each in kept:
            each.close()
