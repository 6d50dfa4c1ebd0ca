"""Silk: satin in folds, lit from the side."""

from __future__ import annotations

import numpy as np

from imagegen.providers.local.canvas import Scene, blur, clamp, enlarge, look_up, smoothstep
from imagegen.providers.local.colour import Floats, Lab, chroma, mix, ramp, turned, with_lightness
from imagegen.providers.local.noise import Noise
from imagegen.providers.local.palette import Palette

_STEP = 2


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    height = _cloth(scene)
    slope_y, slope_x = (np.asarray(slope) for slope in np.gradient(height, np.float32(_STEP / frame.short)))
    if scene.calm is not None:
        # The slopes are evened out and not the heights: those would leave a dark step where the calm begins.
        quiet = scene.calmness(_STEP) * np.float32(0.9)
        reach = 0.12 * frame.short / _STEP
        slope_x += (blur(slope_x, reach) * np.float32(0.5) - slope_x) * quiet
        slope_y += (blur(slope_y, reach) * np.float32(0.5) - slope_y) * quiet
    angle = rng.uniform(-0.9, -0.3)
    lit = slope_x * np.float32(np.cos(angle)) + slope_y * np.float32(np.sin(angle))
    normal = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    diffuse = (lit * np.float32(0.75) + np.float32(0.62)) * normal
    sheen = clamp((lit * np.float32(0.55) + np.float32(0.83)) * normal) ** 14
    table = ramp(_dye(palette), 2048)
    tone = enlarge(diffuse, frame) * np.float32(0.85) + np.float32(0.05)
    planes = look_up(table, tone)
    glow = smoothstep(0.0, 1.0, enlarge(sheen, frame)) * np.float32(0.8)
    for plane, value in zip(planes, palette.light, strict=True):
        plane += (np.float32(value) - plane) * glow
    return planes


def _dye(palette: Palette) -> list[Lab]:
    """Return the cloth's colours from its folds to its ridges: one hue, or shot silk where two were asked for."""
    if len(palette.asked) > 1:
        return [palette.dark, *palette.middle]
    body = max(palette.middle or palette.stops, key=lambda c: chroma(c) + (0.05 if 0.4 < c[0] < 0.75 else 0.0))
    body = palette.asked[0] if palette.asked else body
    deep = mix(palette.dark, with_lightness(body, body[0] * 0.5), 0.6)
    return [
        with_lightness(deep, deep[0] * 0.75),
        deep,
        body,
        turned(with_lightness(body, body[0] * 0.8 + 0.19, 0.9), 12),
    ]


def _cloth(scene: Scene) -> Floats:
    """Return the height of the cloth over the plane, in units."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid(_STEP)
    angle = rng.uniform(0.5, 1.1) * rng.choice([-1, 1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u, v = cos * x + sin * y, cos * y - sin * x
    bend, fine, third = Noise(rng), Noise(rng), Noise(rng)
    warp = bend.fractal(u * np.float32(0.7), v * np.float32(0.7), 2) * np.float32(0.55)
    across = v + warp
    along = u + fine(u * np.float32(0.6), v * np.float32(0.9)) * np.float32(0.3)
    broad = np.sin(across * np.float32(5.2) + third(along, across) * np.float32(1.6)) * np.float32(0.11)
    narrow = third.fractal(along * np.float32(0.8), across * np.float32(3.4), 3) * np.float32(0.09)
    crease = np.abs(fine(along * np.float32(0.9) + 3, across * np.float32(2.2))) * np.float32(-0.16)
    return np.asarray(broad + narrow + crease + np.float32(0.1) * across, np.float32)
