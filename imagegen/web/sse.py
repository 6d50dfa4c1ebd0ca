"""Live pages: server-sent events from rows.

One `Hub` per process hears from Redis that an organisation has new events, reads the new rows once, draws each
changed piece once per language, and hands the same bytes to all streams that it concerns. A stream itself reads
the database only when it connects, for what it has missed; whether it may still listen is asked for all together.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as data_field
from typing import Any, Literal

import structlog
from flask import Flask, Response, current_app, request
from flask_babel import force_locale
from redis import RedisError

from imagegen.extensions import EVENTS_CHANNEL, db, runtime
from imagegen.models import Event, Job, organisation_scope
from imagegen.models.states import JOB_ENDS
from imagegen.services import jobs
from imagegen.services.rights import Right
from imagegen.web import listening_rights, live, readers
from imagegen.web.auth import identity

log = structlog.get_logger(__name__)

MOST_STREAMS_A_PERSON = 20
PING_SECONDS = 15.0
RECHECK_SECONDS = 30.0
LOOK_SECONDS = 0.5
"""How often it is looked whose rights are to be asked for again: few at a time, so that nobody waits for all."""
YIELD_EVERY = 200
ASK_SECONDS = 2.0
"""How often the database is asked while Redis can't be heard."""
BACKLOG = 500
"""A reader that has so many messages unread is cut off; it comes back and catches up from the rows."""
BATCH = 1000
"""How many events are read at once. A page that has missed more is told to load anew: that costs less."""

Format = Literal["html", "json"]

_NEWLINE = re.compile(r"\r\n|\r|\n")


def message(data: str, *, id: int | None = None, event: str | None = None) -> bytes:
    """Return one server-sent event. Whatever newlines `data` has, it stays one event."""
    lines = [f"id: {id}"] if id is not None else []
    if event:
        lines.append(f"event: {event}")
    lines += [f"data: {line}" for line in _NEWLINE.split(data)]
    return ("\n".join(lines) + "\n\n").encode()


@dataclass(eq=False)
class Stream:
    """One open connection: whose, what it wants to hear, and what it has not read yet."""

    organisation_id: int
    user_id: int
    format: Format = "html"
    job_id: int | None = None
    page: live.Page = live.FEED
    rights: frozenset[Right] = frozenset()
    language: str = "en"
    session_id: int | None = None
    token_id: int | None = None
    inbox: deque[tuple[int, bytes]] = data_field(default_factory=deque)
    stirred: threading.Event = data_field(default_factory=threading.Event)
    closing: str | None = None
    checked_at: float = data_field(default_factory=time.monotonic)
    seen: int = 0
    """Up to which of its events the reader has been told when it begins to read its inbox."""

    def number(self, event: Event) -> int:
        """Return the event's number as this stream counts: a job's own for the API, the organisation's for pages."""
        return event.seq if self.format == "json" else event.organisation_seq

    def wants(self, event: Event) -> bool:
        """Tell whether the stream is about this event."""
        if self.format == "json":
            return event.job_id == self.job_id
        return self.page.of_everybody or event.user_id == self.user_id

    @property
    def alike(self) -> tuple[object, ...]:
        """What two streams have in common whose messages are the same bytes."""
        return self.format, self.language, self.rights, self.page, self.job_id, self.user_id

    def put(self, seq: int, chunk: bytes) -> None:
        """Hand over a message up to event `seq`; a reader that lags too far behind is told to come back."""
        if len(self.inbox) >= BACKLOG:
            self.close("shutdown")
            return
        self.inbox.append((seq, chunk))
        self.stirred.set()

    def close(self, reason: str) -> None:
        """End the stream, with a closing event that says why."""
        self.closing = self.closing or reason
        self.stirred.set()


