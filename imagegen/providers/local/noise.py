"""Smooth chance: gradient noise over the plane, and curves along a line."""

from __future__ import annotations

import math

import numpy as np

from imagegen.providers.local.colour import Floats

_CELLS = 256


class Noise:
    """Perlin's gradient noise (with his quintic fade of 2002), about -1 … 1, periodic after 256 units."""

    def __init__(self, rng: np.random.Generator) -> None:
        order = rng.permutation(_CELLS).astype(np.int32)
        self._order = np.concatenate([order, order, order[:2]])
        angle = rng.random(_CELLS) * 2 * math.pi
        self._gx = (np.cos(angle) * 1.5).astype(np.float32)
        self._gy = (np.sin(angle) * 1.5).astype(np.float32)

    def __call__(self, x: Floats, y: Floats) -> Floats:
        """Return the noise at each point of `x` and `y`, which are broadcast against each other."""
        left, top = np.floor(x), np.floor(y)
        dx, dy = x - left, y - top
        column = left.astype(np.int32) & (_CELLS - 1)
        row = top.astype(np.int32) & (_CELLS - 1)
        here, right = self._order[column], self._order[column + 1]
        fade_x = dx * dx * dx * (dx * (dx * 6 - 15) + 10)
        fade_y = dy * dy * dy * (dy * (dy * 6 - 15) + 10)
        upper = self._row(here + row, right + row, dx, dy, fade_x)
        row += 1
        lower = self._row(here + row, right + row, dx, dy - 1, fade_x)
        return upper + (lower - upper) * fade_y

    def _row(self, left: Floats, right: Floats, dx: Floats, dy: Floats, fade: Floats) -> Floats:
        """Return the mixture of the two corners on one side of the cells."""
        one, other = self._order[left], self._order[right]
        start = self._gx[one] * dx + self._gy[one] * dy
        end = self._gx[other] * (dx - 1) + self._gy[other] * dy
        return np.asarray(start + (end - start) * fade, np.float32)

    def fractal(self, x: Floats, y: Floats, octaves: int, gain: float = 0.5) -> Floats:
        """Return a sum of `octaves` noises, each finer and weaker than the one before; about -1 … 1."""
        # Each octave is turned by 37 degrees: otherwise the lattices line up and show.
        cos, sin = np.float32(1.6 * 0.8), np.float32(1.6 * 0.6)
        total, weight, norm = self(x, y), 1.0, 1.0
        for _ in range(octaves - 1):
            x, y = cos * x - sin * y + np.float32(5.2), sin * x + cos * y + np.float32(1.3)
            weight *= gain
            norm += weight
            total = total + self(x, y) * np.float32(weight)
        return total / np.float32(norm**0.5)


def curve(rng: np.random.Generator, x: Floats, per_unit: float, octaves: int = 1, gain: float = 0.5) -> Floats:
    """Return a smooth random curve over `x` (1-D), about -1 … 1, with `per_unit` bends a unit."""
    noise = Noise(rng)
    offset = np.float32(rng.random() * 100)
    flat = np.zeros(1, np.float32)
    total = np.zeros_like(x)
    weight, norm, scale = 1.0, 0.0, per_unit
    for i in range(octaves):
        line = flat + np.float32(rng.random() * 200 + i)
        total += noise(x * np.float32(scale) + offset, line) * np.float32(weight)
        norm += weight
        weight *= gain
        scale *= 2.03
    return total / np.float32(norm**0.5)
