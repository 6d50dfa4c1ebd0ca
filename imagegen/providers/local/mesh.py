"""Mesh: a few pools of colour that flow into each other over a warped plane."""

from __future__ import annotations

import numpy as np

from imagegen.providers.local.canvas import Scene, enlarge, quieten
from imagegen.providers.local.colour import Floats, Lab
from imagegen.providers.local.noise import Noise

_STEP = 4


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    x, y = _warped(scene)
    weights, colours = _pools(scene, x, y)
    total = sum(weights[1:], weights[0].copy())
    planes = np.empty((3, *scene.frame.shape), np.float32)
    folds = _folds(scene, x, y)
    for i in range(3):
        mixed = sum((w * np.float32(c[i]) for w, c in zip(weights, colours, strict=True)), np.float32(0)) / total
        if i == 0:
            mixed = mixed + folds
        # Mixing greys colours a little; this brings them back.
        planes[i] = enlarge(mixed if i == 0 else mixed * np.float32(1.14), scene.frame)
    quieten(planes, scene, 0.9, 0.16)
    return planes


def _warped(scene: Scene) -> tuple[Floats, Floats]:
    """Return the plane's coordinates after a slow swirl."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid(_STEP)
    first, second = Noise(rng), Noise(rng)
    scale, strength = np.float32(rng.uniform(0.7, 1.1)), np.float32(rng.uniform(0.36, 0.52))
    calm = 1 - np.float32(0.6) * scene.calmness(_STEP)
    dx = first(x * scale, y * scale) * strength * calm
    dy = second(x * scale + 9, y * scale) * strength * calm
    again = np.float32(1.7)
    ex = second((x + dx) * scale * again, (y + dy) * scale * again + 5) * strength * np.float32(0.5) * calm
    ey = first((x + dx) * scale * again + 3, (y + dy) * scale * again) * strength * np.float32(0.5) * calm
    return x + dx + ex, y + dy + ey


def _pools(scene: Scene, x: Floats, y: Floats) -> tuple[list[Floats], list[Lab]]:
    """Return each pool's weight over the plane, and its colour."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    body = [*palette.asked, *palette.middle]
    if palette.is_dark(bool(rng.random() < 0.35)):
        colours = [*body, palette.dark, *body[::-1], palette.vivid]
    else:
        body = [one for one in body if one[0] > 0.36] or body
        colours = [*body, palette.light, *body[::-1], palette.light, palette.vivid]
    spots = _scattered(rng, len(colours), frame.w, frame.h)
    weights = []
    for px, py in spots:
        far = (x - np.float32(px)) ** 2 + (y - np.float32(py)) ** 2
        size = rng.uniform(0.75, 1.25)
        weights.append(np.float32(size) / (far + np.float32(0.015)) ** np.float32(1.5))
    return weights, colours


def _scattered(rng: np.random.Generator, count: int, w: float, h: float) -> list[tuple[float, float]]:
    """Return points that keep apart: of twelve tries, the one farthest from those there are."""
    spots: list[tuple[float, float]] = []
    for _ in range(count):
        tries = [(rng.uniform(-0.1, 1.1) * w, rng.uniform(-0.1, 1.1) * h) for _ in range(12)]
        spots.append(
            max(
                tries,
                key=lambda p: min(((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 for q in spots), default=1.0),
            )
        )
    return spots


def _folds(scene: Scene, x: Floats, y: Floats) -> Floats:
    """Return a little light and shade along the flow, as on a lit film."""
    rng = scene.rng
    noise = Noise(rng)
    scale = np.float32(rng.uniform(1.2, 1.8))
    phase = noise(x * scale, y * scale) * np.float32(3.2) + x + y
    crest = np.sin(phase * np.float32(2.4))
    calm = 1 - np.float32(0.75) * scene.calmness(_STEP)
    light = np.float32(0.06) * crest * np.abs(crest)
    return np.asarray(light * calm, np.float32)
