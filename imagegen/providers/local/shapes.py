"""Flat shapes with smooth edges: how much of each pixel a shape covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imagegen.providers.local.canvas import Frame, clamp
from imagegen.providers.local.colour import Floats


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a picture that a shape can touch, with its pixels' coordinates in units."""

    rows: slice
    columns: slice
    x: Floats
    y: Floats
    short: int

    def cover(self, distance: Floats) -> Floats:
        """Return the cover of a shape from its signed distance (units, negative inside)."""
        return clamp(np.float32(0.5) - distance * np.float32(self.short))

    def of(self, planes: Floats) -> Floats:
        """Return the window's part of `planes`, to be painted in place."""
        return planes[:, self.rows, self.columns]


def window(frame: Frame, left: float, top: float, right: float, bottom: float) -> Window | None:
    """Return the window from (left, top) to (right, bottom) in units, or None if it lies outside the picture."""
    short = frame.short
    x0, x1 = max(int(left * short) - 1, 0), min(int(right * short) + 2, frame.width)
    y0, y1 = max(int(top * short) - 1, 0), min(int(bottom * short) + 2, frame.height)
    if x0 >= x1 or y0 >= y1:
        return None
    x, y = frame.grid()
    return Window(slice(y0, y1), slice(x0, x1), x[:, x0:x1], y[y0:y1], short)


def around(frame: Frame, x: float, y: float, reach: float) -> Window | None:
    """Return the square window of half-width `reach` about a point, or None if it is outside."""
    return window(frame, x - reach, y - reach, x + reach, y + reach)


def circle(x: Floats, y: Floats, cx: float, cy: float, radius: float) -> Floats:
    """Return the signed distance to a disc."""
    return np.asarray(np.hypot(x - np.float32(cx), y - np.float32(cy)) - np.float32(radius), np.float32)


def arch(x: Floats, y: Floats, cx: float, cy: float, radius: float) -> Floats:
    """Return the signed distance to an arch: a half disc about (cx, cy) on legs that go down for ever."""
    dx = x - np.float32(cx)
    dy = np.minimum(y - np.float32(cy), 0)
    return np.asarray(np.hypot(dx, dy) - np.float32(radius), np.float32)


def leaf(x: Floats, y: Floats, cx: float, cy: float, angle: float, length: float, width: float) -> Floats:
    """Return the signed distance to a leaf (two arcs between two tips) that starts at (cx, cy)."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = x - np.float32(cx), y - np.float32(cy)
    half = length / 2
    along = dx * cos + dy * sin - np.float32(half)
    across = np.abs(dy * cos - dx * sin)
    # Both arcs belong to circles of this radius whose centres lie beyond the other side.
    radius = (half * half + width * width / 4) / width
    away = np.float32(radius - width / 2)
    body = np.hypot(along, across + away) - np.float32(radius)
    return np.maximum(body, np.abs(along) - np.float32(half))
