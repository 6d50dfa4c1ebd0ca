"""Grain: a few large forms in transparent inks on paper, each fading into sprayed grain, overprinted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imagegen.providers.local.canvas import Calm, Scene, blank, clamp, paint, smoothstep
from imagegen.providers.local.colour import Floats, Lab, distance, mix, with_lightness
from imagegen.providers.local.noise import Noise


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    dark = palette.is_dark(bool(rng.random() < 0.3))
    ground = palette.dark if dark else with_lightness(palette.light, max(palette.light[0], 0.93), 0.8)
    planes = blank(frame, ground)
    inks = [ink for ink in palette.inks(ground, rng) if distance(ink, ground) > 0.2] or [palette.vivid]
    if not dark:
        inks = [ink for ink in inks if ink[0] > 0.3] or inks
    for number, form in enumerate(_forms(scene)):
        cover = _sprayed(scene, *form)
        _print(planes, inks[number % len(inks)], cover, dark)
    _speckle(planes, scene, dark)
    return planes


def _forms(scene: Scene) -> Iterator[tuple[Floats, Floats]]:
    """Yield, for each form, its signed distance (units) and the direction in which it fades (0 … 1)."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid()
    count = int(rng.integers(4, 6)) + (1 if max(frame.w, frame.h) > 1.5 else 0)
    placed: list[tuple[float, float, float]] = []
    for number in range(count):
        radius = float(rng.uniform(0.3, 0.46) if number < 2 else rng.uniform(0.12, 0.3))
        spot = _place(scene, radius, placed)
        if spot is None:
            continue
        cx, cy = spot
        placed.append((cx, cy, radius))
        angle = rng.uniform(0, 2 * np.pi)
        along = (
            (x - np.float32(cx)) * np.float32(np.cos(angle)) + (y - np.float32(cy)) * np.float32(np.sin(angle))
        ) / (np.float32(2 * radius)) + np.float32(0.5)
        far = np.hypot(x - np.float32(cx), y - np.float32(cy))
        shape = number % 4
        if shape == 2:
            ring = np.abs(far - np.float32(radius * 0.72)) - np.float32(radius * 0.28)
            yield ring, along
        elif shape == 3:
            wobble = Noise(rng)(x * np.float32(2.2), y * np.float32(2.2)) * np.float32(radius * 0.45)
            yield far + wobble - np.float32(radius), along
        else:
            yield far - np.float32(radius), along


def _place(scene: Scene, radius: float, placed: list[tuple[float, float, float]]) -> tuple[float, float] | None:
    """Return a centre: of the tries outside the calm area, the one that leaves the best spacing."""
    frame, rng = scene.frame, scene.rng
    best: tuple[float, float, float] | None = None
    for _ in range(40):
        # Round a calm centre the forms hang over the picture's edges.
        beyond = 0.12 if scene.calm is Calm.CENTRE else -0.05
        x = float(rng.uniform(-beyond, 1 + beyond) * frame.w)
        y = float(rng.uniform(-beyond, 1 + beyond) * frame.h)
        reach = radius * (0.55 if scene.calm is Calm.CENTRE else 0.8)
        if any(scene.is_calm(x + dx, y + dy) for dx in (-reach, 0, reach) for dy in (-reach, 0, reach)):
            continue
        gap = min((np.hypot(x - px, y - py) / (radius + pr) for px, py, pr in placed), default=1.0)
        score = -abs(gap - 0.8)
        if best is None or score > best[2]:
            best = (x, y, score)
    return None if best is None else best[:2]


def _sprayed(scene: Scene, far: Floats, along: Floats) -> Floats:
    """Return the ink's cover: solid on one side, dissolving into single grains on the other."""
    frame, rng = scene.frame, scene.rng
    edge = clamp(np.float32(0.5) - far * np.float32(frame.short))
    tone = smoothstep(1.02, -0.05, along) * np.float32(1.12)
    size = max(frame.short / 1000, 0.5)
    rows, columns = max(int(frame.height / size), 1), max(int(frame.width / size), 1)
    grains = rng.random((rows, columns), np.float32)
    if (rows, columns) != frame.shape:
        pick_y = (np.arange(frame.height) * rows // frame.height).astype(np.int32)
        pick_x = (np.arange(frame.width) * columns // frame.width).astype(np.int32)
        grains = grains[pick_y][:, pick_x]
    sprayed = clamp((tone - grains) * np.float32(4.5) + np.float32(0.5))
    return np.asarray(edge * (sprayed * np.float32(0.8) + clamp(tone) * np.float32(0.2)), np.float32)


def _print(planes: Floats, ink: Lab, cover: Floats, dark: bool) -> None:
    """Lay one transparent ink over what is there: it darkens a light ground and glows on a dark one."""
    if dark:
        paint(planes, ink, cover * np.float32(0.92))
        return
    lightness, *tints = planes
    depth = clamp(np.float32(0.95) - lightness) * np.float32(0.18)
    strength = cover * np.float32(0.94)
    lightness += (np.minimum(lightness, np.float32(ink[0])) - depth - lightness) * strength
    for tint, value in zip(tints, ink[1:], strict=True):
        # A third of what lies under the ink shines through it.
        tint += (np.float32(value) - tint * np.float32(0.7)) * strength


def _speckle(planes: Floats, scene: Scene, dark: bool) -> None:
    """Sprinkle the whole sheet with single faint grains, as a drum leaves them."""
    rng, palette = scene.rng, scene.palette
    ink = mix(palette.vivid, palette.light if dark else palette.dark, 0.4)
    grains = rng.random(scene.frame.shape, np.float32)
    paint(planes, ink, clamp(grains - np.float32(0.965)) * np.float32(7.0))
