"""A believable library of any size, to try the studio with and to measure it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from imagegen.core.clock import now
from imagegen.core.errors import NotFound
from imagegen.core.text import N_
from imagegen.extensions import db, in_app_context, runtime
from imagegen.imaging.facts import StoredPicture
from imagegen.models import (
    Collection,
    CollectionImage,
    Image,
    ImageIndex,
    ImageTag,
    ImageUse,
    Membership,
    Organisation,
    Tag,
    UnitOfWork,
    User,
    writes,
)
from imagegen.models.bare import table_of
from imagegen.providers.local.drawing import Wish, picture
from imagegen.providers.local.encode import encode
from imagegen.services.library import indexing, usage
from imagegen.services.library.arrival import StoredFiles, filename_for
from imagegen.services.library.seed_words import COLLECTIONS, LIGHTHOUSES, MODELS, NAMES, PARTS, STYLES, TAGS
from imagegen.services.library.storing import store
from imagegen.services.library.words import fold

DRAWINGS = 240
"""How many pictures are really drawn: the newest have one each, older ones share them."""

_SHAPES = ((512, 640), (640, 512), (512, 512), (432, 768))
_BATCH = 2_000
_YEARS = timedelta(days=730)
_LIGHTHOUSE_EVERY = 50
_ENDINGS = {"image/jpeg": "jpg", "image/png": "png"}


@dataclass(frozen=True)
class Place:
    """Where the pictures go: an organisation, its people, and what it already has."""

    organisation_id: int
    organisation: str
    people: tuple[tuple[int, str], ...]
    had: int


def first_organisation() -> Place:
    """Return the first organisation with its people and how many pictures it has; raises NotFound."""
    organisation = db.session.scalar(select(Organisation).order_by(Organisation.id).limit(1))
    if organisation is None:
        raise NotFound(N_("There is no organisation yet. Make the first person before."))
    people = select(User.id, User.public_id).join(Membership).where(Membership.organisation_id == organisation.id)
    had = (
        db.session.scalar(select(func.count()).select_from(Image).where(Image.organisation_id == organisation.id))
        or 0
    )
    found = tuple((row.id, row.public_id) for row in db.session.execute(people.order_by(User.id)))
    return Place(organisation.id, organisation.public_id, found, had)


def draw(place: Place, count: int) -> list[StoredFiles]:
    """Draw and store up to `DRAWINGS` pictures, as the local provider would; the pool of pixel workers must run."""
    person = place.people[0][1]

    def one(number: int) -> StoredFiles:
        rng = random.Random(number)  # noqa: S311
        return _stored(place.organisation, person, _prompt(rng, number), number)

    with ThreadPoolExecutor(4) as threads:
        return list(threads.map(in_app_context(one), range(min(count, DRAWINGS))))


def _stored(organisation: str, person: str, prompt: str, number: int) -> StoredFiles:
    width, height = _SHAPES[number % len(_SHAPES)]
    with runtime.storage.workspace() as folder:
        received = folder / "received"
        received.write_bytes(encode(picture(Wish(prompt=prompt, seed=number), width, height), "jpeg"))
        ai = {"digital_source_type": "algorithmicMedia", "system": "local", "version": "local-studio"}
        answer = runtime.imaging.run("store_generated", received_path=str(received), out_dir=str(folder), ai=ai)
        return store(StoredPicture.from_answer(answer), organisation=organisation, person=person, received=received)


@writes
def fill(
    uow: UnitOfWork,
    *,
    place: Place,
    images: int,
    drawings: Sequence[StoredFiles],
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Add pictures until the organisation has `images` of them; return how many were added.

    One transaction: nobody else writes meanwhile. The inverted index is built at the end, all at once.
    """
    missing = max(images - place.had, 0)
    if missing:
        with indexing.filled_at_once(uow.connection()):
            add(uow, place=place, count=missing, drawings=drawings, progress=progress)
    return missing


