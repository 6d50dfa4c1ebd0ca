"""The library at 10,000, 100,000 and 1,000,000 pictures on both databases, beside the bare SQL of the same pages.

Three organisations share the rows, mixed as they would come: one has most, one 8 in 100, one 200. `BENCH_IMAGES`
(`10000,100000`) chooses other sizes.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import upgrade
from pydantic import SecretStr
from sqlalchemy import event

from bench.table import Baseline, Row, median, percentile
from imagegen.app import create_app
from imagegen.core import crypto
from imagegen.core.clock import now
from imagegen.extensions import db
from imagegen.models import organisation_scope, system_scope, unit_of_work
from imagegen.services import accounts, library
from imagegen.services.library import Wish, indexing, seeding
from imagegen.services.library.arrival import StoredFiles
from imagegen.settings import Settings
from tests.postgresql import PostgreSQL

SIZES = tuple(int(size) for size in os.environ.get("BENCH_IMAGES", "10000,100000,1000000").split(","))
SMALL = 200
ROUNDS = 40
LARGEST_CHUNK = 1_000
SMALL_CHUNKS = 20
DEEP = 1_000
TURNED, LISTED = 20, 40
"""How many pictures the pages have that are turned to come there, and those that are measured."""
QUERY_MS = 10.0
RESPONSE_MS = 25.0
GROWTH = 2.0

LONG_AGO = now().date() - timedelta(days=600)
_API_NAMES = {"since": "from", "until": "to"}

CASES: dict[str, Wish] = {
    "first page": Wish(),
    "oldest": Wish(sort="oldest"),
    "most used": Wish(sort="most_used"),
    "by name": Wish(sort="name"),
    **{f"filter {name}": Wish(filter=name) for name in library.FILTERS if name != "all"},
    "tag": Wish(tag="launch"),
    "style": Wish(style="watercolor"),
    "colour": Wish(colour="blue"),
    "orientation": Wish(orientation="square"),
    "a common word": Wish(q="lighthouse"),
    "a rare word": Wish(q="000404"),
    "no such word": Wish(q="zebrafish"),
    "half a word": Wish(q="lighth"),
    "one letter": Wish(q="l"),
    "three days long ago": Wish(since=LONG_AGO, until=LONG_AGO + timedelta(days=2)),
    "a common word long ago": Wish(q="lighthouse", since=LONG_AGO, until=LONG_AGO + timedelta(days=30)),
    "by name, uploaded": Wish(sort="name", filter="uploaded"),
    "most used, favourites": Wish(sort="most_used", filter="favourites"),
}
HARD: dict[str, Wish] = {
    "two words and three filters": Wish(q="violin dusk", filter="ai_generated", style="watercolor", colour="blue"),
    "two common words that never meet": Wish(q="lighthouse bicycle"),
}
"""What finds little though it reads much: such pages are short, so that they hold their time; they may grow to it."""


@dataclass(frozen=True)
class Times:
    """Milliseconds of one case: the library's query, the same statement by the driver alone, the whole answer.

    `found` is how many pictures the page has.
    """

    found: int
    query: list[float]
    bare: list[float]
    response: list[float]


@dataclass(frozen=True)
class Owner:
    """An organisation, and somebody in it who asks by program."""

    label: str
    organisation_id: int
    headers: dict[str, str]


Results = dict[tuple[str, int, str, str], Times]
"""Times by database, size, owner and case."""


def run() -> list[Row]:
    """Return the rows of all databases, sizes, owners and cases."""
    results: Results = {}
    for name, opened in (("sqlite", _sqlite), ("postgresql", _postgresql)):
        for size in SIZES:
            with opened() as app, app.app_context():
                for owner in _filled(size):
                    for case, cursor, wish in _cases(owner):
                        results[name, size, owner.label, case] = _measured(app, owner, wish, cursor)
    return list(_rows(results))


@contextmanager
def _sqlite() -> Iterator[Flask]:
    with tempfile.TemporaryDirectory(prefix="igs-") as folder:
        yield _app(Path(folder), {})


@contextmanager
def _postgresql() -> Iterator[Flask]:
    with (
        tempfile.TemporaryDirectory(prefix="igs-") as folder,
        tempfile.TemporaryDirectory(prefix="igs-pg-") as data,
        PostgreSQL(Path(data)) as server,
    ):
        more = {"database_url": server.url("postgres"), "encryption_keys": SecretStr(crypto.new_key())}
        yield _app(Path(folder), more)


def _app(folder: Path, more: dict[str, Any]) -> Flask:
    app = create_app(Settings(studio_data_dir=folder, secret_key=SecretStr("k" * 40), **more))
    with app.app_context():
        upgrade()
    return app


def _filled(size: int) -> list[Owner]:
    shares = {"most": size - size * 8 // 100 - SMALL, "8 in 100": size * 8 // 100, str(SMALL): SMALL}
    chunks = max(size // LARGEST_CHUNK, SMALL_CHUNKS)
    owners, places = [], []
    for number, label in enumerate(shares):
        email = f"owner{number}@bench.example"
        person = accounts.create_user(
            email=email, password="a long enough password", organisation=label, role="owner"
        )
        here = accounts.organisation_for(user_id=person.id, named=None)
        made = accounts.create_token(user_id=person.id, organisation_id=here.id, name="bench", scopes=("read",))
        owners.append(Owner(label, here.id, {"Authorization": f"Bearer {made.secret}"}))
        places.append(seeding.Place(here.id, here.public_id, ((person.id, person.public_id),), 0))
    with system_scope(), unit_of_work() as uow, indexing.filled_at_once(uow.connection()):
        for chunk in range(chunks):
            for place, share in zip(places, shares.values(), strict=True):
                every = chunks // SMALL_CHUNKS if share == SMALL else 1
                if chunk % every == 0:
                    count, part = share * every // chunks, (chunk + 1, chunks)
                    seeding.add(uow, place=place, count=count, drawings=_DRAWINGS, part=part)
    _settle()
    return owners


def _settle() -> None:
    """Do what a database that has been running for a while has done."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(
            "VACUUM ANALYZE" if db.engine.dialect.name == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)"
        )


