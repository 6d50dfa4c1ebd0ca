"""The library: putting pictures in, finding them, reading them."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update

from imagegen.core.errors import NotFound, StudioError
from imagegen.core.ids import is_id
from imagegen.core.text import N_, one_line
from imagegen.extensions import db, runtime
from imagegen.models import Image, Job, Shot, UnitOfWork, User, writes
from imagegen.services import reuse

PAGE = 40
LONGEST_SEARCH = 200
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


@dataclass(frozen=True)
class StoredFiles:
    """A picture whose files are in place: what pixels, which keys, which renditions."""

    mime_type: str
    width: int
    height: int
    file_size: int
    sha256: str
    received_sha256: str
    file_key: str
    received_key: str
    renditions: list[dict[str, int]] = field(default_factory=list)
    placeholder: str = ""
    colours: list[str] = field(default_factory=list)
    phash: str | None = None


def add_generated(uow: UnitOfWork, *, job: Job, shot: Shot, kept: StoredFiles, seed: int | None) -> Image:
    """Add the picture of `shot`, in the unit of work that ends the shot."""
    image = Image(
        organisation_id=job.organisation_id,
        user_id=job.user_id,
        job_id=job.id,
        shot_id=shot.id,
        kind="ai_generated",
        filename=filename_for(job.prompt, shot.slot, kept.mime_type),
        prompt=job.prompt,
        provider=shot.provider,
        model=shot.model,
        style=job.request.get("style"),
        seed=seed if seed is not None else shot.request.get("seed"),
        request_digest=reuse.digest(provider=shot.provider, model=shot.model, asked=shot.request),
        storage_provider=runtime.settings.storage_backend,
        **vars(kept),
    )
    uow.add(image)
    return image


def filename_for(prompt: str, slot: int, mime_type: str) -> str:
    """Return a name for downloads: the prompt's first words in plain ASCII, the slot, the type's ending."""
    ascii_only = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", ascii_only)[:6]
    stem = "-".join(words)[:60].strip("-") or "picture"
    return f"{stem}-{slot + 1}.{_EXTENSIONS[mime_type]}"


GRID_COLUMNS = (
    Image.id,
    Image.public_id,
    Image.kind,
    Image.filename,
    Image.title,
    Image.alt_text,
    Image.prompt,
    Image.mime_type,
    Image.width,
    Image.height,
    Image.sha256,
    Image.renditions,
    Image.placeholder,
    Image.favourite,
    Image.created_at,
)
"""What a grid shows: whole objects would cost half as much again."""

Filter = dict[str, Any]

FILTERS: dict[str, Filter] = {
    "all": {},
    "uploaded": {"kind": "uploaded"},
    "ai_generated": {"kind": "ai_generated"},
    "edited": {"kind": "edited"},
    "favourites": {"favourite": True},
}


@dataclass(frozen=True)
class Page:
    """Some rows of a list, and the cursor of what follows; None at the end."""

    items: Sequence[Any]
    next_cursor: str | None


def encode_cursor(row_id: int) -> str:
    """Return an opaque cursor for the row after which a list goes on."""
    return base64.urlsafe_b64encode(f"i{row_id}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> int | None:
    """Return the row after which a list goes on; raises StudioError for what is no cursor of ours."""
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor[:64] + "=" * (-len(cursor[:64]) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    if not re.fullmatch(r"i[0-9]{1,18}", text):
        raise StudioError(N_("This cursor is not one of ours. Start again at the first page."), field="cursor")
    return int(text[1:])


def list_images(
    *,
    filter: str = "all",
    q: str = "",
    cursor: str | None = None,
    limit: int = PAGE,
    columns: Sequence[Any] = GRID_COLUMNS,
) -> Page:
    """Return a page of the library, newest first: one query on an index, however deep the page.

    `q` narrows to pictures of which each word, or part of a word, stands in the prompt, name, title or alt text.
    """
    if filter not in FILTERS:
        choices = ", ".join(FILTERS)
        raise StudioError(
            N_("There is no such filter. Choose one of: {choices}.").format(choices=choices), field="filter"
        )
    after = decode_cursor(cursor)
    query = select(*columns).where(Image.deleted_at.is_(None)).filter_by(**FILTERS[filter])
    query = query.where(*(_holds(word) for word in one_line(q, LONGEST_SEARCH).split()))
    if after is not None:
        query = query.where(Image.id < after)
    rows: Sequence[Any] = db.session.execute(query.order_by(Image.id.desc()).limit(limit + 1)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, encode_cursor(rows[-1].id) if more else None)


def _holds(word: str) -> ColumnElement[bool]:
    columns = (Image.prompt, Image.filename, Image.title, Image.alt_text)
    return or_(*(column.icontains(word, autoescape=True) for column in columns))


def get_image(public_id: str) -> Image:
    """Return one picture of the organisation in scope; raises NotFound."""
    image = (
        db.session.scalar(select(Image).where(Image.public_id == public_id, Image.deleted_at.is_(None)))
        if is_id(public_id)
        else None
    )
    if image is None:
        raise NotFound(N_("There is no such picture."))
    return image


def siblings(image: Image) -> Sequence[Any]:
    """Return the pictures of the same job, in the order of their slots."""
    if image.job_id is None:
        return []
    made_together = select(*GRID_COLUMNS).where(Image.job_id == image.job_id, Image.deleted_at.is_(None))
    in_order = made_together.join(Shot, Shot.id == Image.shot_id, isouter=True).order_by(Shot.slot, Image.id)
    return db.session.execute(in_order).all()


@dataclass(frozen=True)
class Neighbours:
    """The pictures beside one in the library, by id: what the arrow keys lead to."""

    newer: str | None
    older: str | None


def neighbours(image: Image) -> Neighbours:
    """Return the pictures just newer and just older than `image`."""
    alive = select(Image.public_id).where(Image.deleted_at.is_(None)).limit(1)
    return Neighbours(
        newer=db.session.scalar(alive.where(Image.id > image.id).order_by(Image.id)),
        older=db.session.scalar(alive.where(Image.id < image.id).order_by(Image.id.desc())),
    )


@dataclass(frozen=True)
class Origin:
    """Where a picture came from: its job, its shot and the person who made it."""

    job: Job | None
    shot: Shot | None
    person: str


def origin_of(image: Image) -> Origin:
    """Return the job and shot that made `image`, where they still exist."""
    return Origin(
        job=db.session.get(Job, image.job_id) if image.job_id else None,
        shot=db.session.get(Shot, image.shot_id) if image.shot_id else None,
        person=db.session.scalars(select(User.name).where(User.id == image.user_id)).one(),
    )


@writes
def star(uow: UnitOfWork, *, public_id: str, on: bool) -> None:
    """Keep a picture in sight, or not any more."""
    starred = update(Image).where(Image.public_id == public_id, Image.deleted_at.is_(None)).values(favourite=on)
    if uow.execute(starred.returning(Image.id)).first() is None:
        raise NotFound(N_("There is no such picture."))


def display_title(image: Any) -> str:
    """Return what a picture is called on a page."""
    return image.title or one_line(image.prompt or "", 90) or image.filename
