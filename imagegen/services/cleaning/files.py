"""Files without a picture, pictures without a file, and what crashed processes left behind.

A key is made of what a file holds, so several pictures may have the same file. Whether it still has one is asked
twice: for the report, and again in the transaction in which it goes, while nobody else can write pictures.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from imagegen.extensions import db, runtime
from imagegen.models import Image, Organisation, unit_of_work
from imagegen.services import kept_answers
from imagegen.services.cleaning.duty import BATCH, Finding
from imagegen.storage import keys

log = structlog.get_logger(__name__)

KEPT_YOUNG = timedelta(hours=24)
"""A file that was stored within it may belong to a picture whose row is still to come."""

LONGEST_HELD = 0.25
"""Seconds for which nobody else can write pictures: storage far away takes its time for each file."""

T = TypeVar("T")


def in_batches(things: Iterator[T], size: int = BATCH) -> Iterator[list[T]]:
    """Yield what an iterator gives, so many at a time."""
    while batch := list(islice(things, size)):
        yield batch


# Files without a picture


def find_orphans(moment: datetime) -> Iterator[Finding]:
    """Yield the files, put before yesterday, that belong to no picture."""
    old = (file for file in runtime.storage.iter_files() if file.put_at < moment - KEPT_YOUNG)
    for batch in in_batches(old):
        owned = owned_keys(db.session(), [file.key for file in batch])
        db.session.rollback()
        yield from (Finding(file.key, file.key, file.bytes) for file in batch if file.key not in owned)


def remove_orphans(findings: Sequence[Finding], moment: datetime) -> Sequence[Finding]:
    """Delete those that have no picture still, and that nobody has put again.

    Files go within a transaction: nobody can write a picture that has one of them until it is over. Losing it half
    way leaves the rest for the next time.
    """
    left = [str(finding.ref) for finding in findings]
    gone: set[str] = set()
    while left:
        gone |= _remove_some(left, moment)
    return [finding for finding in findings if finding.ref in gone]


def _remove_some(left: list[str], moment: datetime) -> set[str]:
    """Take keys off `left` for as long as others may be kept waiting; delete those without a picture, return them."""
    gone = set()
    with unit_of_work() as uow:
        uow.alone(Image)
        owned = owned_keys(uow, left)
        until = time.monotonic() + LONGEST_HELD
        while left:
            key = left.pop()
            if key not in owned and runtime.storage.delete_unless_put_since(key, moment - KEPT_YOUNG):
                gone.add(key)
            if time.monotonic() > until:
                break
    return gone


@dataclass(frozen=True)
class _Owner:
    """What a key says of whose it is: `folder` is the person's, `digest` the hash of the content it is made from."""

    organisation: str
    folder: str
    digest: str

    @classmethod
    def of(cls, key: str) -> _Owner:
        """Read a key of `storage.keys`."""
        _orgs, organisation, _users, user, _kind, _fan, name = key.split("/")
        return cls(organisation, keys.user_prefix(organisation, user), name[:64])


def owned_keys(session: Session, wanted: Collection[str]) -> set[str]:
    """Return those of `wanted` that belong to a picture, in the trash or not: two queries per organisation.

    A rendition belongs to every picture of its person with the content that it was made from, whatever its width:
    missing ones are made again when somebody asks.
    """
    by_place: dict[str, dict[str, _Owner]] = defaultdict(dict)
    for key in wanted:
        owner = _Owner.of(key)
        by_place[owner.organisation][key] = owner
    places = select(Organisation.public_id, Organisation.id).where(Organisation.public_id.in_(by_place))
    found: set[str] = set()
    for public_id, organisation_id in session.execute(places).all():
        found |= _owned_in(session, organisation_id, by_place[public_id])
    return found


def _owned_in(session: Session, organisation_id: int, wanted: dict[str, _Owner]) -> set[str]:
    digests = {owner.digest for owner in wanted.values()}
    columns = select(Image.file_key, Image.received_key, Image.sha256).where(Image.organisation_id == organisation_id)
    # Apart, so that each finds its index.
    rows = session.execute(columns.where(Image.sha256.in_(digests))).all()
    received = session.execute(columns.where(Image.received_sha256.in_(digests))).all()
    exact = {key for row in (*rows, *received) for key in (row.file_key, row.received_key)}
    made_from = {(file_key.partition("/files/")[0] + "/", sha256) for file_key, _received_key, sha256 in rows}
    return {
        key
        for key, owner in wanted.items()
        if key in exact or ("/renditions/" in key and (owner.folder, owner.digest) in made_from)
    }


# Pictures without a file


def find_missing(_moment: datetime) -> Iterator[Finding]:
    """Yield the pictures of which a file is gone; nothing is done about them but to tell."""
    last = 0
    while True:
        query = select(Image.id, Image.public_id, Image.file_key, Image.received_key).where(Image.id > last)
        rows = db.session.execute(query.order_by(Image.id).limit(BATCH)).all()
        db.session.rollback()
        for row in rows:
            for key in filter(None, (row.file_key, row.received_key)):
                if not runtime.storage.exists(key):
                    yield Finding(key, f"{row.public_id}: {key}", kept=True)
        if len(rows) < BATCH:
            return
        last = rows[-1].id


# Temporary files


def find_workspaces(_moment: datetime) -> Iterator[Finding]:
    """Yield the workspaces that nobody has cleaned up within a day."""
    yield from (Finding(name, name) for name in runtime.storage.left_workspaces(KEPT_YOUNG))


def remove_workspaces(findings: Sequence[Finding], _moment: datetime) -> Sequence[Finding]:
    """Remove them with all in them."""
    runtime.storage.sweep_workspaces(KEPT_YOUNG)
    left = set(runtime.storage.left_workspaces(KEPT_YOUNG))
    return [finding for finding in findings if finding.ref not in left]


# Answers that nobody could put away


def find_answers(_moment: datetime) -> Iterator[Finding]:
    """Yield the answers of providers that are left to people; they are kept for a month, for they were paid for."""
    for answer in kept_answers.left():
        example = f"{answer.path.name}: {answer.heard_at:%Y-%m-%d %H:%M} UTC"
        yield Finding(str(answer.path), example, answer.bytes, kept=not answer.too_old)


def remove_answers(findings: Sequence[Finding], _moment: datetime) -> Sequence[Finding]:
    """Delete those that were kept for long enough."""
    gone = [finding for finding in findings if not finding.kept]
    for finding in gone:
        Path(str(finding.ref)).unlink(missing_ok=True)
        log.error("cleaning.answer_forgotten", file=finding.ref)
    return gone
