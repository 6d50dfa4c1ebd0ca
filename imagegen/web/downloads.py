"""Pictures on their way out of the studio: converted to what somebody needs, or many in one ZIP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Self

import structlog
import zipstream  # type: ignore[import-untyped]
from flask import Response, send_file

from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.core.text import N_
from imagegen.extensions import runtime
from imagegen.imaging.facts import converted_from_answer
from imagegen.imaging.formats import FORMATS
from imagegen.models import Image
from imagegen.storage.errors import NotStored
from imagegen.web import files

log = structlog.get_logger(__name__)

CHOICES = ("png", "jpeg", "webp")
"""The formats in which a picture can be saved, beside its own."""

WIDTHS = (2048, 1080, 512)
"""The widths that pages offer; an address may ask for any other."""

_WIDEST = 16_384
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """In which format (empty: its own) and how wide at most (None: as it is) somebody wants a picture."""

    format: str = ""
    width: int | None = None

    @classmethod
    def read(cls, format_name: str, width: str) -> Self:
        """Return what two parameters of an address say; raises StudioError with the field."""
        if format_name and format_name not in CHOICES:
            raise StudioError(
                N_("There is no such format. Choose one of: {choices}.").format(choices=", ".join(CHOICES)),
                field="format",
            )
        if not width:
            return cls(format_name)
        if not (width.isascii() and width.isdigit() and len(width) < 9 and 1 <= int(width) <= _WIDEST):
            raise StudioError(N_("The width must be between 1 and {most}.").format(most=_WIDEST), field="width")
        return cls(format_name, int(width))


def send(image: Image, wanted: Wanted) -> Response:
    """Answer with a file to be saved: as it is kept if that is what is wanted, else made for this answer."""
    own = next((each.name for each in FORMATS.values() if each.mime_type == image.mime_type), "")
    target = wanted.format or (own if own in CHOICES else "png")
    if target == own and (wanted.width is None or wanted.width >= image.width):
        return files.send_image(image, download=True)
    with runtime.storage.workspace() as folder, runtime.storage.materialise(image.file_key) as path:
        made = converted_from_answer(
            files.run_on_pixels("convert", path=str(path), out_dir=str(folder), format=target, max_width=wanted.width)
        )
        # Opened before the folder goes, for whoever has a file open may read on; send_file closes it.
        body = made.path.open("rb")
    response = send_file(body, mimetype=made.mime_type)
    name = f"{PurePath(image.filename).stem}.{FORMATS[target].extension}"
    _save_as(response, name)
    response.content_length = made.bytes
    return response


def send_zip(found: Sequence[Any]) -> Response:
    """Answer with a ZIP of these pictures (rows with `file_key`, `filename`), made while it is read.

    Nothing is compressed, for pictures are already; so the length is known before, and browsers show how far it is.
    """
    local = [(runtime.storage.local_path(row.file_key), row.file_key, name) for row, name in _named(found)]
    here = all(path is not None for path, _key, _name in local)
    archive = zipstream.ZipStream(sized=here)
    for path, key, name in local:
        if path is not None:
            archive.add_path(path, name)
        elif runtime.storage.exists(key):
            archive.add(_pieces(key), name)
    response = Response(archive, mimetype="application/zip", direct_passthrough=True)
    if here:
        response.content_length = len(archive)
    _save_as(response, f"pictures-{now():%Y-%m-%d}.zip")
    return response


def _pieces(key: str) -> Iterator[bytes]:
    try:
        with runtime.storage.open(key) as source:
            while piece := source.read(_CHUNK):
                yield piece
    except NotStored:
        log.warning("download.missing", key=key)


def _named(found: Iterable[Any]) -> Iterator[tuple[Any, str]]:
    """Yield each row with a name that no other has, whatever the case."""
    seen: Counter[str] = Counter()
    for row in found:
        name = row.filename.replace("/", "-").replace("\\", "-")
        seen[name.lower()] += 1
        count = seen[name.lower()]
        whole = PurePath(name)
        yield row, name if count == 1 else f"{whole.stem} ({count}){whole.suffix}"


def _save_as(response: Response, name: str) -> None:
    response.headers["Content-Disposition"] = files.disposition("attachment", name)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