def add(
    uow: UnitOfWork,
    *,
    place: Place,
    count: int,
    drawings: Sequence[StoredFiles],
    progress: Callable[[int], None] = lambda _: None,
    part: tuple[int, int] = (1, 1),
) -> None:
    """Add `count` pictures, within `indexing.filled_at_once`.

    They came evenly over the last years, or in one of so many equal parts of that time: `(1, 20)` is the earliest.
    """
    tags, collections = _named(uow, place)
    connection = uow.connection()
    first = (connection.scalar(select(func.max(table_of(Image).c.id))) or 0) + 1
    for at in range(0, count, _BATCH):
        rows = _Rows(place, drawings, tags, collections, first=first, of=count, part=part)
        rows.make(range(at, min(at + _BATCH, count)))
        rows.insert(connection)
        progress(min(at + _BATCH, count))
    if connection.dialect.name == "postgresql":
        last = {"last": first + count - 1}
        connection.execute(text("SELECT setval(pg_get_serial_sequence('images', 'id'), :last)"), last)


def _named(uow: UnitOfWork, place: Place) -> tuple[dict[str, int], dict[str, int]]:
    """Return ids of the tags by key, and of the collections by public id, made where there are none."""
    owned = {"organisation_id": place.organisation_id}
    had_tags = {tag.key: tag for tag in uow.scalars(select(Tag).filter_by(**owned))}
    had_collections = {each.key: each for each in uow.scalars(select(Collection).filter_by(**owned))}
    tags = [had_tags.get(fold(name)) or Tag(name=name, key=fold(name), **owned) for name in TAGS]
    collections = [
        had_collections.get(fold(name)) or Collection(name=name, key=fold(name), user_id=place.people[0][0], **owned)
        for name in COLLECTIONS
    ]
    uow.add_all([*tags, *collections])
    uow.flush()
    return {tag.key: tag.id for tag in tags}, {each.public_id: each.id for each in collections}


