"""Reading one picture: what it is, where it came from, what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, false, func, literal_column, select

from imagegen.core.errors import NotFound
from imagegen.core.ids import is_id
from imagegen.core.text import N_, one_line
from imagegen.extensions import db
from imagegen.models import Image, ImageIndex, Job, Shot, User, built_once
from imagegen.models.columns import BigId
from imagegen.models.image_index import POSITION
from imagegen.services.library.listing import GRID_COLUMNS


def get_image(public_id: str, *, trashed: bool = False) -> Image:
    """Return one picture of the organisation in scope; with `trashed` also from the trash. Raises NotFound."""
    query = _ANY if trashed else _ALIVE
    image = db.session.scalar(query, {"which": public_id}) if is_id(public_id) else None
    if image is None:
        raise NotFound(N_("There is no such picture."))
    return image


# Every thumbnail asks one of them.
_ANY = built_once(select(Image).where(Image.public_id == bindparam("which")))
_ALIVE = _ANY.where(Image.deleted_at.is_(None))


def files_of(public_ids: Iterable[str]) -> Sequence[Any]:
    """Return where the files of pictures lie (rows with `file_key` and `filename`), but of those in the trash."""
    files = select(Image.file_key, Image.filename).where(Image.public_id.in_(list(public_ids)))
    return db.session.execute(files.where(Image.deleted_at.is_(None)).order_by(Image.id)).all()


def siblings(image: Image, *, most: int | None = None) -> Sequence[Any]:
    """Return the pictures of the same job, in the order of their slots; if `most`, those that came beside `image`."""
    if image.job_id is None:
        return []
    alive = select(Image.id).where(Image.job_id == image.job_id, Image.deleted_at.is_(None))
    beside = alive.order_by(func.abs(Image.id - image.id)).limit(most)
    made_together = select(*GRID_COLUMNS).where(Image.id.in_(beside))
    in_order = made_together.join(Shot, Shot.id == Image.shot_id, isouter=True).order_by(Shot.slot, Image.id)
    return db.session.execute(in_order).all()


MOST_VERSIONS = 60
_MOST_LOOKED_AT = 1_000


def versions(image: Image) -> Sequence[Any]:
    """Return the pictures that were made of one another, `image` among them, the earliest first; none if it is alone.

    From the first of the family down; of a family without end, `image` and those nearest to the first.
    """
    up = select(Image.id, Image.parent_id).where(Image.id == image.id).cte("ancestors", recursive=True)
    up = up.union(select(Image.id, Image.parent_id).where(Image.id == up.c.parent_id))
    down = (
        select(Image.id).join(up, up.c.id == Image.id).where(up.c.parent_id.is_(None)).cte("family", recursive=True)
    )
    down = down.union(select(Image.id).where(Image.parent_id == down.c.id))
    # A limit outside ends the walk as well, on both databases.
    family = select(down.c.id).limit(_MOST_LOOKED_AT)
    found = select(*GRID_COLUMNS).where(Image.id.in_(family), Image.id != image.id, Image.deleted_at.is_(None))
    others = db.session.execute(found.order_by(Image.id).limit(MOST_VERSIONS - 1)).all()
    return sorted((image, *others), key=lambda row: row.id) if others else []


@dataclass(frozen=True)
class Neighbours:
    """The pictures beside one in the library, by id: what the arrow keys lead to."""

    newer: str | None
    older: str | None


def neighbours(image: Image) -> Neighbours:
    """Return the pictures just newer and just older than `image`."""
    # Not by `images`: beside what was cleared away, all that lies in the trash would be read.
    position = literal_column(POSITION[db.engine.dialect.name], BigId)
    ours = ImageIndex.organisation_id == image.organisation_id
    alive = select(ImageIndex.image_id).where(ours, ImageIndex.trashed == false()).limit(1)
    newer = alive.where(position > image.id).order_by(position)
    older = alive.where(position < image.id).order_by(position.desc())
    return Neighbours(
        *(
            db.session.scalar(select(Image.public_id).where(Image.id == one.scalar_subquery()))
            for one in (newer, older)
        )
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


def display_title(image: Any) -> str:
    """Return what a picture is called on a page."""
    return image.title or one_line(image.prompt or "", 90) or image.filename


RECALLS = ("prompt", "seed", "settings", "everything")


def recall(image: Image, what: str = "everything") -> dict[str, Any]:
    """Return what the generator's form needs to make a picture like this: fields of `GenerationRequest`.

    `what` is one of `RECALLS`: the words alone, the seed too, all settings but words and seed, or all of it. Settings
    are those that were asked for where the job still exists; else those that the picture itself knows.
    """
    job = db.session.get(Job, image.job_id) if image.job_id else None
    asked: dict[str, Any] = dict(job.request) if job is not None else {}
    settings = {
        "provider": image.provider,
        "model": image.model,
        "style": image.style,
        **{name: value for name, value in asked.items() if name not in ("prompt", "seed", "n")},
    }
    if not {"size", "aspect_ratio", "aspect_ratios"} & set(asked):
        settings["size"] = f"{image.width}x{image.height}"
    found: dict[str, dict[str, Any]] = {
        "prompt": {"prompt": image.prompt},
        "seed": {"seed": image.seed},
        "settings": settings,
    }
    chosen = found.values() if what == "everything" else (found[what],)
    return {name: value for part in chosen for name, value in part.items() if value not in (None, "")}
