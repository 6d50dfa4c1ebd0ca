"""From bytes of unknown origin to pixels, or to a sentence that says why not.

The order is the defence: length, first bytes, structure of the container to its end, header (Pillow, listed formats
only), own limits on pixels, and only then one full decode (libvips, the loader of that format).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pillow_heif
import pyvips
from PIL import Image, UnidentifiedImageError

from imagegen.core.text import N_
from imagegen.imaging import renditions
from imagegen.imaging.containers import exif
from imagegen.imaging.containers.base import Malformed, Structure, TooManyPieces
from imagegen.imaging.errors import TooManyPixels, TooSmall, Unreadable, UnsupportedFormat
from imagegen.imaging.formats import FORMATS, Format, recognise

pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)

LARGEST_PROFILE = 4 << 20
_PROFILE_OF = {"CMYK": b"CMYK", "L": b"GRAY", "LA": b"GRAY", "1": b"GRAY", "I;16": b"GRAY", "I": b"GRAY"}
"""The colours that a profile must be about, by Pillow's mode; all others are RGB (ICC.1, table 19)."""


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

    `data` is the file without anything behind the picture's end. `width` and `height` are those of the whole
    picture, upright; `image` may have been scaled down while it was decoded.
    """

    format: Format
    data: bytes
    image: pyvips.Image
    frames: int
    width: int
    height: int


class _Header(NamedTuple):
    """What a file says of itself before it is decoded."""

    size: tuple[int, int]
    mode: str
    profile: bytes | None


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


def decode(
    data: bytes,
    formats: Collection[str] = tuple(FORMATS),
    limits: Limits | None = None,
    *,
    bare: bool = False,
    fit: int | None = None,
) -> Picture:
    """Return the picture in `data`; UnsupportedFormat, TooManyPixels, TooSmall or Unreadable if it is none.

    With `bare` the file loses all that is said in it about the picture, and what is left is what is decoded. With
    `fit` the pixels come in sRGB with 8 bits, scaled down to that many a side if they are more, and take no more
    memory than that however large the picture is.
    """
    limits = limits or Limits()
    found = recognise(data)
    if found is None:
        raise UnsupportedFormat()
    if found.name not in formats:
        raise UnsupportedFormat(N_("Pictures of this format are not accepted here."))
    structure = _structure(data, found)
    header = _header(data, found)
    _check_size(*header.size, 1, limits)
    if isinstance(structure, Malformed):
        raise Unreadable() from structure
    _check_size(*header.size, structure.frames, limits)
    if bare:
        structure = _bared(structure, found, header)
    image, width, height = _loaded(structure, found, limits, fit)
    if _lies_on_its_side(image):
        width, height = height, width
    return Picture(found, structure.data, _upright(image), structure.frames, width, height)


def _header(data: bytes, found: Format) -> _Header:
    """Return what the header states; nothing is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            with Image.open(BytesIO(data), formats=[found.pillow]) as header:
                return _Header(header.size, header.mode, header.info.get("icc_profile"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixels() from None
    except UnidentifiedImageError:
        raise Unreadable() from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds on hostile files
        raise Unreadable() from error


def _check_size(width: int, height: int, frames: int, limits: Limits) -> None:
    if max(width, height) > limits.side or width * height > limits.pixels:
        raise TooManyPixels(
            N_("The picture is too large: {millions} million pixels and {side} on a side are the most.").format(
                millions=limits.pixels // 1_000_000, side=limits.side
            )
        )
    if width < limits.smallest_side or height < limits.smallest_side:
        raise TooSmall(
            N_("The picture is too small: it needs at least {side} \N{MULTIPLICATION SIGN} {side} pixels.").format(
                side=limits.smallest_side
            )
        )
    if width * height * frames > limits.frame_pixels:
        raise TooManyPixels(N_("The picture has too many frames."))


def _structure(data: bytes, found: Format) -> Structure | Malformed:
    """Return the file as a container, or what is wrong with it; Unreadable if no reader should be bothered with it.

    That a picture is too large says more to a person than that its file is damaged, too.
    """
    try:
        return found.container.parse(data)
    except TooManyPieces as error:
        raise Unreadable() from error
    except Malformed as error:
        return error


def _bared(structure: Structure, found: Format, header: _Header) -> Structure:
    """Return the file with the pixels alone, how they are turned, and a profile that is one."""
    container = found.container
    try:
        orientation = exif.orientation_of(container.read_exif(structure.data))
        data = container.bare(structure.data, orientation=orientation, profile=_is_profile(header))
    except Malformed as error:
        raise Unreadable() from error
    return Structure(data, structure.frames)


def _is_profile(header: _Header) -> bool:
    """Tell whether the profile is one, by its header (ICC.1, 7.2), and about colours such as the picture has."""
    profile = header.profile
    return (
        profile is not None
        and 128 < len(profile) <= LARGEST_PROFILE
        and int.from_bytes(profile[:4], "big") == len(profile)
        and profile[36:40] == b"acsp"
        and profile[16:20].strip() == _PROFILE_OF.get(header.mode, b"RGB")
    )


def _loaded(structure: Structure, found: Format, limits: Limits, fit: int | None) -> tuple[pyvips.Image, int, int]:
    """Decode the first frame into memory, every pixel of it; return it with the width and height that it had."""
    try:
        image = _opened(structure.data, found)
        width, height = image.width, image.height
        # Asked again: two readers may see two sizes in one hostile file.
        _check_size(width, height, structure.frames, limits)
        if fit:
            image = renditions.fitted(renditions.to_srgb(image), fit)
        return image.copy_memory(), width, height
    except pyvips.Error as error:
        if "out of memory" in str(error):
            raise MemoryError from error
        raise Unreadable() from error


def _opened(data: bytes, found: Format) -> pyvips.Image:
    """Return the first frame, decoded as it is asked for where libvips has a decoder."""
    if found.loader is None:
        return _by_pillow(data, found)
    load: Callable[..., pyvips.Image] = getattr(pyvips.Image, found.loader)
    return load(data, access="sequential", fail_on="error")


def _by_pillow(data: bytes, found: Format) -> pyvips.Image:
    try:
        with Image.open(BytesIO(data), formats=[found.pillow]) as opened:
            frame = opened if opened.mode in ("RGB", "RGBA") else opened.convert("RGB")
            pixels, profile = frame.tobytes(), opened.info.get("icc_profile")
    except MemoryError:
        raise
    except Exception as error:
        raise Unreadable() from error
    image = pyvips.Image.new_from_memory(pixels, *frame.size, len(frame.getbands()), "uchar")
    image = image.copy(interpretation="srgb")
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _lies_on_its_side(image: pyvips.Image) -> bool:
    return bool(image.get_typeof("orientation")) and 5 <= image.get("orientation") <= 8


def _upright(image: pyvips.Image) -> pyvips.Image:
    """Return the picture as its orientation tag says it is to be seen; a senseless tag says nothing."""
    if not image.get_typeof("orientation"):
        return image
    turned = image.autorot() if 2 <= image.get("orientation") <= 8 else image
    turned = turned.copy_memory()
    turned.remove("orientation")
    return turned