class Hub:
    """All open streams of one process."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._streams: dict[int, set[Stream]] = defaultdict(set)
        self._latest: dict[int, int] = {}
        self._lock = threading.RLock()
        self._listener: threading.Thread | None = None
        self._closed = False
        self._over = threading.Event()

    def join(self, stream: Stream) -> None:
        """Let `stream` hear what happens from now on. A person with too many open pages is told to ask instead."""
        with self._lock:
            if self._closed:
                stream.close("shutdown")
                return
            others = self._streams.get(stream.organisation_id, set())
            if sum(other.user_id == stream.user_id for other in others) >= MOST_STREAMS_A_PERSON:
                stream.close("busy")
                return
            if not others:
                self._latest[stream.organisation_id] = jobs.latest_seq(stream.organisation_id)
            self._streams[stream.organisation_id].add(stream)
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="events-hub", daemon=True)
                self._listener.start()
                threading.Thread(target=self._watch_rights, name="events-rights", daemon=True).start()

    def leave(self, stream: Stream) -> None:
        """Forget `stream`; done twice it does no harm."""
        with self._lock:
            streams = self._streams.get(stream.organisation_id, set())
            streams.discard(stream)
            if not streams:
                self._streams.pop(stream.organisation_id, None)
                self._latest.pop(stream.organisation_id, None)

    def close_session(self, session_id: int) -> None:
        """End the streams of a session that has been signed out."""
        for stream in self._all():
            if stream.session_id == session_id:
                stream.close("signed_out")

    def close(self) -> None:
        """End all streams: this process stops."""
        with self._lock:
            self._closed = True
        self._over.set()
        for stream in self._all():
            stream.close("shutdown")

    def _all(self) -> list[Stream]:
        with self._lock:
            return [stream for streams in self._streams.values() for stream in streams]

    def _watch_rights(self) -> None:
        """End the streams of those who may not listen any more."""
        while not self._over.wait(LOOK_SECONDS):
            clock = time.monotonic()
            due = [stream for stream in self._all() if stream.checked_at <= clock - RECHECK_SECONDS]
            for at in range(0, len(due), YIELD_EVERY):
                self._check(due[at : at + YIELD_EVERY])
                time.sleep(0)

    def _check(self, streams: list[Stream]) -> None:
        for stream in streams:
            stream.checked_at = time.monotonic()
        with self.app.app_context():
            try:
                for stream in listening_rights.refused(streams):
                    stream.close("signed_out")
            except Exception:
                # Without a database there is nothing to hear either; the next round asks again.
                log.exception("hub.rights_not_checked")
            finally:
                db.session.remove()

    def _listen(self) -> None:
        while not self._closed:
            try:
                self._hear()
            except Exception as error:
                # Whatever it is, open pages must not wait for a restart of the server.
                self._note(error)
                time.sleep(ASK_SECONDS)

    def _note(self, error: Exception) -> None:
        if isinstance(error, RedisError):
            log.warning("hub.redis_unreachable", error=str(error))
        elif not self._closed:
            log.error("hub.failed", exc_info=error)

    def _hear(self) -> None:
        with self.app.app_context(), runtime.redis.pubsub() as pubsub:
            self._ask_for_all()
            pubsub.subscribe(EVENTS_CHANNEL)
            while not self._closed:
                heard = pubsub.get_message(timeout=PING_SECONDS)
                if heard is not None and heard["type"] == "message":
                    self._deliver_announced(heard["data"])
                else:
                    # Subscribed, maybe for the second time, or nothing heard for long: an announcement may be lost.
                    self._ask_for_all()

    def _deliver_announced(self, data: Any) -> None:
        if data.isdigit() and len(data) <= 18:
            self._deliver(int(data))
        else:
            log.warning("hub.strange_message", length=len(data))

    def _ask_for_all(self) -> None:
        for organisation_id in list(self._streams):
            self._deliver(organisation_id)

    def _deliver(self, organisation_id: int) -> None:
        """Read an organisation's new events once, and hand them to all its streams."""
        read = BATCH
        while read == BATCH and (after := self._latest.get(organisation_id)) is not None:
            with self._drawing(organisation_id):
                events = jobs.events_after(seq=after, limit=BATCH)
                read = len(events)
                if events:
                    self._hand_out(events, self._note_read(organisation_id, events[-1].organisation_seq))

    @contextmanager
    def _drawing(self, organisation_id: int) -> Iterator[None]:
        """Give what templates need where nobody asks for a page: a request of no browser's, for addresses."""
        trusted = self.app.config["TRUSTED_HOSTS"]
        base_url = f"http://{trusted[0].lstrip('.')}" if trusted else None
        request_context = self.app.test_request_context(base_url=base_url)
        with self.app.app_context(), request_context, organisation_scope(organisation_id):
            try:
                yield
            finally:
                db.session.remove()

    def _note_read(self, organisation_id: int, latest: int) -> list[Stream]:
        """Note that events up to `latest` are read, and return who has to hear of them.

        Only now: a stream that joined after they were read finds them in the database itself, and one that joins
        after this does too.
        """
        with self._lock:
            if organisation_id in self._latest:
                self._latest[organisation_id] = max(self._latest[organisation_id], latest)
            return list(self._streams.get(organisation_id, ()))

    def _hand_out(self, events: Sequence[Event], streams: list[Stream]) -> None:
        drawn: dict[tuple[object, ...], list[tuple[int, bytes]]] = {}
        parts: dict[tuple[object, ...], live.Parts] = defaultdict(dict)
        for count, stream in enumerate(streams, 1):
            wanted = [event for event in events if stream.wants(event)]
            if wanted:
                if stream.alike not in drawn:
                    shared = parts[stream.language, stream.rights]
                    drawn[stream.alike] = _drawn_or_nothing(wanted, stream, shared)
                self._hand_over(drawn[stream.alike], wanted, stream)
            if count % YIELD_EVERY == 0:
                time.sleep(0)

    @staticmethod
    def _hand_over(messages: list[tuple[int, bytes]], events: Sequence[Event], stream: Stream) -> None:
        if not messages:
            stream.close("shutdown")
        for seq, chunk in messages:
            stream.put(seq, chunk)
        if stream.format == "json" and events[-1].type in _JOB_ENDS:
            stream.close("finished")


