"""Where a picture is drawn: coordinates in units of the short side, OKLab planes, masks, light, grain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image

from imagegen.providers.local.colour import Bytes, Floats, Lab, to_srgb
from imagegen.providers.local.palette import Palette

_BAND = 96
"""Rows finished at a time: the intermediate planes then stay in the processor's cache."""


class Calm(StrEnum):
    """Where a picture leaves quiet room for words."""

    TOP = "top"
    BOTTOM = "bottom"
    LEFT = "left"
    RIGHT = "right"
    CENTRE = "centre"


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture's size. One unit of length is its short side, so that no shape is stretched by the ratio."""

    width: int
    height: int

    @property
    def short(self) -> int:
        """The short side in pixels."""
        return min(self.width, self.height)

    @property
    def w(self) -> float:
        """The width in units."""
        return self.width / self.short

    @property
    def h(self) -> float:
        """The height in units."""
        return self.height / self.short

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    def grid(self, step: int = 1) -> tuple[Floats, Floats]:
        """Return x, shape (1, columns), and y, shape (rows, 1), of the pixels' centres.

        With `step` > 1 the grid is that much coarser and still spans the whole picture: smooth fields are
        computed on it and brought to size by `enlarge`.
        """
        columns, rows = -(-self.width // step), -(-self.height // step)
        x = (np.arange(columns, dtype=np.float32) + np.float32(0.5)) * np.float32(self.w / columns)
        y = (np.arange(rows, dtype=np.float32) + np.float32(0.5)) * np.float32(self.h / rows)
        return x[None, :], y[:, None]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a kind of picture is told: size, the source of chance, colours, where to be calm.

    `said` are the prompt's words (in the singular), by which a kind may choose among its variants.
    """

    frame: Frame
    rng: np.random.Generator
    palette: Palette
    calm: Calm | None = None
    said: frozenset[str] = frozenset()

    def variant(self, names: Mapping[str, frozenset[str]]) -> str:
        """Return the variant whose words the prompt says; chance decides among equals.

        `names` maps each variant to its words. Draws one number whatever was said.
        """
        scores = {name: len(words & self.said) for name, words in names.items()}
        best = [name for name, score in scores.items() if score == max(scores.values())]
        return best[int(self.rng.random() * len(best))]

    def calmness(self, step: int = 1) -> Floats:
        """Return 1 where the picture is to be quiet, 0 where it is not, with a soft passage between."""
        x, y = self.frame.grid(step)
        u, v = x / np.float32(self.frame.w), y / np.float32(self.frame.h)
        flat = np.zeros((v.size, u.size), np.float32)
        if self.calm is None:
            return flat
        if self.calm is Calm.CENTRE:
            far = np.cbrt((np.abs(u - 0.5) / 0.42) ** 3 + (np.abs(v - 0.5) / 0.3) ** 3)
            return 1 - smoothstep(0.8, 1.3, far)
        along = {Calm.TOP: v, Calm.BOTTOM: 1 - v, Calm.LEFT: u, Calm.RIGHT: 1 - u}[self.calm]
        return flat + (1 - smoothstep(0.36, 0.56, along))

    def is_calm(self, x: float, y: float) -> bool:
        """Tell whether the point (in units) lies in the quiet area."""
        u, v = x / self.frame.w, y / self.frame.h
        return {
            None: False,
            Calm.TOP: v < 0.44,
            Calm.BOTTOM: v > 0.56,
            Calm.LEFT: u < 0.46,
            Calm.RIGHT: u > 0.54,
            Calm.CENTRE: abs(u - 0.5) < 0.38 and abs(v - 0.5) < 0.28,
        }[self.calm]


def clamp(value: Floats) -> Floats:
    """Return `value` held between 0 and 1."""
    return np.asarray(np.clip(value, 0, 1), np.float32)


def smoothstep(low: float, high: float, value: Floats) -> Floats:
    """Return 0 below `low`, 1 above `high` and a smooth passage between (`low` may be the larger one)."""
    t = clamp((value - np.float32(low)) / np.float32(high - low))
    return t * t * (3 - 2 * t)


def blank(frame: Frame, colour: Lab) -> Floats:
    """Return OKLab planes, shape (3, rows, columns), full of one colour."""
    planes = np.empty((3, *frame.shape), np.float32)
    planes[:] = np.asarray(colour, np.float32)[:, None, None]
    return planes


def paint(planes: Floats, colour: Lab | Floats, cover: Floats | float) -> None:
    """Lay `colour` (one, or planes of the same shape) over `planes`, in place, where `cover` is above 0."""
    for plane, value in zip(planes, colour, strict=True):
        plane += (value - plane) * cover


def enlarge(field: Floats, frame: Frame) -> Floats:
    """Return a smooth field that was computed on a coarse grid at the size of `frame`."""
    return resize(field, frame.width, frame.height)


def resize(field: Floats, width: int, height: int) -> Floats:
    """Return `field` at another size, by bicubic interpolation."""
    if field.shape == (height, width):
        return field
    small = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def blur(field: Floats, sigma: float) -> Floats:
    """Return `field` blurred by about `sigma` pixels, computed as coarsely as the blur allows."""
    rows, columns = field.shape
    step = max(int(sigma / 2), 1)
    small_width, small_height = max(-(-columns // step), 2), max(-(-rows // step), 2)
    small = field
    if step > 1:
        picture = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
        small = np.asarray(picture.resize((small_width, small_height), Image.Resampling.BOX))
    for axis in (0, 1):
        small = _convolve(small, sigma / step, axis)
    return resize(small, columns, rows)


def _convolve(field: Floats, sigma: float, axis: int) -> Floats:
    reach = max(round(sigma * 2.6), 1)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    edge = [(reach, reach) if i == axis else (0, 0) for i in (0, 1)]
    padded = np.pad(field, edge, mode="edge")
    size = field.shape[axis]
    out = np.zeros_like(field)
    for i, tap in enumerate(taps):
        part = padded[i : i + size] if axis == 0 else padded[:, i : i + size]
        out += part * tap
    return out


def shifted(field: Floats, right: int, down: int) -> Floats:
    """Return `field` moved by whole pixels, its edge values drawn out."""
    rows, columns = field.shape
    edge = ((max(down, 0), max(-down, 0)), (max(right, 0), max(-right, 0)))
    padded = np.pad(field, edge, mode="edge")
    return padded[max(-down, 0) : max(-down, 0) + rows, max(-right, 0) : max(-right, 0) + columns]


def quieten(planes: Floats, scene: Scene, strength: float, reach: float) -> None:
    """Let the calm area dissolve as in mist, in place: blurred over `reach` units, by a share of `strength`."""
    if scene.calm is None:
        return
    cover = enlarge(scene.calmness(8), scene.frame) * np.float32(strength)
    for plane in planes:
        plane += (blur(plane, reach * scene.frame.short) - plane) * cover


def look_up(table: Floats, value: Floats) -> Floats:
    """Return planes with the colours that a ramp, shape (3, steps), has at `value` (0 … 1, clipped)."""
    steps = table.shape[1]
    index = np.clip(value * np.float32(steps - 1) + np.float32(0.5), 0, steps - 1).astype(np.int32)
    planes = np.empty((3, *value.shape), np.float32)
    for plane, column in zip(planes, table, strict=True):
        np.take(column, index, out=plane)
    return planes


def finish(planes: Floats, rng: np.random.Generator, grain: float) -> Bytes:
    """Return the picture as 8-bit sRGB, shape (rows, columns, 3), with film grain of `grain` steps."""
    rows, columns = planes.shape[1:]
    out = np.empty((rows, columns, 3), np.uint8)
    for top in range(0, rows, _BAND):
        band = planes[:, top : top + _BAND]
        # The sum of two even noises has the triangular spread that hides rounding completely.
        noise = rng.random(band.shape[1:], np.float32)
        noise += rng.random(band.shape[1:], np.float32)
        noise -= 1
        noise *= np.float32(1 + grain)
        out[top : top + _BAND] = to_srgb(band, noise)
    return out
