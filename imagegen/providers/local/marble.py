"""Marble: poured ink, folded by warping the plane twice, with fine veins where two currents meet."""

from __future__ import annotations

import numpy as np

from imagegen.providers.local.canvas import Scene, blur, clamp, enlarge, look_up, paint, smoothstep
from imagegen.providers.local.colour import Floats, Lab, mix, ramp, with_lightness
from imagegen.providers.local.noise import Noise


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng = scene.frame, scene.rng
    flow, vein = _currents(scene)
    planes = look_up(_pigments(scene), flow)
    _light(planes, flow, frame.short)
    _veins(planes, vein, scene)
    planes[0] += np.float32(0.012) * enlarge(Noise(rng)(*_scaled(scene, 3, 30.0)), frame)
    return planes


def _scaled(scene: Scene, step: int, scale: float) -> tuple[Floats, Floats]:
    x, y = scene.frame.grid(step)
    return x * np.float32(scale), y * np.float32(scale)


def _currents(scene: Scene) -> tuple[Floats, Floats]:
    """Return the colour field, 0 … 1, and the field whose zero lines are the veins."""
    frame, rng = scene.frame, scene.rng
    x, y = scene.frame.grid(3)
    angle = rng.uniform(0, np.pi)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    scale = np.float32(rng.uniform(0.85, 1.25))
    # Stretched along one direction, as ink is when the tray is tilted.
    u, v = (cos * x + sin * y) * scale, (cos * y - sin * x) * scale * np.float32(1.7)
    noises = [Noise(rng) for _ in range(5)]
    calm = 1 - np.float32(0.8) * scene.calmness(3)
    qx, qy = noises[0].fractal(u, v, 3) * calm, noises[1].fractal(u + 7, v + 3, 3) * calm
    ux, vy = u + np.float32(0.85) * qx, v + np.float32(0.85) * qy
    rx, ry = noises[2].fractal(ux, vy, 2), noises[3].fractal(ux + 4, vy - 2, 2)
    pull = np.float32(0.75) * calm
    flow = noises[4].fractal(ux + pull * rx, vy + pull * ry, 3) * (np.float32(0.35) + np.float32(0.65) * calm)
    vein = flow - np.float32(rng.uniform(-0.25, 0.25)) + np.float32(0.12) * qx
    spread = np.float32(rng.uniform(0.42, 0.52))
    return enlarge(flow * spread + np.float32(0.5), frame), enlarge(vein, frame)


def _pigments(scene: Scene) -> Floats:
    """Return a ramp that runs through the palette more than once, with some edges crisp and some soft."""
    palette, rng = scene.palette, scene.rng
    body = list(palette.stops)
    light_first = not palette.is_dark(bool(rng.random() < 0.4))
    ground = body[::-1] if light_first else body
    order: list[Lab] = [ground[0], ground[0], *ground[1:], *ground[-2:0:-1], ground[0], ground[1], ground[2]]
    table = ramp(order, 2048)
    return _stepped(table, rng)


def _stepped(table: Floats, rng: np.random.Generator) -> Floats:
    """Return the ramp with its passages gathered: a band of colour, then a quick change to the next."""
    places = np.linspace(0, 1, table.shape[1])
    bands = int(rng.integers(9, 13))
    phase = places * bands
    whole = np.floor(phase)
    part = phase - whole
    gathered = (whole + part**4 / (part**4 + (1 - part) ** 4 * 0.6 + 1e-9)) / bands
    share = 0.72
    index = np.clip((gathered * share + places * (1 - share)) * (table.shape[1] - 1), 0, table.shape[1] - 1)
    return np.ascontiguousarray(table[:, index.astype(np.int32)])


def _light(planes: Floats, flow: Floats, short: int) -> None:
    """Give the surface a wet relief, lit from the upper left."""
    height = blur(planes[0] + flow * np.float32(0.5), short / 500)
    slope = np.zeros_like(height)
    slope[1:, 1:] = height[1:, 1:] - height[:-1, :-1]
    slope *= np.float32(short / 60)
    planes[0] += np.clip(slope, -0.05, 0.07)


def _veins(planes: Floats, vein: Floats, scene: Scene) -> None:
    """Draw metal threads along the zero line of `vein`, broad here and vanishing there."""
    short, palette = scene.frame.short, scene.palette
    metal = with_lightness(mix(palette.vivid, palette.light, 0.45), 0.84, 0.9)
    steep_y, steep_x = np.gradient(vein)
    distance = np.abs(vein) / (np.hypot(steep_x, steep_y) + np.float32(1e-5))
    x, y = scene.frame.grid(8)
    noise = Noise(scene.rng)
    swell = enlarge(noise(x * 2, y * 2), scene.frame)
    width = clamp(swell * 2 - np.float32(0.05)) * np.float32(short / 230)
    cover = smoothstep(0.8, -0.8, distance - width) * clamp(width * 2)
    paint(planes, metal, cover * np.float32(0.85))
    glint = smoothstep(0.8, -0.8, distance - width * np.float32(0.35)) * clamp(width)
    planes[0] += glint * np.float32(0.1)