_DRAWINGS = [
    StoredFiles(
        mime_type="image/jpeg",
        width=shape[0],
        height=shape[1],
        file_size=200_000,
        sha256=f"{number:064x}",
        received_sha256=f"{number:064x}",
        file_key="none",
        received_key="none",
        renditions=[{"width": 256, "height": 320, "bytes": 9_000}, {"width": 512, "height": 640, "bytes": 30_000}],
        placeholder="data:image/webp;base64," + "A" * 300,
        colours=[colour, "#808080", "#f0f0f0"],
        phash=f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}",
    )
    for number, (shape, colour) in enumerate(
        (shape, colour)
        for shape in ((512, 640), (640, 512), (512, 512))
        for colour in ("#2d5fc8", "#c82828", "#46a046")
    )
]


def _cases(owner: Owner) -> Iterator[tuple[str, str | None, Wish]]:
    for case, wish in (CASES | HARD).items():
        yield case, None, wish
    yield f"page {DEEP:,}", _deep(owner), Wish()


def _deep(owner: Owner) -> str | None:
    """Return the cursor of the page `DEEP`, or of the last from which on there is a full one."""
    before: deque[str | None] = deque([None], maxlen=1 + LISTED // TURNED)
    with organisation_scope(owner.organisation_id):
        for _ in range(DEEP):
            following = library.ids_of(Wish(), cursor=before[-1], limit=TURNED).next_cursor
            if following is None:
                return before[0]
            before.append(following)
    return before[-1]


def _measured(app: Flask, owner: Owner, wish: Wish, cursor: str | None) -> Times:
    client = app.test_client()
    asked = {_API_NAMES.get(name, name): value for name, value in wish.to_mapping().items()} | {"limit": str(LISTED)}
    if cursor:
        asked["cursor"] = cursor

    def answered() -> None:
        response = client.get("/api/v1/images", query_string=asked, headers=owner.headers)
        assert response.status_code == 200, response.text

    with organisation_scope(owner.organisation_id):
        found = len(library.list_images(wish, cursor=cursor, limit=LISTED).items)
        sent = _sent(lambda: library.list_images(wish, cursor=cursor, limit=LISTED))
        query = _timed(lambda: library.list_images(wish, cursor=cursor, limit=LISTED))
        bare = _timed(lambda: _by_driver(*sent))
        db.session.rollback()
    return Times(found, query, bare, _timed(answered))


def _sent(call: Callable[[], object]) -> tuple[str, Any]:
    """Return what a call sends to the driver: the statement and its parameters."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return found[-1]


def _by_driver(statement: str, parameters: Any) -> None:
    """Read as many rows as a page has; SQLite looks no further than somebody reads."""
    connection = db.session.connection().connection.driver_connection
    assert connection is not None
    cursor = connection.cursor()
    cursor.execute(statement, parameters)
    found = 0
    while found <= LISTED and (row := cursor.fetchone()) is not None:
        found += row[0] is not None
    cursor.close()


def _timed(call: Callable[[], object]) -> list[float]:
    for _ in range(3):
        call()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return times


def _rows(results: Results) -> Iterator[Row]:
    for (name, size, owner, case), times in results.items():
        what = f"{name}, {size:,}, owner of {owner}: {case}"
        yield Row(f"{what}, p50", median(times.query), "ms", Baseline("bare SQL", median(times.bare)))
        bare = Baseline("bare SQL", percentile(times.bare, 0.95))
        yield Row(f"{what}, p95", percentile(times.query, 0.95), "ms", bare, QUERY_MS)
        yield Row(f"{what}, whole answer, p95", percentile(times.response, 0.95), "ms", limit=RESPONSE_MS)
    for (name, size, owner, case), times in results.items():
        # A page of three pictures is no measure for one of forty.
        alike = [less for less in sorted(SIZES) if results[name, less, owner, case].found >= times.found]
        if size == max(SIZES) > alike[0]:
            growth = median(times.query) / median(results[name, alike[0], owner, case].query)
            limit = GROWTH if case not in HARD else None
            what = f"{name}, owner of {owner}: {case}, growth from {alike[0]:,} to {size:,}"
            yield Row(what, growth, "x", limit=limit)
