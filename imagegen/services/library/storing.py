"""A picture's files, put into the storage together: what came in, the picture as it is shown, its renditions."""

from __future__ import annotations

from pathlib import Path

from imagegen.extensions import runtime
from imagegen.imaging.facts import StoredPicture
from imagegen.services.library.arrival import StoredFiles
from imagegen.storage import keys


def store(picture: StoredPicture, *, organisation: str, person: str, received: Path | None) -> StoredFiles:
    """Store the files of `picture` for a person (public ids), and with them the exact bytes that came in, if given.

    `received` is the file that `store_generated` was given: that task leaves this one durable too. Storing comes
    before the database hears of the picture: files without a row are swept, rows without files are not made. So
    where it fails there is nothing to clean up. Raises StorageError.
    """
    facts = picture.facts
    file_key = keys.file_key(organisation, person, facts.sha256, facts.extension)
    files = {file_key: picture.file.path}
    for each in picture.renditions:
        files[keys.rendition_key(organisation, person, facts.sha256, each.width)] = each.path
    received_key = None
    if received is not None:
        received_key = keys.received_key(organisation, person, picture.received_sha256, facts.extension)
        files[received_key] = received
    runtime.storage.put_all(files, durable=True)
    return StoredFiles(
        mime_type=facts.mime_type,
        width=facts.width,
        height=facts.height,
        file_size=facts.bytes,
        sha256=facts.sha256,
        received_sha256=picture.received_sha256,
        file_key=file_key,
        received_key=received_key,
        renditions=[{"width": each.width, "height": each.height, "bytes": each.bytes} for each in picture.renditions],
        placeholder=picture.looks.placeholder,
        colours=list(picture.looks.colours),
        phash=picture.looks.phash,
    )
