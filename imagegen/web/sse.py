"""Live pages: server-sent events from rows.

One `Hub` per process hears from Redis that an organisation has new events, reads the new rows once, draws each
changed piece once per language, and hands the same bytes to all streams that it concerns. A stream itself reads
the database only when it connects, for what it has missed; whether it may still listen is asked for all together.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import structlog
from flask import Flask, Response, current_app, request
from flask_babel import force_locale
from redis import RedisError

from imagegen.extensions import EVENTS_CHANNEL, db, runtime
from imagegen.models import Event, Job, organisation_scope
from imagegen.models.states import JOB_ENDS
from imagegen.services import jobs
from imagegen.web import listening_rights, live, readers
from imagegen.web.auth import identity
from imagegen.web.connections import Connection
from imagegen.web.streams import Audience, Stream, message

__all__ = ["Hub", "Stream", "draw", "hub", "init_app", "message", "open_stream"]

log = structlog.get_logger(__name__)

MOST_STREAMS_A_PERSON = 20
PING_SECONDS = 15.0
RECHECK_SECONDS = 30.0
LOOK_SECONDS = 0.5
"""How often it is looked whose rights are to be asked for again: few at a time, so that nobody waits for all."""
YIELD_EVERY = 200
"""So many streams are asked about at once before others have a turn."""
WRITE_AT_ONCE = 50
"""So many streams hear of an event before others have a turn: a page that comes meanwhile needs several of them."""
ASK_SECONDS = 2.0
"""How often the database is asked while Redis can't be heard."""
BATCH = 1000
"""How many events are read at once. A page that has missed more is told to load anew: that costs less."""


class Hub:
    """All open streams of one process."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._audiences: dict[int, Audience] = {}
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
            audience = self._audiences.get(stream.organisation_id)
            if audience is None:
                audience = Audience(jobs.latest_seq(stream.organisation_id))
                self._audiences[stream.organisation_id] = audience
            elif not self._room_for(stream, audience):
                stream.close("busy")
                return
            audience.add(stream)
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="events-hub", daemon=True)
                self._listener.start()
                threading.Thread(target=self._watch_rights, name="events-rights", daemon=True).start()

    def _room_for(self, stream: Stream, audience: Audience) -> bool:
        """Tell whether a person may open one more; pages that were left, of which no ping told yet, do not count."""
        others = audience.of_person(stream.user_id)
        if len(others) < MOST_STREAMS_A_PERSON:
            return True
        left = [other for other in others if other.gone]
        for other in left:
            audience.discard(other)
            other.close("gone")
        return len(others) - len(left) < MOST_STREAMS_A_PERSON

    def leave(self, stream: Stream) -> None:
        """Forget `stream`; done twice it does no harm."""
        with self._lock:
            audience = self._audiences.get(stream.organisation_id)
            if audience is not None:
                audience.discard(stream)
                if not audience:
                    del self._audiences[stream.organisation_id]

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
            return list(chain.from_iterable(self._audiences.values()))

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
        for organisation_id in list(self._audiences):
            self._deliver(organisation_id)

    def _deliver(self, organisation_id: int) -> None:
        """Read an organisation's new events once, and hand them to all its streams."""
        read = BATCH
        while read == BATCH and (audience := self._audiences.get(organisation_id)) is not None:
            with self._drawing(organisation_id):
                events = jobs.events_after(seq=audience.latest, limit=BATCH)
                read = len(events)
                if events:
                    self._hand_out(events, self._note_read(audience, events[-1].organisation_seq))

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

    def _note_read(self, audience: Audience, latest: int) -> list[list[Stream]]:
        """Note that events up to `latest` are read, and return who has to hear of them, those of a kind together.

        Only now: a stream that joined after they were read finds them in the database itself, and one that joins
        after this does too.
        """
        with self._lock:
            audience.latest = max(audience.latest, latest)
            return audience.by_kind()

    def _hand_out(self, events: Sequence[Event], kinds: list[list[Stream]]) -> None:
        parts: dict[tuple[object, ...], live.Parts] = defaultdict(live.Parts)
        count = 0
        for streams in kinds:
            one = streams[0]
            wanted = [event for event in events if one.wants(event)]
            if not wanted:
                continue
            messages = _drawn_or_nothing(wanted, one, parts[one.language, one.rights])
            for stream in streams:
                self._hand_over(messages, wanted, stream)
                count += 1
                if count % WRITE_AT_ONCE == 0:
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
    stream.connection = Connection.of(request.environ)
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
            yield from stream.unread()
            if closing:
                yield message(closing, event="bye")
                return
            if not stream.wait(PING_SECONDS):
                yield b": ping\n\n"
    finally:
        here.leave(stream)
