"""Aurora: curtains of light over a ridge with firs, and their reflection where there is a lake."""

from __future__ import annotations

import numpy as np

from imagegen.providers.local.canvas import Calm, Scene, clamp, enlarge, look_up, paint, smoothstep
from imagegen.providers.local.colour import (
    Floats,
    Lab,
    chroma,
    from_lch,
    hue,
    mix,
    ramp,
    turned,
    with_lightness,
)
from imagegen.providers.local.noise import Noise, curve
from imagegen.providers.local.palette import Palette
from imagegen.providers.local.sky import stars


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    lake = bool(rng.random() < 0.55)
    shore = frame.h * (0.76 if lake else 1.0)
    if scene.calm is Calm.BOTTOM:
        lake, shore = True, frame.h * 0.5
    night = with_lightness(palette.dark, min(palette.dark[0], 0.17))
    low = with_lightness(palette.at(0.25), 0.34, 0.9)
    _, y = frame.grid()
    table = ramp([night, mix(night, low, 0.35), low], 1024)
    planes = np.empty((3, *frame.shape), np.float32)
    planes[:] = look_up(table, y / np.float32(shore))
    stars(planes, scene, shore * 0.9, 240)
    _curtains(planes, scene, shore)
    _land(planes, scene, shore, night, lake)
    if lake:
        _mirror(planes, scene, shore, night)
    return planes


def _curtains(planes: Floats, scene: Scene, shore: float) -> None:
    """Add the curtains, the far ones first."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    bright = _lights(palette)
    x, y = frame.grid(2)
    count = int(rng.integers(2, 4))
    ceiling = 0.6 if scene.calm is Calm.TOP else 0.36
    calm = 1 - np.float32(0.85) * scene.calmness(2)
    for i in range(count):
        foot = shore * (ceiling + (0.8 - ceiling) * (i + rng.uniform(0.3, 0.7)) / count)
        bend = Noise(rng)(x * np.float32(0.9) + 3, y * np.float32(0.9)) * np.float32(0.3)
        sway = Noise(rng)((x + bend) * np.float32(1.25), y * np.float32(0.35)) * np.float32(0.26 * min(shore, 1.2))
        fold = x + bend + sway * np.float32(1.2)
        rays = Noise(rng).fractal(fold * np.float32(11), y * np.float32(0.22), 3, 0.62)
        line = np.float32(foot) + sway + rays * np.float32(0.018)
        tall = np.float32(rng.uniform(0.3, 0.5) * min(shore, 1.25)) * (1 + rays * np.float32(0.45))
        rise = (line - y) / tall
        breath = Noise(rng)(fold * np.float32(1.1), y * 0 + np.float32(i))
        hem = smoothstep(-0.02, 0.045, rise)
        strength = np.exp(-np.clip(rise, 0, None) * np.float32(2.5)) * hem
        strength += np.exp(-np.abs(rise - np.float32(0.04)) * np.float32(26)) * hem * np.float32(0.3)
        strength *= np.clip(np.float32(0.8) + rays * np.float32(0.75), 0.05, 1.4)
        strength *= np.clip(np.float32(0.8) + breath * np.float32(0.8), 0.12, 1.1) * calm
        haze = np.exp(-np.abs(line - y) / np.float32(0.2)) * np.float32(0.2) * calm
        low, high = bright[i % len(bright)], bright[(i + 1) % len(bright)]
        shade = enlarge(clamp(rise * np.float32(1.1)), frame)
        light = enlarge(np.asarray(strength + haze, np.float32), frame)
        _glow(planes, low, high, shade, np.clip(light, 0, np.float32(0.97)))


def _lights(palette: Palette) -> list[Lab]:
    """Return the colours of the light: luminous, and never grey unless grey was asked for."""
    strong = sorted(palette.asked or palette.middle or palette.stops, key=chroma, reverse=True)[:3]
    lights = []
    for one in strong:
        vivid = max(chroma(one) * 1.15, 0.13) if chroma(one) > 0.02 else 0.0
        lights.append(from_lch(min(max(one[0], 0.76), 0.88), vivid, hue(one)))
    return lights if len(lights) > 1 else [*lights, turned(lights[0], 50)]


def _glow(planes: Floats, low: Lab, high: Lab, shade: Floats, light: Floats) -> None:
    """Add light whose colour goes from `low` to `high`: it brightens and tints, and never darkens."""
    for i, plane in enumerate(planes):
        target = np.float32(low[i]) + np.float32(high[i] - low[i]) * shade
        if i == 0:
            target = np.maximum(target, plane)
        plane += (target - plane) * light


def _land(planes: Floats, scene: Scene, shore: float, night: Lab, lake: bool) -> None:
    """Draw hills and a row of firs before the light."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid()
    black = with_lightness(night, night[0] * 0.5)
    foot = shore if lake else frame.h
    height = 0.1 if lake else 0.16
    back = np.float32(foot - height * 1.25) - curve(rng, x[0], 1.5, 4, 0.45) * np.float32(height * 0.75)
    paint(planes, mix(night, black, 0.35), _below(y, back, frame.short))
    front = np.float32(foot - height * 0.35) - curve(rng, x[0], 1.0, 2, 0.4) * np.float32(height * 0.35)
    firs = _firs(rng, x[0], front, height)
    paint(planes, black, _below(y, firs, frame.short))


def _below(y: Floats, line: Floats, short: int) -> Floats:
    slope = np.gradient(line) * np.float32(short)
    return clamp((y - line[None]) * np.float32(short) / np.sqrt(1 + slope * slope)[None] + np.float32(0.5))


def _firs(rng: np.random.Generator, x: Floats, ground: Floats, height: float) -> Floats:
    """Return the skyline of firs that stand on `ground`: narrow cones with stepped boughs."""
    line = ground.copy()
    for _ in range(int(110 * float(x[-1]))):
        at, tall = float(rng.uniform(x[0], x[-1])), float(rng.uniform(0.3, 1.0) ** 2) * height * 0.85
        half = tall * float(rng.uniform(0.17, 0.25))
        first, last = np.searchsorted(x, [at - half, at + half])
        if last - first < 2:
            continue
        away = np.abs(x[first:last] - np.float32(at)) / np.float32(half)
        boughs = np.float32(0.2) * (away * 4 - np.floor(away * 4) - np.float32(0.6))
        root = float(ground[min(int((first + last) / 2), x.size - 1)])
        top = np.float32(root) - np.float32(tall) * clamp(1 - away + boughs * (away > 0.1))
        line[first:last] = np.minimum(line[first:last], top)
    return line


def _mirror(planes: Floats, scene: Scene, shore: float, night: Lab) -> None:
    """Turn what lies below the shore into still water with a little ripple."""
    frame, rng = scene.frame, scene.rng
    first = int(shore * frame.short)
    rows = frame.height - first
    if rows < 2 or first < 2:
        return
    _, y = frame.grid()
    depth = np.arange(rows, dtype=np.float32)
    ripple = curve(rng, y[first:, 0], 46.0, 2) * (2 + depth / np.float32(18))
    source = np.clip(first - 1 - depth * np.float32(1.15) + ripple * np.float32(0.6), 0, first - 1).astype(np.int32)
    water = planes[:, source].copy()
    paint(water, night, np.float32(0.24) + depth[:, None] / np.float32(rows) * np.float32(0.3))
    glint = np.exp(-depth / np.float32(frame.short * 0.006))[:, None] * np.float32(0.1)
    water[0] += glint
    planes[:, first:] = water