class _Rows:
    """A batch of rows for all tables that belong to pictures."""

    def __init__(
        self,
        place: Place,
        drawings: Sequence[StoredFiles],
        tags: dict[str, int],
        collections: dict[str, int],
        *,
        first: int,
        of: int,
        part: tuple[int, int],
    ) -> None:
        self._place, self._drawings, self._tags, self._collections = place, drawings, tags, collections
        self._first, self._of, self._part, self._now = first, of, part, now()
        self._images: list[dict[str, Any]] = []
        self._of_table: dict[Any, list[dict[str, Any]]] = {ImageTag: [], CollectionImage: [], ImageUse: []}
        self._keys: dict[int, tuple[list[str], list[str]]] = {}

    def make(self, numbers: range) -> None:
        """Make the rows of the pictures with these numbers, the oldest first."""
        rng = random.Random(self._first + numbers.start)  # noqa: S311
        for number in numbers:
            row = self._image(rng, number)
            self._images.append(row)
            self._sort_in(rng, row)
            if row["kind"] == "edited" and len(self._images) > 1:
                self._version(row, rng.choice(self._images[:-1]))

    def insert(self, connection: Connection) -> None:
        """Write them, and what they are found by."""
        connection.execute(insert(table_of(Image)), self._images)
        for model, rows in self._of_table.items():
            if rows:
                connection.execute(insert(table_of(model)), rows)
        people = dict(self._place.people)
        entries = [
            indexing.entry(SimpleNamespace(**row), person=people[row["user_id"]], tags=tags, collections=collections)
            for row in self._images
            for tags, collections in (self._keys[row["id"]],)
        ]
        connection.execute(insert(table_of(ImageIndex)), entries)
        indexing.widen_eras(connection, entries)

    def _image(self, rng: random.Random, number: int) -> dict[str, Any]:
        real = self._of - number <= len(self._drawings)
        kept = self._drawings[(self._of - number - 1) % len(self._drawings)]
        kind = rng.choices(("ai_generated", "uploaded", "edited"), (75, 18, 7))[0]
        if number % _LIGHTHOUSE_EVERY == 0:
            kind = "ai_generated"
        moment = self._moment(number)
        return {
            "id": self._first + number,
            "public_id": _id_at(moment, rng),
            "organisation_id": self._place.organisation_id,
            "user_id": rng.choice(self._place.people)[0],
            "kind": kind,
            **vars(kept),
            **self._words(rng, kind, number, kept),
            "phash": kept.phash if real else f"{rng.getrandbits(64):016x}",
            "storage_provider": runtime.settings.storage_backend,
            "favourite": rng.random() < 0.04,
            "usage_count": 0,
            "last_used_at": None,
            "parent_id": None,
            "stack_size": 1,
            "near_id": None,
            "created_at": moment,
            "updated_at": moment,
            "deleted_at": self._now if rng.random() < 0.005 and not real else None,
        }

    def _words(self, rng: random.Random, kind: str, number: int, kept: StoredFiles) -> dict[str, Any]:
        if kind == "uploaded":
            name = f"{rng.choice(NAMES)}-{number:06d}.{_ENDINGS[kept.mime_type]}"
            words = {"filename": name, "original_filename": name, "prompt": None, "provider": None, "model": None}
            return words | {"style": None, "seed": None, "title": "", "alt_text": ""}
        prompt = _prompt(rng, number)
        provider, model = rng.choice(MODELS)
        return {
            "filename": filename_for(prompt, number % 4, kept.mime_type),
            "original_filename": None,
            "prompt": prompt,
            "provider": provider,
            "model": model,
            "style": rng.choice(STYLES),
            "seed": rng.getrandbits(32),
            "title": prompt.split(",")[0].capitalize() if rng.random() < 0.1 else "",
            "alt_text": "",
        }

    def _moment(self, number: int) -> datetime:
        """Return when it came: evenly over two years or a part of them, the last just now."""
        nth, parts = self._part
        return self._now - _YEARS * ((parts - nth + (self._of - number) / (self._of + 1)) / parts)

    def _sort_in(self, rng: random.Random, row: dict[str, Any]) -> None:
        tags = sorted(rng.sample(sorted(self._tags), rng.choice((0, 0, 0, 1, 2))))
        collections = [rng.choice(sorted(self._collections))] if rng.random() < 0.05 else []
        self._keys[row["id"]] = (tags, collections)
        owned = {"image_id": row["id"], "organisation_id": self._place.organisation_id}
        self._of_table[ImageTag] += [owned | {"tag_id": self._tags[key]} for key in tags]
        self._of_table[CollectionImage] += [
            owned | {"collection_id": self._collections[name], "created_at": row["created_at"]}
            for name in collections
        ]

    def _version(self, row: dict[str, Any], parent: dict[str, Any]) -> None:
        row["parent_id"] = parent["id"]
        parent["usage_count"] += 1
        parent["last_used_at"] = row["created_at"]
        self._of_table[ImageUse].append(
            {
                "image_id": parent["id"],
                "organisation_id": self._place.organisation_id,
                "kind": usage.VERSION,
                "reference": row["public_id"],
                "created_at": row["created_at"],
            }
        )


def _prompt(rng: random.Random, number: int) -> str:
    words: Iterator[str] = (rng.choice(part) for part in PARTS)
    subject, *rest = words
    if number % _LIGHTHOUSE_EVERY == 0:
        subject = rng.choice(LIGHTHOUSES)
    return ", ".join((subject, *rest))


def _id_at(moment: datetime, rng: random.Random) -> str:
    """Return a UUIDv7 of that moment: ids of seeded pictures sort by time, as all others do."""
    milliseconds = int(moment.timestamp() * 1000)
    number = milliseconds << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62)
    return str(uuid.UUID(int=number))
