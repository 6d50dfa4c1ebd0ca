"""Contours: the lines of equal height of an unknown country, in tinted steps."""

from __future__ import annotations

import numpy as np

from imagegen.providers.local.canvas import Scene, blur, clamp, enlarge, look_up, paint, shifted
from imagegen.providers.local.colour import Floats, Lab, mix, ramp, with_lightness
from imagegen.providers.local.noise import Noise


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    rng, palette = scene.rng, scene.palette
    dark = palette.is_dark(bool(rng.random() < 0.5))
    height = _country(scene)
    levels = int(rng.integers(26, 40))
    steps = height * np.float32(levels)
    tint = _tints(palette.stops, dark)
    planes = look_up(tint, (np.floor(steps) + np.float32(0.5)) / np.float32(levels))
    _terraces(planes, steps, scene.frame.short)
    steep_y, steep_x = np.gradient(steps)
    steep = np.hypot(steep_x, steep_y) + np.float32(1e-5)
    line = with_lightness(palette.light, 0.95) if dark else with_lightness(palette.dark, 0.3)
    for every, breadth, strength in ((1, 0.6, 0.5), (5, 1.35, 0.9)):
        phase = steps / np.float32(every)
        away = np.abs(phase - np.round(phase)) * np.float32(every) / steep
        width = np.float32(breadth * scene.frame.short / 1000)
        cover = clamp(width - away + np.float32(0.5)) * np.float32(strength)
        paint(planes, _warmer(line, palette.vivid, every), cover)
    return planes


def _warmer(line: Lab, vivid: Lab, every: int) -> Lab:
    """Return the colour of the counted lines: a little of the palette's strongest colour in it."""
    return mix(line, vivid, 0.3) if every > 1 else line


def _country(scene: Scene) -> Floats:
    """Return heights about 0 … 1: broad hills with ridges, flat where it is to be calm."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid(3)
    broad, warp, fine = Noise(rng), Noise(rng), Noise(rng)
    scale = np.float32(rng.uniform(0.85, 1.25))
    bend = warp(x * scale, y * scale) * np.float32(0.35)
    hills = broad.fractal(x * scale + bend, y * scale - bend, 2)
    detail = fine.fractal(x * scale * 3, y * scale * 3, 2) * np.float32(0.1)
    calm = scene.calmness(3)
    height = (
        np.float32(0.5) + (hills * np.float32(0.5) + detail) * (1 - np.float32(0.9) * calm) - calm * np.float32(0.2)
    )
    return enlarge(np.asarray(height, np.float32), frame)


def _tints(stops: tuple[Lab, ...], dark: bool) -> Floats:
    """Return the colours from valley to peak; the ground stays near one end so that the lines read."""
    if dark:
        return ramp([stops[0], stops[0], *stops[1:]], 1024)
    return ramp([stops[1], *stops[2:], stops[-1]], 1024)


def _terraces(planes: Floats, steps: Floats, short: int) -> None:
    """Let each step throw a soft shadow on the one below it."""
    whole = np.floor(steps)
    soft = blur(whole, short / 160)
    planes[0] -= clamp(soft - whole) * np.float32(0.13)
    # Light from the upper left, as map makers draw hills.
    reach = max(short // 90, 1)
    slope = blur(steps - shifted(steps, reach, reach), short / 120)
    planes[0] += np.clip(slope * np.float32(0.035), -0.07, 0.06)
