"""Jobs and pictures put straight into the database and the storage, without drawing anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imagegen.core.clock import now
from imagegen.extensions import runtime
from imagegen.models import Attempt, Image, Job, Shot, UnitOfWork, organisation_scope, unit_of_work
from imagegen.models.states import JOB_ENDS, AttemptStatus, ShotStatus, derive
from imagegen.services import events, ledger
from imagegen.storage import keys
from tests.conftest import Person
from tests.fakes.pictures import picture

SIZE = (64, 80)
WIDTHS = (16, 32)
PLACEHOLDER = "data:image/webp;base64,UklGRg=="


@dataclass(frozen=True)
class Made:
    """The ids of a job with its shots and pictures: those for addresses, and the job's own."""

    job: str
    shots: list[str]
    images: list[str]
    job_key: int


def make_job(
    person: Person,
    prompt: str = "a violet wave",
    states: Sequence[str] = ("succeeded",),
    *,
    created_at: datetime | None = None,
    title: str = "",
    filename: str = "violet-wave-1.png",
    model: str = "studio-1",
    model_label: str = "Studio drawings",
    error_message: str = "The provider refused.",
    request: dict[str, Any] | None = None,
) -> Made:
    """Put in a job of `person` whose shots are in `states`; those that succeeded have a picture, with its file."""
    counts = {status: list(states).count(status) for status in ShotStatus}
    begun = any(state != "waiting" for state in states)
    status = derive(counts, begun=begun)
    moment = created_at or now()
    with organisation_scope(person.organisation.id), unit_of_work() as uow:
        job = Job(
            organisation_id=person.organisation.id,
            user_id=person.user.id,
            kind="generate",
            status=status,
            prompt=prompt,
            provider="local",
            model=model,
            model_label=model_label,
            request=request or {"prompt": prompt, "n": len(states), "aspect_ratios": ["4:5"]},
            estimated_micro=0,
            created_at=moment,
            started_at=moment if begun else None,
            finished_at=moment if status in JOB_ENDS else None,
            **{f"n_{name}": count for name, count in counts.items()},
        )
        uow.add(job)
        uow.flush()
        shots = [_shot(job, slot, state, error_message, moment) for slot, state in enumerate(states)]
        uow.add_all(shots)
        uow.flush()
        ledger.reserve(uow, job=job, shots=shots)
        uow.add_all([_attempt(job, shot, error_message) for shot in shots if shot.status in _ATTEMPTS])
        images = [
            _image(uow, person, shot, job, title=title, filename=filename)
            for shot in shots
            if shot.status == ShotStatus.SUCCEEDED
        ]
        events.record(uow, job=job, type=f"job.{status}")
    return Made(job.public_id, [shot.public_id for shot in shots], [image.public_id for image in images], job.id)


_ENDED_BADLY = (ShotStatus.FAILED, ShotStatus.REFUSED, ShotStatus.UNKNOWN)


def _shot(job: Job, slot: int, state: str, error_message: str, moment: datetime) -> Shot:
    running = state == ShotStatus.RUNNING
    badly = state in _ENDED_BADLY
    return Shot(
        organisation_id=job.organisation_id,
        job_id=job.id,
        slot=slot,
        status=state,
        provider=job.provider,
        model=job.model,
        width=SIZE[0],
        height=SIZE[1],
        request={"prompt": job.prompt, "quality": None},
        lease_owner="test" if running else None,
        lease_until=moment if running else None,
        error_kind="refused" if badly else None,
        error_message=error_message if badly else None,
        created_at=moment,
        started_at=moment,
        finished_at=moment,
    )


_ATTEMPTS = {
    ShotStatus.RUNNING: AttemptStatus.SENT,
    ShotStatus.SUCCEEDED: AttemptStatus.SUCCEEDED,
    ShotStatus.FAILED: AttemptStatus.REJECTED,
    ShotStatus.REFUSED: AttemptStatus.REJECTED,
    ShotStatus.UNKNOWN: AttemptStatus.UNKNOWN,
}


def _attempt(job: Job, shot: Shot, error_message: str) -> Attempt:
    """Return the call that brought the shot to where it is."""
    return Attempt(
        organisation_id=job.organisation_id,
        job_id=job.id,
        number=1,
        status=_ATTEMPTS[ShotStatus(shot.status)],
        provider=shot.provider,
        model=shot.model,
        error_kind=shot.error_kind,
        error_message=error_message if shot.error_kind else None,
        cost_micro=0 if shot.status == ShotStatus.SUCCEEDED else None,
        created_at=shot.created_at,
        sent_at=shot.created_at,
        ended_at=None if shot.status == ShotStatus.RUNNING else shot.created_at,
        shots=[shot],
    )


def _image(uow: UnitOfWork, person: Person, shot: Shot, job: Job, *, title: str, filename: str) -> Image:
    data = picture(*SIZE, "png")
    sha256 = hashlib.sha256(data).hexdigest()
    key = keys.file_key(person.organisation.public_id, person.user.public_id, sha256, "png")
    with runtime.storage.workspace() as folder:
        (folder / "file").write_bytes(data)
        runtime.storage.put(folder / "file", key)
    image = Image(
        organisation_id=job.organisation_id,
        user_id=job.user_id,
        job_id=job.id,
        shot_id=shot.id,
        kind="ai_generated",
        filename=filename,
        title=title,
        prompt=job.prompt,
        provider=job.provider,
        model=job.model,
        mime_type="image/png",
        width=SIZE[0],
        height=SIZE[1],
        file_size=len(data),
        sha256=sha256,
        storage_provider="local",
        file_key=key,
        renditions=[{"width": width, "height": width * SIZE[1] // SIZE[0], "bytes": 100} for width in WIDTHS],
        placeholder=PLACEHOLDER,
        colours=["#805ad5"],
        created_at=job.created_at,
    )
    uow.add(image)
    uow.flush()
    return image


def say(person: Person, made: Made, type: str = "job.running", times: int = 1) -> None:
    """Write `times` events of a job, each in a transaction of its own, and announce them."""
    for _ in range(times):
        with organisation_scope(person.organisation.id), unit_of_work() as uow:
            events.record(uow, job=uow.get_one(Job, made.job_key), type=type)