_JOB_ENDS = frozenset(f"job.{status}" for status in JOB_ENDS)


def _drawn_or_nothing(events: Sequence[Event], stream: Stream, parts: live.Parts) -> list[tuple[int, bytes]]:
    """Draw `events`; where that fails nothing, so that one broken piece ends its readers' streams and no other."""
    try:
        return draw(events, stream, parts)
    except Exception:
        log.exception("hub.not_drawn", organisation=stream.organisation_id)
        db.session.rollback()
        return []


def draw(events: Sequence[Event], stream: Stream, parts: live.Parts | None = None) -> list[tuple[int, bytes]]:
    """Return `events` as messages in the stream's format, each with the number of the last event in it.

    `parts` keeps what other streams of the same language and rights have in common with this one.
    """
    if stream.format == "json":
        return [(event.seq, message(json.dumps(as_json(event)), id=event.seq)) for event in events]
    about: dict[str, Any] = {"page": stream.page, "parts": parts} if stream.page != live.FEED else {}
    with force_locale(stream.language), readers.drawn_for(stream.rights):
        html = live.pieces(events, user_id=stream.user_id, **about)
    last = events[-1].organisation_seq
    return [(last, message(html, id=last))]


def as_json(event: Event) -> dict[str, object]:
    """Return an event as the API writes it."""
    return {"seq": event.seq, "type": event.type, **event.data, "created_at": event.created_at.isoformat()}


def hub() -> Hub:
    """Return this process's hub."""
    found: Hub = current_app.extensions["studio-hub"]
    return found


def init_app(app: Flask) -> None:
    """Give the app its hub."""
    app.extensions["studio-hub"] = Hub(app)


def open_stream(stream: Stream, *, after: int) -> Response:
    """Answer with a stream: first what was missed since number `after`, then all that happens.

    `after` counts the organisation's events for pages (`format="html"`) and the job's own for the API
    (`format="json"`). A JSON stream of a job ends once the job has; `after` of a finished one gives the rest.
    """
    response = Response(mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Cache-Control"] = "no-store"
    if request.method == "HEAD":
        return response
    who = identity()
    stream.token_id = who.token.id if who.token else None
    stream.rights = who.rights
    here = hub()
    here.join(stream)
    try:
        # What this request has read so far is older than the joining: events between the two would be lost.
        db.session.rollback()
        missed = _missed(stream, after)
    except BaseException:
        here.leave(stream)
        raise
    response.response = _read(here, stream, missed)
    # A generator that nobody began to read never comes to its end either.
    response.call_on_close(lambda: here.leave(stream))
    return response


def _missed(stream: Stream, after: int) -> list[bytes]:
    """Draw what `stream`'s reader does not have yet, and note up to where that goes."""
    job = db.session.get_one(Job, stream.job_id) if stream.job_id is not None else None
    if stream.format == "json" and job is not None:
        stream.seen = min(after, job.event_seq)
        events = jobs.job_events(job, after=stream.seen)
        if job.finished:
            stream.close("finished")
    else:
        # A number from the future is that of a database from before a backup was brought back.
        stream.seen = min(after, jobs.latest_seq(stream.organisation_id))
        user_id = None if stream.page.of_everybody else stream.user_id
        events = jobs.events_after(seq=stream.seen, user_id=user_id, limit=BATCH + 1)
        if len(events) > BATCH:
            stream.close("behind")
            return []
    if not events:
        return []
    stream.seen = stream.number(events[-1])
    return [chunk for _seq, chunk in draw(events, stream)]


def _read(here: Hub, stream: Stream, missed: list[bytes]) -> Iterator[bytes]:
    """Give what was missed, then the inbox until the stream is closed, with a ping in quiet times."""
    try:
        yield b"retry: 1000\n\n"
        yield from missed
        while True:
            # Looked at before the inbox is emptied: what comes together with the end belongs before it.
            closing = stream.closing
            while stream.inbox:
                seq, chunk = stream.inbox.popleft()
                # It may have happened between joining and reading what was missed.
                if seq > stream.seen:
                    yield chunk
            if closing:
                yield message(closing, event="bye")
                return
            stream.stirred.clear()
            if not stream.inbox and not stream.closing and not stream.stirred.wait(PING_SECONDS):
                yield b": ping\n\n"
    finally:
        here.leave(stream)
