"""From a provider's bytes to files in storage: received, marked, in several widths."""

from __future__ import annotations

import tempfile
from pathlib import Path

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
    shot, organisation, person = _whose(claim)
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
        trim=shot.request["trim"],
        ai={"digital_source_type": _source_type(shot.provider), "system": shot.provider, "version": shot.model},
    )
    picture = StoredPicture.from_answer(answer)
    facts = picture.facts
    file_key = keys.file_key(organisation, person, facts.sha256, facts.extension)
    received_key = keys.received_key(organisation, person, picture.received_sha256, facts.extension)
    runtime.storage.put(received, received_key)
    runtime.storage.put(picture.file.path, file_key)
    for rendition in picture.renditions:
        key = keys.rendition_key(organisation, person, facts.sha256, rendition.width)
        runtime.storage.put(rendition.path, key)
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


def _whose(claim: Claim) -> tuple[Shot, str, str]:
    try:
        shot = db.session.get_one(Shot, claim.shot_id)
        organisation = db.session.get_one(Organisation, claim.organisation_id).public_id
        person = db.session.get_one(User, db.session.get_one(Job, shot.job_id).user_id).public_id
        db.session.expunge(shot)
        return shot, organisation, person
    finally:
        db.session.remove()


def _source_type(provider_id: str) -> str:
    built_in = any(p.id == provider_id and p.built_in for p in runtime.providers.providers())
    return DRAWN_BY_RULE if built_in else DRAWN_BY_MODEL
