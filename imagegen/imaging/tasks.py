"""What the pool's children can do: one function per task, JSON in and JSON out; pictures travel as paths."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyvips

from imagegen.core.text import N_
from imagegen.imaging import crop, export, looks, provenance, renditions
from imagegen.imaging.errors import UnsupportedFormat
from imagegen.imaging.facts import (
    WORKING_SIDE,
    Converted,
    PictureFacts,
    Rendition,
    StoredFile,
    StoredPicture,
    widths_in_store,
)
from imagegen.imaging.formats import FORMATS
from imagegen.imaging.intake import Limits, Picture, decode, read

GENERATED_FORMATS = ("png", "jpeg", "webp")
_AT_ONCE = 2
"""The widest rendition takes as long as all else: more threads end no sooner, and cost more processor time."""


def warm_up() -> None:
    """Prepare this process: strict settings first, then one small picture through every stage."""
    pyvips.block_untrusted_set(True)
    pyvips.cache_set_max(0)
    image = pyvips.Image.gaussnoise(64, 64, mean=128, sigma=20).cast("uchar").copy(interpretation="b-w")
    for name in GENERATED_FORMATS:
        picture = decode(export.encode(image.colourspace("srgb"), FORMATS[name], None))
        for step in renditions.chain(picture.image, (48, 32)):
            renditions.encode_webp(step)
        looks.look(step)


def inspect(path: str, formats: Sequence[str] = tuple(FORMATS), smallest_side: int = 1) -> dict[str, Any]:
    """Decode the picture at `path` whole and answer its facts: {"facts": PictureFacts}."""
    limits = Limits(smallest_side=smallest_side)
    picture = decode(read(Path(path), limits), formats, limits)
    facts = _facts(picture, picture.width, picture.height, len(picture.data), _sha256(picture.data))
    return {"facts": asdict(facts)}


def store_generated(
    received_path: str,
    out_dir: str,
    trim: Sequence[int] | None = None,
    ai: Mapping[str, Any] | None = None,
    formats: Sequence[str] = GENERATED_FORMATS,
) -> dict[str, Any]:
    """Check a provider's picture, mark it, make its renditions; answer as `facts.StoredPicture`.

    Everything is written into `out_dir`, which belongs to the caller, also when the task is ended half way.
    `trim` is (width, height) to cut the middle out; `ai` is what `provenance.Provenance` holds.
    """
    received = read(Path(received_path), Limits())
    picture = decode(received, formats)
    if picture.frames > 1:
        raise UnsupportedFormat(N_("The picture is animated, and only still ones are taken here."))
    packet = provenance.packet(provenance.Provenance.from_params(ai)) if ai else None
    image = crop.centred(picture.image, *trim) if trim else picture.image
    trimmed = (image.width, image.height) != (picture.image.width, picture.image.height)
    if trimmed:
        image = image.copy_memory()
        data = export.encode_like(picture, image, packet)
    else:
        data = export.with_packet(picture.data, picture.format, packet)
    size = (image.width, image.height)
    image = renditions.fitted(image, WORKING_SIDE)
    return _stored(
        Path(out_dir),
        picture,
        data,
        received,
        image=image,
        size=size,
        packet=packet,
        trimmed=trimmed,
        kept=[Path(received_path)],
    )


def store_upload(
    received_path: str,
    out_dir: str,
    smallest_side: int,
    formats: Sequence[str] = tuple(FORMATS),
) -> dict[str, Any]:
    """Check a picture that somebody brings, take from its file all that is no pixel, make its renditions.

    Answers as `facts.StoredPicture`; everything is written into `out_dir`, which belongs to the caller, also when
    the task is ended half way. Of an animation the first frame is kept.
    """
    limits = Limits(smallest_side=smallest_side)
    received = read(Path(received_path), limits)
    picture = decode(received, formats, limits, bare=True, fit=WORKING_SIDE)
    size = (picture.width, picture.height)
    return _stored(Path(out_dir), picture, picture.data, received, image=picture.image, size=size)


def _stored(
    folder: Path,
    picture: Picture,
    data: bytes,
    received: bytes,
    *,
    image: pyvips.Image,
    size: tuple[int, int],
    packet: bytes | None = None,
    trimmed: bool = False,
    kept: Sequence[Path] = (),
) -> dict[str, Any]:
    """Write the file `data` and the renditions of its pixels into `folder`; answer as `facts.StoredPicture`.

    `size` is that of the whole picture, of which `image` is the working size. All of it is on the disk then, and the
    files `kept` are too: whoever gives them their names has nothing left to wait for.
    """
    # Somebody waits for this picture: the widest rendition, which takes longest, is begun before the next one is
    # scaled, and what has to be on the disk goes there meanwhile.
    widths = widths_in_store(image.width, size[0])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        synced = [pool.submit(_sync, path) for path in kept]
        made = []
        for step in renditions.chain(image, widths):
            made.append(pool.submit(_write_rendition, folder, step, packet, durable=True))
        looked = pool.submit(looks.look, step)
        file = _write(folder / f"file.{picture.format.extension}", data, durable=True)
        answer = StoredPicture(
            facts=_facts(picture, *size, file.bytes, file.sha256),
            file=file,
            received_sha256=_sha256(received),
            received_bytes=len(received),
            renditions=tuple(each.result() for each in reversed(made)),
            looks=looked.result(),
            trimmed=trimmed,
        )
        for each in synced:
            each.result()
    return asdict(answer)


def rendition(path: str, out_dir: str, width: int) -> dict[str, Any]:
    """Make the rendition of `path` that is `width` wide at most, with its XMP: {"rendition": Rendition}."""
    picture = decode(read(Path(path), Limits()), fit=WORKING_SIDE)
    (step,) = renditions.chain(picture.image, (width,))
    packet = picture.format.container.read_xmp(picture.data)
    return {"rendition": asdict(_write_rendition(Path(out_dir), step, packet))}


def convert(path: str, out_dir: str, format: str, max_width: int | None = None) -> dict[str, Any]:
    """Write `path` as `format`, at most `max_width` wide, with its XMP: {"converted": Converted}.

    A picture that is already as asked for is passed on byte for byte.
    """
    picture = decode(read(Path(path), Limits()))
    image, target = picture.image, FORMATS[format]
    if target.name == picture.format.name and image.width <= (max_width or image.width):
        data = picture.data
    else:
        image = renditions.narrowed(renditions.to_srgb(image), max_width or image.width)
        data = export.encode(image, target, picture.format.container.read_xmp(picture.data))
    file = _write(Path(out_dir) / f"converted.{target.extension}", data)
    converted = Converted(
        **asdict(file), width=image.width, height=image.height, format=target.name, mime_type=target.mime_type
    )
    return {"converted": asdict(converted)}


def _facts(picture: Picture, width: int, height: int, length: int, sha256: str) -> PictureFacts:
    """Return the facts of `picture`, `width` by `height`, in a file of `length` bytes with that hash."""
    return PictureFacts(
        format=picture.format.name,
        mime_type=picture.format.mime_type,
        extension=picture.format.extension,
        width=width,
        height=height,
        bytes=length,
        sha256=sha256,
        has_alpha=bool(picture.image.hasalpha()),
        is_animated=picture.frames > 1,
        frames=picture.frames,
    )


def _write_rendition(folder: Path, image: pyvips.Image, packet: bytes | None, *, durable: bool = False) -> Rendition:
    data = export.webp_with(renditions.encode_webp(image), packet)
    file = _write(folder / f"rendition-{image.width}.webp", data, durable=durable)
    return Rendition(**asdict(file), width=image.width, height=image.height)


def _write(path: Path, data: bytes, *, durable: bool = False) -> StoredFile:
    path.write_bytes(data)
    if durable:
        _sync(path)
    return StoredFile(path, len(data), _sha256(data))


def _sync(path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "inspect": inspect,
    "store_generated": store_generated,
    "store_upload": store_upload,
    "rendition": rendition,
    "convert": convert,
}
