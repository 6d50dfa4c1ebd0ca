"""Pictures coming in."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from imagegen.extensions import db, runtime
from imagegen.models import Image, Job, Shot, UnitOfWork
from imagegen.services import reuse
from imagegen.services.library import near, stacks, usage

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
    received_key: str | None
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
    arrive(uow, image)
    return image


def arrive(uow: UnitOfWork, image: Image) -> None:
    """Add a picture whose files are in place: into its job's stack, beside what looks like it, a use of its source.

    Every picture comes in through here, made, edited or uploaded.
    """
    if image.job_id is not None:
        stacks.join(uow, image)
    uow.add(image)
    uow.flush()
    near.note(uow, image)
    if image.parent_id is not None:
        usage.use(uow, kind=usage.VERSION, reference=image.public_id, image_ids=[image.parent_id])


def find_duplicate(sha256: str, *, trashed: bool = False, within: Session | None = None) -> Image | None:
    """Return the earliest picture of the organisation in scope whose file or received bytes have this hash.

    The same bytes uploaded again are not a second picture: the first is shown instead, and said so. With
    `trashed` one that lies in the trash counts too, where there is no other: several pictures may have been made
    with the same bytes. `within` a unit of work it is looked for in there.
    """
    in_trash = Image.deleted_at.is_not(None)
    thrown_away = None
    for column in (Image.received_sha256, Image.sha256):
        query = select(Image).where(column == sha256).order_by(in_trash, Image.id).limit(1)
        found = (within or db.session()).scalar(query if trashed else query.where(~in_trash))
        if found is not None and found.deleted_at is None:
            return found
        thrown_away = thrown_away or found
    return thrown_away


def filename_for(prompt: str, slot: int, mime_type: str) -> str:
    """Return a name for downloads: the prompt's first words in plain ASCII, the slot, the type's ending."""
    ascii_only = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", ascii_only)[:6]
    stem = "-".join(words)[:60].strip("-") or "picture"
    return f"{stem}-{slot + 1}.{_EXTENSIONS[mime_type]}"
