"""What hangs in several kinds of sky."""

from __future__ import annotations

import numpy as np

from imagegen.providers.local.canvas import Scene, paint
from imagegen.providers.local.colour import Floats

_STARLIGHT = (0.97, 0.0, 0.005)


def stars(planes: Floats, scene: Scene, horizon: float, per_unit: int) -> None:
    """Put small stars of many brightnesses above `horizon` (units), about `per_unit` a square unit."""
    frame, rng = scene.frame, scene.rng
    for _ in range(int(per_unit * frame.w * horizon)):
        x, y = rng.uniform(0, frame.w), rng.uniform(0, 1) ** 1.3 * horizon
        radius = (0.45 + 0.85 * rng.random() ** 5) * frame.short / 900
        strength = (0.25 + 0.7 * rng.random() ** 3) * (1 - y / horizon)
        quiet = 0.25 if scene.is_calm(x, y) else 1.0
        _dot(planes, x * frame.short, y * frame.short, max(radius, 0.45), strength * quiet)


def _dot(planes: Floats, x: float, y: float, radius: float, strength: float) -> None:
    """Lighten a small round spot; all lengths in pixels."""
    reach = int(radius * 3) + 2
    rows = slice(max(int(y) - reach, 0), int(y) + reach)
    columns = slice(max(int(x) - reach, 0), int(x) + reach)
    part = planes[:, rows, columns]
    py = np.arange(part.shape[1], dtype=np.float32)[:, None] + np.float32(rows.start + 0.5 - y)
    px = np.arange(part.shape[2], dtype=np.float32)[None] + np.float32(columns.start + 0.5 - x)
    spot = np.exp((px * px + py * py) / np.float32(-2 * radius * radius)) * np.float32(strength)
    paint(part, _STARLIGHT, spot)
