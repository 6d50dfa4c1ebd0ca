"""From bytes of unknown origin to pixels, or to a sentence that says why not.

The order is the defence: length, first bytes, header (Pillow, listed formats only), own limits on pixels,
structure of the container to its end, and only then one full decode (libvips, the loader of that format).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pyvips
from PIL import Image, UnidentifiedImageError

from imagegen.core.text import N_
from imagegen.imaging.containers.base import Malformed, Structure
from imagegen.imaging.errors import TooManyPixels, TooSmall, Unreadable, UnsupportedFormat
from imagegen.imaging.formats import FORMATS, Format, recognise


@dataclass(frozen=True)
class Limits:
    """What a picture may be; sides and pixels are counted before anything is decoded."""

    bytes: int = 96 << 20
    pixels: int = 40_000_000
    side: int = 16_384
    smallest_side: int = 16
    frame_pixels: int = 400_000_000


@dataclass(frozen=True)
class Picture:
    """A decoded picture: its first frame's pixels in memory, upright, and what its file was.

    `data` is the file without anything behind the picture's end.
    """

    format: Format
    data: bytes
    image: pyvips.Image
    frames: int


def read(path: Path, limits: Limits) -> bytes:
    """Return the file's bytes; Unreadable if it is missing, empty or too long."""
    try:
        if path.stat().st_size > limits.bytes:
            raise Unreadable(N_("The picture's file is too large."))
        data = path.read_bytes()
    except FileNotFoundError:
        raise Unreadable(N_("The picture's file is missing.")) from None
    if not data:
        raise Unreadable(N_("The picture's file is empty."))
    return data


def decode(data: bytes, formats: Collection[str] = tuple(FORMATS), limits: Limits | None = None) -> Picture:
    """Return the picture in `data`; UnsupportedFormat, TooManyPixels, TooSmall or Unreadable if it is none."""
    limits = limits or Limits()
    found = recognise(data)
    if found is None:
        raise UnsupportedFormat()
    if found.name not in formats:
        raise UnsupportedFormat(N_("Pictures of this format are not accepted here."))
    _check_size(*_header_size(data, found), 1, limits)
    structure = _structure(data, found)
    image = _loaded(structure, found, limits)
    return Picture(found, structure.data, _upright(image), structure.frames)


def _header_size(data: bytes, found: Format) -> tuple[int, int]:
    """Return width and height as the header states them; nothing is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            with Image.open(BytesIO(data), formats=[found.pillow]) as header:
                return header.size
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixels() from None
    except UnidentifiedImageError:
        raise Unreadable() from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds on hostile files
        raise Unreadable() from error


def _check_size(width: int, height: int, frames: int, limits: Limits) -> None:
    if width < limits.smallest_side or height < limits.smallest_side:
        raise TooSmall()
    if max(width, height) > limits.side or width * height > limits.pixels:
        raise TooManyPixels()
    if width * height * frames > limits.frame_pixels:
        raise TooManyPixels(N_("The picture has too many frames."))


def _structure(data: bytes, found: Format) -> Structure:
    try:
        return found.container.parse(data)
    except Malformed as error:
        raise Unreadable() from error


def _loaded(structure: Structure, found: Format, limits: Limits) -> pyvips.Image:
    """Decode the first frame into memory, every pixel of it."""
    load: Callable[..., pyvips.Image] = getattr(pyvips.Image, found.loader)
    try:
        image = load(structure.data, access="sequential", fail_on="error")
        # Asked again: two readers may see two sizes in one hostile file.
        _check_size(image.width, image.height, structure.frames, limits)
        return image.copy_memory()
    except pyvips.Error as error:
        if "out of memory" in str(error):
            raise MemoryError from error
        raise Unreadable() from error


def _upright(image: pyvips.Image) -> pyvips.Image:
    """Return the picture as its orientation tag says it is to be seen; a senseless tag says nothing."""
    if not image.get_typeof("orientation"):
        return image
    turned = image.autorot() if 2 <= image.get("orientation") <= 8 else image
    turned = turned.copy_memory()
    turned.remove("orientation")
    return turned
