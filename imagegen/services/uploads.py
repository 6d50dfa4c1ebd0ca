"""Pictures that people bring: checked, freed of all that is no pixel, stored once, and in the library at once."""

from __future__ import annotations

import hashlib
import re
import time
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import structlog
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import func, select

from imagegen.core.errors import NotFound, TooMany
from imagegen.core.text import N_, one_line
from imagegen.extensions import db, runtime
from imagegen.imaging.errors import Crashed, Unreadable
from imagegen.imaging.facts import StoredPicture
from imagegen.models import Image, Organisation, UnitOfWork, User, let_go_of_reader, writes
from imagegen.services import library
from imagegen.services.library import StoredFiles

log = structlog.get_logger(__name__)

PACE = RateLimitItemPerMinute(600, 1, namespace="uploads")
"""Of one person: more than a person drops at once, less than a program gone wild brings."""

SECONDS = 15.0
WAIT = 60.0
"""Seconds for one picture, and for its turn: a hundred may come at once."""

LONGEST_NAME = 255
_LONGEST_STEM = 60
_DIRECTIONS = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""What turns the reading direction, breaks lines, or is not seen at all (Unicode 16, UAX #9)."""
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)", re.ASCII)
"""Names that Windows keeps for itself, with any ending."""


class Smallest(IntEnum):
    """How many pixels a side of a picture must have at least, by what it is for."""

    PICTURE = 400
    LOGO = 16


@dataclass(frozen=True)
class Upload:
    """A picture that was brought; `earlier` tells that the library had it already, and this is that one."""

    image: Image
    earlier: bool


def take(
    *, organisation_id: int, user_id: int, path: Path, name: str, smallest: Smallest = Smallest.PICTURE
) -> Upload:
    """Add the file at `path` to the library of the organisation in scope; `name` is what its sender calls it.

    A picture that is there already, byte for byte or but for what is said in the file, is not added again: the
    earlier one is returned, out of the trash if it lay there. Raises ImagingError with a sentence for what is no
    picture to be taken, StorageError, TooMany. Nothing is left of what is refused.
    """
    _count(user_id)
    shown = _shown_again(_sha256(path), smallest)
    if shown is not None:
        return shown
    with runtime.storage.workspace() as folder:
        picture = _checked(path, folder, smallest)
        shown = _shown_again(picture.facts.sha256)
        if shown is not None:
            return shown
        kept = _kept(picture, organisation_id, user_id)
    while shown is None:
        added = _add(organisation_id=organisation_id, user_id=user_id, name=name, kept=kept)
        # What was there as we wanted to add ours may be deleted for ever by the time that it is shown.
        shown = Upload(added, earlier=False) if added is not None else _shown_again(kept.sha256)
    return shown


def display_name(name: str) -> str:
    """Return what a person called a file, as it may be shown: one line, no folders, nothing that misleads the eye."""
    last = re.split(r"[/\\]", _DIRECTIONS.sub("", name))[-1]
    line = one_line(last, 10 * LONGEST_NAME)
    stem, dot, ending = line.rpartition(".")
    if len(line) <= LONGEST_NAME or not dot or len(ending) > 10:
        return line[:LONGEST_NAME]
    return stem[: LONGEST_NAME - len(ending) - 1] + dot + ending


def filename_for(name: str, extension: str) -> str:
    """Return a name for downloads: the words of `name` in plain ASCII, and the ending of what the file really is."""
    stem = display_name(name).rpartition(".")[0] or display_name(name)
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    words = "-".join(re.findall(r"[a-z0-9]+", plain))[:_LONGEST_STEM].strip("-")
    if not words or _DEVICES.fullmatch(words):
        words = f"picture-{words}".strip("-")
    return f"{words}.{extension}"


def _checked(path: Path, folder: Path, smallest: Smallest) -> StoredPicture:
    """Return what the pixel pool made of the file; it lies in `folder`."""
    let_go_of_reader()  # many wait for their turn there, and everybody else needs connections meanwhile
    try:
        answer = runtime.pool.run(
            "store_upload",
            SECONDS,
            wait=WAIT,
            received_path=str(path),
            out_dir=str(folder),
            smallest_side=int(smallest),
        )
    except Crashed:
        # A file that ends the process which reads it is a broken file, whatever the reader thinks of it.
        log.warning("uploads.crashed_the_pool", bytes=path.stat().st_size)
        raise Unreadable() from None
    return StoredPicture.from_answer(answer)


def _kept(picture: StoredPicture, organisation_id: int, user_id: int) -> StoredFiles:
    """Store the picture's files; not what was brought, in which may stand what nobody meant to tell."""
    organisation = db.session.get_one(Organisation, organisation_id).public_id
    person = db.session.get_one(User, user_id).public_id
    let_go_of_reader()  # nobody's snapshot of the database waits for a disk
    return library.store(picture, organisation=organisation, person=person, received=None)


@writes
def _add(uow: UnitOfWork, *, organisation_id: int, user_id: int, name: str, kept: StoredFiles) -> Image | None:
    """Write the row and return it; None if somebody else has written one since we looked."""
    _alone_with(uow, kept.sha256)
    if library.find_duplicate(kept.sha256, trashed=True, within=uow) is not None:
        return None
    extension = kept.file_key.rpartition(".")[2]
    image = Image(
        organisation_id=organisation_id,
        user_id=user_id,
        kind="uploaded",
        filename=filename_for(name, extension),
        original_filename=display_name(name) or None,
        storage_provider=runtime.settings.storage_backend,
        **vars(kept),
    )
    library.arrive(uow, image)
    return image


def _alone_with(uow: UnitOfWork, sha256: str) -> None:
    """Let nobody else add the same picture until the commit; SQLite has only one writer anyway."""
    if uow.get_bind().dialect.name == "postgresql":
        number = int.from_bytes(bytes.fromhex(sha256[:16]), "big", signed=True)
        uow.scalar(select(func.pg_advisory_xact_lock(number)))


def _shown_again(sha256: str, smallest: int = 1) -> Upload | None:
    """Return the picture that has these bytes already, out of the trash if it lies there; None if there is none.

    There is none either if it is too small for what it is brought for, or if somebody deletes it for ever at this
    very moment.
    """
    earlier = library.find_duplicate(sha256, trashed=True)
    if earlier is None or min(earlier.width, earlier.height) < smallest:
        return None
    if earlier.deleted_at is None:
        return Upload(earlier, earlier=True)
    public_id = earlier.public_id
    library.restore_all(public_ids=[public_id])
    try:
        return Upload(library.get_image(public_id), earlier=True)
    except NotFound:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _count(user_id: int) -> None:
    """Count one upload of a person; raises TooMany. Without Redis nobody counts, for an upload costs nothing."""
    storage = RedisStorage("redis://", connection_pool=runtime.redis.connection_pool, wrap_exceptions=True)
    limiter = MovingWindowRateLimiter(storage)
    try:
        if limiter.hit(PACE, str(user_id)):
            return
        reset = limiter.get_window_stats(PACE, str(user_id)).reset_time
    except StorageError as error:
        log.warning("uploads.cannot_count", error=str(error.storage_error))
        return
    wait = max(1, round(reset - time.time() + 0.5))
    sentence = N_("You may upload {count} pictures a minute. It goes on in {seconds} seconds.")
    raise TooMany(sentence.format(count=PACE.amount, seconds=wait), retry_after=wait)
