"""Waves: ridge behind ridge in haze, under a sky with one light in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imagegen.providers.local.canvas import Calm, Scene, clamp, enlarge, look_up, paint, quieten, smoothstep
from imagegen.providers.local.colour import Floats, Lab, mix, ramp, with_lightness
from imagegen.providers.local.noise import Noise, curve
from imagegen.providers.local.sky import stars

_SKYLINES = {
    "rolling": frozenset({"hill", "wave", "rolling", "soft", "calm", "ocean", "sea", "meadow"}),
    "rugged": frozenset({"ridge", "forest", "canyon"}),
    "alpine": frozenset({"mountain", "peak", "alps", "alpine", "rock", "winter", "snow"}),
}


@dataclass(frozen=True, slots=True)
class _Light:
    """The sun or moon: place and radius in units."""

    x: float
    y: float
    radius: float


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    night = palette.is_dark(bool(rng.random() < 0.35))
    horizon = frame.h * _horizon(scene)
    light = _place_light(scene, horizon)
    glow = _glow_colour(scene, night)
    planes = _sky(scene, horizon, light, glow, night)
    if night:
        stars(planes, scene, horizon, 190)
    _ridges(planes, scene, horizon, light, glow, night)
    if scene.calm is not Calm.TOP:
        quieten(planes, scene, 0.92, 0.1)
    return planes


def _horizon(scene: Scene) -> float:
    """Return where the farthest ridge stands, as a share of the height."""
    drawn = float(scene.rng.uniform(0.34, 0.46))
    return {Calm.TOP: 0.55, Calm.BOTTOM: 0.2, Calm.CENTRE: 0.6}.get(scene.calm or Calm.LEFT, drawn)


def _place_light(scene: Scene, horizon: float) -> _Light:
    frame, rng = scene.frame, scene.rng
    side = float(rng.choice([rng.uniform(0.2, 0.38), rng.uniform(0.62, 0.8)]))
    if scene.calm is Calm.LEFT:
        side = 0.76
    elif scene.calm is Calm.RIGHT:
        side = 0.24
    radius = float(rng.uniform(0.055, 0.12))
    height = horizon - radius * float(rng.uniform(0.1, 1.3))
    return _Light(frame.w * side, max(height, radius * 1.6), radius)


def _glow_colour(scene: Scene, night: bool) -> Lab:
    """Return the colour of the light: the palette's warmest pale colour by day, its lightest by night."""
    palette = scene.palette
    if night:
        return palette.light
    warm = max(palette.stops[len(palette.stops) // 2 :], key=lambda c: c[1] + 1.5 * c[2] + c[0])
    return mix(warm, palette.light, 0.35)


def _sky(scene: Scene, horizon: float, light: _Light, glow: Lab, night: bool) -> Floats:
    """Return the sky: a ramp down to the horizon, a wide glow about the light, and its disc."""
    frame, palette = scene.frame, scene.palette
    x, y = frame.grid()
    top, low = (palette.at(0.06), palette.at(0.5)) if night else (palette.at(0.66), palette.at(0.97))
    if not night and scene.rng.random() < 0.45:
        top, low = palette.at(0.4), palette.at(0.9)
    table = ramp([top, mix(top, low, 0.45), low, mix(low, glow, 0.6)], 1024)
    planes = np.empty((3, *frame.shape), np.float32)
    planes[:] = look_up(table, y / np.float32(horizon * 1.12))
    _clouds(planes, scene, horizon, glow)
    sx, sy = frame.grid(4)
    far = np.sqrt((sx - np.float32(light.x)) ** 2 + ((sy - np.float32(light.y)) * np.float32(1.25)) ** 2)
    halo = np.exp(-far / np.float32(0.16)) * np.float32(0.6) + np.exp(-far / np.float32(0.5)) * np.float32(0.38)
    paint(planes, glow, enlarge(halo * np.float32(0.7 if night else 1.0), frame))
    distance = np.hypot(x - np.float32(light.x), y - np.float32(light.y)) - np.float32(light.radius)
    disc = with_lightness(glow, 0.97, 0.6)
    paint(planes, disc, clamp(0.5 - distance * np.float32(frame.short)))
    return planes


def _clouds(planes: Floats, scene: Scene, horizon: float, glow: Lab) -> None:
    """Draw long thin veils over the sky."""
    x, y = scene.frame.grid(4)
    noise = Noise(scene.rng)
    veil = noise.fractal(x * np.float32(1.1), y * np.float32(5.5) + 3, 4)
    height = smoothstep(0.0, 0.5, y / np.float32(horizon)) * smoothstep(1.15, 0.6, y / np.float32(horizon))
    calm = 1 - np.float32(0.85) * scene.calmness(4)
    cover = smoothstep(0.02, 0.8, veil) * height * calm * np.float32(0.5)
    paint(planes, glow, enlarge(cover, scene.frame))


def _ridges(planes: Floats, scene: Scene, horizon: float, light: _Light, glow: Lab, night: bool) -> None:
    """Draw the ridges from far to near; each stands in the haze that lies before the one behind it."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    count = int(rng.integers(6, 9))
    jagged = {"rolling": 0.0, "rugged": 0.5, "alpine": 1.0}[scene.variant(_SKYLINES)]
    x, _ = frame.grid()
    near = palette.at(0.03) if night else palette.at(0.06)
    far = mix(palette.at(0.42 if night else 0.72), glow, 0.35)
    body = ramp([far, palette.at(0.5), palette.at(0.3), near], 256)
    span = frame.h * (0.66 if scene.calm is Calm.BOTTOM else 1.0) - horizon
    for i in range(count):
        depth = i / (count - 1)
        base = horizon + span * (depth**1.25) * 0.86
        rise = (0.05 + 0.11 * depth**0.8) * min(span / 0.6, 1.25)
        line = base - rise * _profile(rng, x[0], 1.1 + 1.6 * (1 - depth), jagged * (1 - 0.4 * depth))
        colour = body[:, int(depth * 255)]
        haze = mix((float(colour[0]), float(colour[1]), float(colour[2])), glow, 0.75 - 0.45 * depth)
        drop = span * (0.42 - 0.12 * depth)
        _ridge(planes, scene, line, (colour, haze), drop, light, depth)


def _profile(rng: np.random.Generator, x: Floats, bends: float, jagged: float) -> Floats:
    """Return a skyline, about -1 … 1: rolling, or with sharp tops as `jagged` grows to 1."""
    smooth = curve(rng, x, bends, 2, 0.4)
    if not jagged:
        return smooth
    bent = x + curve(rng, x, 2.0, 2) * np.float32(0.06)
    broad = 1 - np.abs(curve(rng, bent, bends * 0.8, 1)) * np.float32(2.6)
    teeth = 0.5 - np.abs(curve(rng, bent, bends * 3.1, 4, 0.48)) * np.float32(1.4)
    return smooth * np.float32(1 - jagged * 0.7) + (broad + teeth * np.float32(0.34)) * np.float32(jagged * 0.85)


def _ridge(
    planes: Floats,
    scene: Scene,
    line: Floats,
    colours: tuple[Floats, Lab],
    drop: float,
    light: _Light,
    depth: float,
) -> None:
    """Draw one ridge below `line` (units, one value a column): body at its top, haze at its foot."""
    frame = scene.frame
    x, y = frame.grid()
    first = min(max(int(line.min() * frame.short) - 2, 0), frame.height)
    window, y = planes[:, first:], y[first:]
    if not window.shape[1]:
        return
    below = y - line[None, :]
    slope = np.gradient(line) * np.float32(frame.short)
    cover = clamp(below * np.float32(frame.short) / np.sqrt(1 + slope * slope)[None] + np.float32(0.5))
    towards = np.exp(-np.abs(x - np.float32(light.x)) / np.float32(0.35))
    reach = frame.short // 8
    # Haze follows the mountain's mass, not each tooth of its skyline: that would draw streaks.
    mass = np.convolve(np.pad(line, reach, mode="edge"), np.ones(2 * reach + 1) / (2 * reach + 1), "valid")
    sink = clamp((y - mass.astype(np.float32)[None]) / np.float32(drop))
    haze = sink * sink * (3 - 2 * sink) * np.float32(0.85) + towards * np.float32(0.22 * (1 - depth))
    body, mist = colours
    rim = np.exp(-np.clip(below, 0, None) * np.float32(90)) * towards * np.float32(0.16)
    for i in range(3):
        value = np.float32(body[i]) + np.float32(mist[i] - body[i]) * haze
        if i == 0:
            value += rim
        window[i] += (value - window[i]) * cover
