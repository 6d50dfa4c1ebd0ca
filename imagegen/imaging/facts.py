"""What the pool's tasks answer, typed. Imports no picture library, so that every process may use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RENDITION_WIDTHS = (256, 512, 1024)
WORKING_SIDE = 4_096
"""A picture with a longer side has one rendition more, of this length, with which the studio works instead."""


def rendition_widths(picture_width: int) -> tuple[int, ...]:
    """Return the widths in which a picture of `picture_width` has renditions, the smallest first.

    None is wider than the picture: the last one has its own width if that lies between two steps.
    """
    narrower = [width for width in RENDITION_WIDTHS if width < picture_width]
    return (*narrower, picture_width) if len(narrower) < len(RENDITION_WIDTHS) else tuple(narrower)


def widths_in_store(fitted: int, whole: int) -> tuple[int, ...]:
    """Return the widths that are made of a picture `whole` pixels wide whose working size is `fitted` wide."""
    made = rendition_widths(fitted)
    return made if fitted == whole else tuple(sorted({*made, fitted}))


@dataclass(frozen=True)
class PictureFacts:
    """What is true of a decoded picture.

    `width` and `height` are in pixels as it is seen, upright. `format` is a name in `formats.FORMATS`.
    """

    format: str
    mime_type: str
    extension: str
    width: int
    height: int
    bytes: int
    sha256: str
    has_alpha: bool
    is_animated: bool
    frames: int


@dataclass(frozen=True)
class StoredFile:
    """A file that a task wrote: where, how long, and the hash of its bytes (hex)."""

    path: Path
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Rendition(StoredFile):
    """A WebP made from a picture, upright and in sRGB."""

    width: int
    height: int


@dataclass(frozen=True)
class Looks:
    """What a picture looks like, in a few bytes.

    `placeholder` is a data URI of under 400 bytes, or "" for a picture that one can see through; `colours` are up to
    five, `#rrggbb`, the most frequent first; `phash` is 64 bits as 16 hex digits, in which near duplicates differ
    in few places, or None where there is no shape.
    """

    placeholder: str
    colours: tuple[str, ...]
    phash: str | None


@dataclass(frozen=True)
class StoredPicture:
    """The answer of `store_generated` and `store_upload`.

    `facts` describe `file`, the picture as the studio shows it; `received_sha256` is the hash of the bytes
    as they came. `trimmed` tells that the pixels were cropped and encoded again. The bytes of all files are on the
    disk, and those of the file that `store_generated` was given are too.
    """

    facts: PictureFacts
    file: StoredFile
    received_sha256: str
    received_bytes: int
    renditions: tuple[Rendition, ...]
    looks: Looks
    trimmed: bool

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> StoredPicture:
        """Return the typed form of what `PoolClient.run("store_generated" or "store_upload", …)` answered."""
        return cls(
            facts=PictureFacts(**answer["facts"]),
            file=StoredFile(**_with_path(answer["file"])),
            received_sha256=answer["received_sha256"],
            received_bytes=answer["received_bytes"],
            renditions=tuple(Rendition(**_with_path(one)) for one in answer["renditions"]),
            looks=Looks(**{**answer["looks"], "colours": tuple(answer["looks"]["colours"])}),
            trimmed=answer["trimmed"],
        )


def facts_from_answer(answer: Mapping[str, Any]) -> PictureFacts:
    """Return the typed form of what `PoolClient.run("inspect", …)` answered."""
    return PictureFacts(**answer["facts"])


def rendition_from_answer(answer: Mapping[str, Any]) -> Rendition:
    """Return the typed form of what `PoolClient.run("rendition", …)` answered."""
    return Rendition(**_with_path(answer["rendition"]))


@dataclass(frozen=True)
class Converted(StoredFile):
    """A download made from a picture."""

    width: int
    height: int
    format: str
    mime_type: str


def converted_from_answer(answer: Mapping[str, Any]) -> Converted:
    """Return the typed form of what `PoolClient.run("convert", …)` answered."""
    return Converted(**_with_path(answer["converted"]))


def _with_path(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "path": Path(fields["path"])}
