"""What the pool's children can do: one function per task, JSON in and JSON out; pictures travel as paths."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyvips

from imagegen.core.text import N_
from imagegen.imaging import crop, export, looks, provenance, renditions
from imagegen.imaging.errors import UnsupportedFormat
from imagegen.imaging.facts import (
    Converted,
    PictureFacts,
    Rendition,
    StoredFile,
    StoredPicture,
    rendition_widths,
)
from imagegen.imaging.formats import FORMATS
from imagegen.imaging.intake import Limits, Picture, decode, read

GENERATED_FORMATS = ("png", "jpeg", "webp")


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
    return {"facts": asdict(_facts(picture, picture.image, picture.data))}


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
    steps = list(renditions.chain(image, rendition_widths(image.width)))
    folder = Path(out_dir)
    answer = StoredPicture(
        facts=_facts(picture, image, data),
        file=_write(folder / f"file.{picture.format.extension}", data),
        received_sha256=_sha256(received),
        received_bytes=len(received),
        renditions=tuple(_write_rendition(folder, step, packet) for step in reversed(steps)),
        looks=looks.look(steps[-1]),
        trimmed=trimmed,
    )
    return asdict(answer)


def rendition(path: str, out_dir: str, width: int) -> dict[str, Any]:
    """Make the rendition of `path` that is `width` wide at most, with its XMP: {"rendition": Rendition}."""
    picture = decode(read(Path(path), Limits()))
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


def _facts(picture: Picture, image: pyvips.Image, data: bytes) -> PictureFacts:
    """Return the facts of `image` as it lies in `data`."""
    return PictureFacts(
        format=picture.format.name,
        mime_type=picture.format.mime_type,
        extension=picture.format.extension,
        width=image.width,
        height=image.height,
        bytes=len(data),
        sha256=_sha256(data),
        has_alpha=bool(image.hasalpha()),
        is_animated=picture.frames > 1,
        frames=picture.frames,
    )


def _write_rendition(folder: Path, image: pyvips.Image, packet: bytes | None) -> Rendition:
    data = export.webp_with(renditions.encode_webp(image), packet)
    file = _write(folder / f"rendition-{image.width}.webp", data)
    return Rendition(**asdict(file), width=image.width, height=image.height)


def _write(path: Path, data: bytes) -> StoredFile:
    path.write_bytes(data)
    return StoredFile(path, len(data), _sha256(data))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "inspect": inspect,
    "store_generated": store_generated,
    "rendition": rendition,
    "convert": convert,
}
