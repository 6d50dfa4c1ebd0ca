"""One open stream, and those of an organisation together."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as data_field
from functools import cached_property
from itertools import chain
from typing import Literal, NamedTuple

from imagegen.models import Event
from imagegen.services.rights import Right
from imagegen.web import live
from imagegen.web.connections import Connection

BACKLOG = 500
"""A reader that has so many messages unread is cut off; it comes back and catches up from the rows."""

Format = Literal["html", "json"]

_NEWLINE = re.compile(r"\r\n|\r|\n")


def message(data: str, *, id: int | None = None, event: str | None = None) -> bytes:
    """Return one server-sent event. Whatever newlines `data` has, it stays one event."""
    lines = [f"id: {id}"] if id is not None else []
    if event:
        lines.append(f"event: {event}")
    lines += [f"data: {line}" for line in _NEWLINE.split(data)]
    return ("\n".join(lines) + "\n\n").encode()


class Kind(NamedTuple):
    """What two streams of an organisation have in common whose messages are the same bytes."""

    format: Format
    language: str
    rights: frozenset[Right]
    page: live.Page
    job_id: int | None
    user_id: int


@dataclass(eq=False)
class Stream:
    """One open connection: whose, what it wants to hear, and what it has not read yet.

    What happens is written to the connection at once while nobody else does, by whoever hands it over; what does not
    go out so, and all where connections can't be had, waits in the inbox for the one who reads it.
    """

    organisation_id: int
    user_id: int
    format: Format = "html"
    job_id: int | None = None
    page: live.Page = live.FEED
    rights: frozenset[Right] = frozenset()
    language: str = "en"
    session_id: int | None = None
    token_id: int | None = None
    connection: Connection | None = None
    inbox: deque[tuple[int, bytes]] = data_field(default_factory=deque)
    stirred: threading.Event = data_field(default_factory=threading.Event)
    closing: str | None = None
    checked_at: float = data_field(default_factory=time.monotonic)
    seen: int = 0
    """Up to which of its events the reader has been told when it begins to read its inbox."""
    waiting: bool = False
    """Whether its reader waits: all that it was given is out, and it gives nothing out itself."""

    @property
    def gone(self) -> bool:
        """Whether its reader has left, as far as its connection can tell: a reader that waits learns of it late."""
        return self.connection is not None and self.connection.gone

    @cached_property
    def kind(self) -> Kind:
        """What it has in common with other streams; nothing of that changes once it has joined them."""
        return Kind(self.format, self.language, self.rights, self.page, self.job_id, self.user_id)

    def number(self, event: Event) -> int:
        """Return the event's number as this stream counts: a job's own for the API, the organisation's for pages."""
        return event.seq if self.format == "json" else event.organisation_seq

    def wants(self, event: Event) -> bool:
        """Tell whether the stream is about this event."""
        if self.format == "json":
            return event.job_id == self.job_id
        return self.page.of_everybody or event.user_id == self.user_id

    def put(self, seq: int, chunk: bytes) -> None:
        """Hand over a message up to event `seq`; a reader that lags too far behind is told to come back."""
        if len(self.inbox) >= BACKLOG:
            self.close("shutdown")
        elif not self._written(seq, chunk):
            self.inbox.append((seq, chunk))
            self.stirred.set()

    def _written(self, seq: int, chunk: bytes) -> bool:
        """Write a message to the connection; False if it has to wait its turn."""
        if self.connection is None or not self.waiting or self.inbox:
            return False
        if seq <= self.seen:
            return True
        taken = self.connection.write(chunk)
        if self.connection.behind:
            self.stirred.set()
        return taken

    def wait(self, seconds: float) -> bool:
        """Wait until there is something to give out or to end for; False if there was nothing for so long."""
        self.stirred.clear()
        if self.inbox or self.closing:
            return True
        self.waiting = True
        try:
            return self.stirred.wait(seconds)
        finally:
            self.waiting = False

    def unread(self) -> Iterator[bytes]:
        """Empty the inbox; first comes out what is left of a message that was written to the connection."""
        if self.connection is not None:
            self.connection.finish()
        while self.inbox:
            seq, chunk = self.inbox.popleft()
            # It may have happened between joining and reading what was missed.
            if seq > self.seen:
                yield chunk

    def close(self, reason: str) -> None:
        """End the stream, with a closing event that says why."""
        self.closing = self.closing or reason
        self.stirred.set()


class Audience:
    """An organisation's open streams, those of a kind together, and up to where its events are read for them."""

    def __init__(self, latest: int) -> None:
        self.latest = latest
        self._kinds: dict[Kind, set[Stream]] = {}

    def __iter__(self) -> Iterator[Stream]:
        return chain.from_iterable(self._kinds.values())

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def add(self, stream: Stream) -> None:
        """Let `stream` hear from now on."""
        self._kinds.setdefault(stream.kind, set()).add(stream)

    def discard(self, stream: Stream) -> None:
        """Forget `stream`, if it is known."""
        streams = self._kinds.get(stream.kind, set())
        streams.discard(stream)
        if not streams:
            self._kinds.pop(stream.kind, None)

    def of_person(self, user_id: int) -> list[Stream]:
        """Return the streams that a person has open."""
        return [stream for kind, streams in self._kinds.items() if kind.user_id == user_id for stream in streams]

    def by_kind(self) -> list[list[Stream]]:
        """Return the streams as they are now, those of a kind together."""
        return [list(streams) for streams in self._kinds.values()]
