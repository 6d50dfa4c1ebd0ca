"""From a provider's bytes to files in storage: received, marked, in several widths."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from imagegen.engine.claims import Claim
from imagegen.engine.patience import patiently
from imagegen.extensions import db, runtime
from imagegen.imaging.facts import StoredPicture
from imagegen.models import Organisation, Shot, User
from imagegen.models.jobs import Job
from imagegen.services.library import StoredFiles
from imagegen.storage import keys
from imagegen.storage.errors import disk_errors

DRAWN_BY_MODEL = "trainedAlgorithmicMedia"
DRAWN_BY_RULE = "algorithmicMedia"
"""IPTC's terms for where pixels come from: a trained model, or rules that somebody wrote down."""

SECONDS = 30.0


@patiently
def keep(claim: Claim, data: bytes, folder: Path) -> StoredFiles:
    """Check `data`, mark it, make its renditions, and store all of it; `folder` is a private workspace.

    While there is no space for it, or no database to say whose it is, it waits and tries again.

    Storing comes before the database hears of it: files without a row are swept, rows without a file are not made.
    Raises ImagingError for what is no picture, StorageError for what cannot be kept.
    """
    asked = _asked(claim)
    # What has a place in the storage already shares its bytes with the workspace: no try writes where another has.
    with disk_errors():
        folder = Path(tempfile.mkdtemp(dir=folder))
        received = folder / "received"
        received.write_bytes(data)
    answer = runtime.imaging.run(
        "store_generated",
        SECONDS,
        received_path=str(received),
        out_dir=str(folder),
        trim=asked.request["trim"],
        ai={"digital_source_type": _source_type(asked.provider), "system": asked.provider, "version": asked.model},
    )
    picture = StoredPicture.from_answer(answer)
    facts = picture.facts
    place = (asked.organisation, asked.person)
    file_key = keys.file_key(*place, facts.sha256, facts.extension)
    received_key = keys.received_key(*place, picture.received_sha256, facts.extension)
    renditions = {keys.rendition_key(*place, facts.sha256, each.width): each.path for each in picture.renditions}
    _store({received_key: received, file_key: picture.file.path} | renditions)
    return StoredFiles(
        mime_type=facts.mime_type,
        width=facts.width,
        height=facts.height,
        file_size=facts.bytes,
        sha256=facts.sha256,
        received_sha256=picture.received_sha256,
        file_key=file_key,
        received_key=received_key,
        renditions=[{"width": r.width, "height": r.height, "bytes": r.bytes} for r in picture.renditions],
        placeholder=picture.looks.placeholder,
        colours=list(picture.looks.colours),
        phash=picture.looks.phash,
    )


def _store(files: Mapping[str, Path]) -> None:
    """Put all of `files` in place; together, because each waits for the disk."""
    storage = runtime.storage
    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(lambda key: storage.put(files[key], key), files))


def _asked(claim: Claim) -> Row[dict[str, Any], str, str, str, str]:
    """Return what was asked of whom, and the public ids of the organisation and the person that it is for."""
    query = (
        select(
            Shot.request,
            Shot.provider,
            Shot.model,
            Organisation.public_id.label("organisation"),
            User.public_id.label("person"),
        )
        .join(Job, Job.id == Shot.job_id)
        .join(User, User.id == Job.user_id)
        .join(Organisation, Organisation.id == Shot.organisation_id)
        .where(Shot.id == claim.shot_id)
    )
    try:
        return db.session.execute(query).one()
    finally:
        db.session.remove()


def _source_type(provider_id: str) -> str:
    built_in = any(p.id == provider_id and p.built_in for p in runtime.providers.providers())
    return DRAWN_BY_RULE if built_in else DRAWN_BY_MODEL
