"""From a provider's bytes to files in storage: received, marked, in several widths."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from imagegen.engine.claims import Claim
from imagegen.engine.patience import patiently
from imagegen.extensions import db, runtime
from imagegen.imaging.facts import StoredPicture
from imagegen.models import Organisation, Shot, User
from imagegen.models.jobs import Job
from imagegen.services import library
from imagegen.services.library import StoredFiles
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
    return library.store(picture, organisation=asked.organisation, person=asked.person, received=received)


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
