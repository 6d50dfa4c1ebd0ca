"""Terrazzo: chips of stone of all sizes in a polished ground."""

from __future__ import annotations

import numpy as np

from imagegen.providers.local.canvas import Scene, blank, clamp, enlarge, paint
from imagegen.providers.local.colour import Floats, Lab, distance, mix, with_lightness
from imagegen.providers.local.noise import Noise
from imagegen.providers.local.shapes import Window, around


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    dark = palette.is_dark(bool(rng.random() < 0.25))
    ground = palette.dark if dark else with_lightness(palette.light, max(palette.light[0], 0.92), 0.9)
    inks = [ink for ink in palette.inks(ground, rng) if distance(ink, ground) > 0.1] or [palette.vivid]
    planes = blank(frame, ground)
    _dust(planes, scene, mix(ground, inks[-1], 0.4))
    for number, (x, y, radius) in enumerate(_scattered(scene)):
        place = around(frame, x, y, radius * 1.3)
        if place is not None:
            _chip(planes, scene, place, (x, y), radius, inks[_weighted(number, len(inks))])
    _polish(planes, scene)
    return planes


def _weighted(number: int, inks: int) -> int:
    """Return which ink a chip gets: the first ones more often than the last."""
    return (0, 1, 2, 0, 3, 1, 4, 0, 2, 1)[number % 10] % inks


def _scattered(scene: Scene) -> list[tuple[float, float, float]]:
    """Return centres and radii of chips that keep a joint between them, large ones first."""
    frame, rng = scene.frame, scene.rng
    size = float(rng.uniform(0.85, 1.35))
    area = frame.w * frame.h
    chips: list[tuple[float, float, float]] = []
    centres = np.empty((0, 3))
    for low, high, tries in ((0.075, 0.12, 60), (0.04, 0.07, 180), (0.018, 0.034, 420), (0.006, 0.014, 620)):
        for _ in range(int(tries * area / size)):
            radius = float(rng.uniform(low, high)) * size
            x, y = float(rng.uniform(0, frame.w)), float(rng.uniform(0, frame.h))
            if scene.is_calm(x, y) and (radius > 0.012 or rng.random() < 0.75):
                continue
            near = np.hypot(centres[:, 0] - x, centres[:, 1] - y) < (centres[:, 2] + radius) * 0.98 + 0.004
            if not near.any():
                chips.append((x, y, radius))
                centres = np.vstack([centres, (x, y, radius)])
    return chips


def _chip(planes: Floats, scene: Scene, place: Window, centre: tuple[float, float], radius: float, ink: Lab) -> None:
    """Draw one chip: the part of the plane inside a handful of cuts, its colour a little clouded."""
    rng = scene.rng
    cuts = int(rng.integers(5, 8))
    angles = np.linspace(0, 2 * np.pi, cuts, endpoint=False) + rng.uniform(-0.34, 0.34, cuts)
    reach = radius * rng.uniform(0.58, 0.98, cuts)
    squeeze, turn = float(rng.uniform(0.62, 1.0)), float(rng.uniform(0, np.pi))
    dx, dy = place.x - np.float32(centre[0]), place.y - np.float32(centre[1])
    u = dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))
    v = (dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))) / np.float32(squeeze)
    far = np.full(u.shape, -1.0, np.float32)
    for angle, cut in zip(angles, reach, strict=True):
        side = u * np.float32(np.cos(angle)) + v * np.float32(np.sin(angle)) - np.float32(cut)
        far = np.maximum(far, side)
    shade = float(rng.uniform(-0.035, 0.035))
    tint = with_lightness(ink, min(max(ink[0] + shade, 0.05), 0.98))
    paint(place.of(planes), tint, place.cover(far))


def _dust(planes: Floats, scene: Scene, ink: Lab) -> None:
    """Sprinkle the ground with fine grains."""
    frame = scene.frame
    step = max(frame.short // 512, 1)
    rows, columns = -(-frame.height // step), -(-frame.width // step)
    grains = (scene.rng.random((rows, columns), np.float32) > 0.985).astype(np.float32)
    paint(planes, ink, clamp(enlarge(grains, frame)) * np.float32(0.5))


def _polish(planes: Floats, scene: Scene) -> None:
    """Lay a slow unevenness of light over everything, and the fine texture of stone."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid(2)
    fine = Noise(rng).fractal(x * 34, y * 34, 3)
    planes[0] += enlarge(fine, frame) * np.float32(0.011)
    wide = Noise(rng)(x[:, ::4] * np.float32(0.8), y[::4] * np.float32(0.8))
    planes[0] += enlarge(wide, frame) * np.float32(0.02)
