"""Pictures and things that pretend to be pictures, made in code."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any

import pillow_heif
from PIL import Image

from imagegen.imaging.containers import png

pillow_heif.register_heif_opener()

PILLOW = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP", "gif": "GIF", "avif": "AVIF", "heic": "HEIF"}


def scene(width: int = 96, height: int = 64, mode: str = "RGB") -> Image.Image:
    """A picture with structure: gradients, an edge, some noise, red top left."""
    across = Image.linear_gradient("L").resize((width, height))
    down = Image.linear_gradient("L").rotate(90).resize((width, height))
    noise = Image.effect_noise((width, height), 30)
    image = Image.merge("RGB", (across, down, noise))
    image.paste((255, 0, 0), (0, 0, width // 4, height // 4))
    if mode in ("RGBA", "LA"):
        image.putalpha(down)
    return image.convert(mode)


def encoded(format: str = "png", image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or scene()).save(buffer, PILLOW.get(format, format), **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, *, depth: int = 8, colour: int = 2, rows: bool = True) -> bytes:
    """A PNG of zeros, as small as its claim is large."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    line = 1 + (width * channels * depth + 7) // 8
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes(line)) for _ in range(height if rows else 0)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def png_with(*chunks: bytes, behind_pixels: bool = False, image: Image.Image | None = None) -> bytes:
    """A good PNG with `chunks` put in front of its pixels, or behind them."""
    data = encoded("png", image)
    at = len(data) - 12 if behind_pixels else data.index(b"IDAT") - 4
    return data[:at] + b"".join(chunks) + data[at:]


def text_bomb(kind: bytes = b"zTXt", size: int = 64 << 20) -> bytes:
    packed = zlib.compress(bytes(size), 9)
    head = b"Comment\0\0" if kind != b"iTXt" else b"Comment\0\1\0\0\0"
    return chunk(kind, head + packed)


def animation(format: str, frames: int, size: tuple[int, int] = (40, 30)) -> bytes:
    images = [Image.new("RGB", size, ((n * 37) % 256, (n * 91) % 256, n % 256)) for n in range(frames)]
    return encoded(format, images[0], save_all=True, append_images=images[1:], duration=20)


def zip_tail() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil", "x")
    return buffer.getvalue()


NO_PICTURES = {
    "gif-js": b"GIF/*" + bytes(8) + b"*/=1;alert(1)",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><title>502 Bad Gateway</title>",
    "eps": encoded("EPS"),
    "tiff": encoded("TIFF"),
    "bmp": encoded("BMP"),
    "pdf": encoded("PDF"),
    "ico": encoded("ICO"),
    "text": b"hello",
}
"""U16 to U23: the answer to all of them is 415, whatever their name says."""
