"""I5 to I7: pictures and their files, files that belong to nothing, and what was left in the workspaces."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, union_all

from imagegen.engine.invariants.rule import MOST_NAMED, Invariant, Look, Question, Rule
from imagegen.extensions import db, runtime
from imagegen.models import Event, Image, Reservation, Shot
from imagegen.models.states import ReservationStatus, ShotStatus
from imagegen.services import kept_answers
from imagegen.storage import keys
from imagegen.storage.errors import StorageError

Found = Row[*tuple[Any, ...]]

BATCH = 500
YOUNG = timedelta(hours=24)
"""A file is stored before its row is written: one that is younger may still get it."""

# --- I5 --------------------------------------------------------------------------------------------------------

_DONE = f"shot.{ShotStatus.SUCCEEDED}"
_MADE = and_(Shot.status == ShotStatus.SUCCEEDED, ~Shot.reused)
"""Drawn for this very shot, not taken from an earlier one."""

_said = (
    select(Event.shot_id, func.count().label("times"))
    .where(Event.type == _DONE, Event.shot_id.is_not(None))
    .group_by(Event.shot_id)
    .subquery()
)
_times = func.coalesce(_said.c.times, 0)


def _of_shot(*conditions: ColumnElement[bool]) -> Question:
    return (
        select(
            Shot.public_id.label("shot"),
            Shot.status,
            Image.public_id.label("image"),
            Reservation.status.label("reservation"),
            _times.label("times"),
        )
        .outerjoin(Image, Image.shot_id == Shot.id)
        .outerjoin(Reservation, Reservation.shot_id == Shot.id)
        .outerjoin(_said, _said.c.shot_id == Shot.id)
        .where(*conditions)
    )


def _contents(look: Look) -> Iterator[tuple[str, str]]:
    """Read every file, and look whether it is the one whose hash its row names."""
    if not look.hash_files:
        return
    for row in _images(look, "pictures read"):
        for key, sha256 in _originals(row):
            if _hash(key) not in (None, sha256) and _is_still_there(row):
                yield f"image {row.public_id}", f"has in {key} other bytes than its row says"


def _images(look: Look, doing: str) -> Iterator[Found]:
    """Yield all pictures that are not deleted; no snapshot of the database is held meanwhile."""
    columns = (
        Image.id,
        Image.public_id,
        Image.file_key,
        Image.sha256,
        Image.received_key,
        Image.received_sha256,
        Image.renditions,
    )
    total = db.session.scalar(select(func.count(Image.id)).where(Image.deleted_at.is_(None))) or 0
    after = done = 0
    query = select(*columns).where(Image.deleted_at.is_(None)).order_by(Image.id).limit(BATCH)
    while rows := db.session.execute(query.where(Image.id > after)).all():
        db.session.rollback()
        yield from rows
        after, done = rows[-1].id, done + len(rows)
        look.progress(doing, done, total)


def _originals(row: Found) -> Sequence[tuple[str, str]]:
    received = [(row.received_key, row.received_sha256)] if row.received_key else []
    return [(row.file_key, row.sha256), *received]


def _hash(key: str) -> str | None:
    """Return the SHA-256 (hex) of the file under `key`; None if it is not there, which is told elsewhere."""
    try:
        with runtime.storage.open(key) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except StorageError:
        return None


def _is_still_there(row: Found) -> bool:
    """Look again before anything is said: a picture may have been deleted since its row was read."""
    db.session.rollback()
    query = select(Image.id).where(Image.id == row.id, Image.deleted_at.is_(None), Image.file_key == row.file_key)
    return db.session.scalar(query) is not None


PICTURES = Invariant(
    "I5",
    "Pictures: a shot that succeeded has one picture, one post and one event, and its files are what its row says",
    (
        Rule(
            "shot {shot}",
            "succeeded and has no picture",
            _of_shot(_MADE, Image.id.is_(None), Shot.picture_deleted_at.is_(None)),
        ),
        Rule(
            "image {image}",
            "is the picture of a shot, {shot}, that is {status}",
            _of_shot(Image.id.is_not(None), ~_MADE),
        ),
        Rule(
            "image {image}",
            "is of another size than its shot {shot} promised",
            _of_shot(or_(Image.width != Shot.width, Image.height != Shot.height)),
        ),
        Rule(
            "shot {shot}",
            "succeeded, and the money for it is {reservation}",
            _of_shot(_MADE, or_(Reservation.id.is_(None), Reservation.status != ReservationStatus.POSTED)),
        ),
        Rule(
            "shot {shot}",
            "succeeded, and {times} events say so, not one",
            _of_shot(Shot.status == ShotStatus.SUCCEEDED, _times != 1),
        ),
        Rule(
            "shot {shot}",
            "is {status}, and an event says that it succeeded",
            _of_shot(Shot.status != ShotStatus.SUCCEEDED, _times != 0),
        ),
        Rule(
            "image {image}",
            "names files that are not called by their hashes",
            select(Image.public_id.label("image")).where(
                or_(
                    ~Image.file_key.contains(Image.sha256),
                    and_(Image.received_key.is_not(None), Image.received_sha256.is_(None)),
                    ~Image.received_key.contains(Image.received_sha256),
                )
            ),
        ),
    ),
    (_contents,),
)

# --- I6 --------------------------------------------------------------------------------------------------------


def _missing(look: Look) -> Iterator[tuple[str, str]]:
    """Look for rows whose files are not there."""
    for row in _images(look, "pictures looked for"):
        absent = [key for key in _all_keys(row) if not _exists(key)]
        if absent and _is_still_there(row):
            for key in absent:
                yield f"image {row.public_id}", f"has no file {key}"


def _all_keys(row: Found) -> Iterator[str]:
    yield from (key for key, _ in _originals(row))
    _, org, _, user, *_ = row.file_key.split("/")
    for rendition in row.renditions:
        yield keys.rendition_key(org, user, row.sha256, rendition["width"])


def _exists(key: str) -> bool:
    try:
        return runtime.storage.exists(key)
    except StorageError:
        return False


def _strays(look: Look) -> Iterator[tuple[str, str]]:
    """Look for files older than a day that belong to no row: two sorted lists, walked side by side."""
    rows = _known_names()
    row = next(rows, None)
    suspects = []
    young = runtime.storage.now() - YOUNG
    for number, file in enumerate(runtime.storage.iter_files(), 1):
        name = _name(file.key)
        while row is not None and row < name:
            row = next(rows, None)
        if row != name and file.put_at < young:
            suspects.append(file.key)
        if len(suspects) == MOST_NAMED:
            break
        if number % BATCH == 0:
            look.progress("files looked up", number, 0)
    rows.close()
    db.session.rollback()
    for key in suspects:
        if not _has_row(key):
            yield f"file {key}", "belongs to no picture"


def _known_names() -> Generator[str, None, None]:
    """Yield the names (`_name`) of all files that rows speak of, sorted by their bytes."""
    parts = union_all(
        select(Image.file_key.label("key")),
        select(Image.received_key.label("key")).where(Image.received_key.is_not(None)),
        select(func.replace(Image.file_key, "/files/", "/renditions/").label("key")),
    ).subquery()
    by_bytes = parts.c.key.collate("C") if db.engine.dialect.name == "postgresql" else parts.c.key
    found = db.session.execute(select(parts.c.key).order_by(by_bytes).execution_options(yield_per=BATCH))
    return (_name(key) for key in found.scalars())


_ENDING = re.compile(r"(?:-[0-9]+)?\.[a-z]+$")


def _name(key: str) -> str:
    """Return `key` without a rendition's width and its ending; sorts as the keys do, for hashes have one length."""
    return _ENDING.sub("", key)


def _has_row(key: str) -> bool:
    """Look again, now: a row may have been written since."""
    name = _name(key).replace("/renditions/", "/files/")
    query = select(Image.id).where(or_(Image.file_key.startswith(name), Image.received_key.startswith(name)))
    return db.session.scalar(query.limit(1)) is not None


FILES = Invariant(
    "I6",
    "Files: every picture's files are there, and every file older than a day belongs to a picture",
    probes=(_missing, _strays),
)

# --- I7 --------------------------------------------------------------------------------------------------------


def _left_behind(look: Look) -> Iterator[tuple[str, str]]:
    for name in runtime.storage.left_workspaces(YOUNG):
        yield f"workspace {name}", "is older than a day"


def _not_put_away(look: Look) -> Iterator[tuple[str, str]]:
    for answer in kept_answers.left():
        yield (
            f"answer to attempt {answer.attempt_id}",
            f"was paid for, and after {answer.tries} tries nobody has put it away: {answer.path}",
        )


WORKSPACES = Invariant(
    "I7",
    "Workspaces: nothing temporary is older than a day, and every answer on this host was put away",
    probes=(_left_behind, _not_put_away),
)
