"""Dunes: a field of heights seen in perspective, lit by a low sun from one side, with wind ripples.

The visible surface is found column by column: slices of the ground, near to far, are projected; a pixel shows
the first slice that reaches up to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imagegen.providers.local.canvas import Calm, Scene, clamp, enlarge, look_up, paint, quieten, smoothstep
from imagegen.providers.local.colour import Floats, Lab, mix, ramp, with_lightness
from imagegen.providers.local.noise import Noise

_SLICES = 640
_FAR = 22.0
_LENS = 0.9
_EYE = 0.78
"""The eye's height over the sand, in units."""
_MARGIN = 0.45
"""How far the ground goes on beyond the frame, on the sun's side, so that shadows come in from there."""
_CREST = 0.68
"""Where between two valleys the crest is: the wind's side is long, the lee short and steep."""
_OVERSAMPLE = 2
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class _Ground:
    """The ground over (slice, column): its place on the screen, and what light does on it."""

    depth: Floats
    top: Floats
    light: Floats
    ripple: Floats


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    night = palette.is_dark(False)
    horizon = frame.h * {Calm.TOP: 0.5, Calm.CENTRE: 0.7, Calm.BOTTOM: 0.2}.get(
        scene.calm or Calm.LEFT, float(rng.uniform(0.26, 0.4))
    )
    from_left = bool(rng.random() < 0.5)
    if scene.calm in (Calm.LEFT, Calm.RIGHT):
        from_left = scene.calm is Calm.RIGHT
    ground = _ground(scene, horizon, from_left)
    planes, sky_low = _sky(scene, horizon, from_left, night)
    _sand(planes, scene, ground, sky_low, night)
    if scene.calm not in (Calm.TOP, Calm.CENTRE):
        quieten(planes, scene, 0.95, 0.045)
    return planes


def _ground(scene: Scene, horizon: float, from_left: bool) -> _Ground:
    """Return the ground, computed on every second column."""
    frame, rng = scene.frame, scene.rng
    columns = frame.width // 2 + 2
    extra = int(columns * _MARGIN)
    x = np.linspace(-frame.w / 2, frame.w / 2, columns, dtype=np.float32)
    pitch = x[1] - x[0]
    before = x[0] - pitch * np.arange(extra, 0, -1, dtype=np.float32)
    x = np.concatenate([before, x]) if from_left else np.concatenate([x, -before[::-1]])
    # The nearest slice lies just below the picture's lower edge.
    near = _LENS * (_EYE - 0.14) / (frame.h - horizon + 0.01)
    z = np.geomspace(near, _FAR, _SLICES).astype(np.float32)[:, None]
    world = x[None, :] * z
    height, phase = _heights(rng, world, z, frame.w, from_left)
    # Under one's feet the ground is flat: a dune there would fill the picture.
    height *= np.float32(0.12) + np.float32(0.88) * smoothstep(near, near * 2.8, z)
    top = np.float32(horizon) + (np.float32(_EYE) - height) / z * np.float32(_LENS)
    light = _lit(world, z, x, height, from_left, float(rng.uniform(0.2, 0.34)))
    keep = slice(extra, None) if from_left else slice(0, columns)
    top = top[:, keep]
    seen = _nearest_seen(top)
    light, phase = (np.take_along_axis(grid[:, keep], seen, axis=0) for grid in (light, phase))
    return _Ground(z[:, 0], top, light, phase)


def _nearest_seen(top: Floats) -> NDArray[np.intp]:
    """Return, for each slice and column, the nearest slice that is not hidden by one before it.

    A hidden slope lends its looks to nobody: mixed into the edge of a crest it would show as a dashed line.
    """
    number = np.broadcast_to(np.arange(_SLICES)[:, None], top.shape)
    hidden = top > np.minimum.accumulate(top, axis=0)
    # So does the last slice before a hidden one: its slope is half the lee's.
    hidden[:-1] |= hidden[1:]
    before = np.maximum.accumulate(np.where(hidden, 0, number), axis=0)
    after = np.minimum.accumulate(np.where(hidden, _SLICES - 1, number)[::-1], axis=0)[::-1]
    return np.where(number - before <= after - number, before, after)


def _heights(rng: np.random.Generator, x: Floats, z: Floats, w: float, from_left: bool) -> tuple[Floats, Floats]:
    """Return the height of the sand (units) and the phase of its ripples at each (x, z); `w` as in Frame."""
    bend, swell, small = Noise(rng), Noise(rng), Noise(rng)
    sign = 1.0 if from_left else -1.0
    inland = float(rng.uniform(0.2, 0.36))

    def across(px: Floats, pz: Floats) -> Floats:
        """Return how many crests lie before a point, along a line across them."""
        warp = bend.fractal(px * np.float32(0.32), pz * np.float32(0.42), 2)
        far = px * np.float32(0.34 * sign) + pz * np.float32(inland) + warp * np.float32(0.62)
        return np.asarray(far, np.float32)

    # One crest passes where the eye falls first: not far, a little beyond the middle.
    at_z = np.full((1, 1), rng.uniform(2.1, 2.9), np.float32)
    at_x = at_z * np.float32(sign * w * rng.uniform(-0.05, 0.28))
    crest = across(x, z) - across(at_x, at_z) + np.float32(_CREST)
    part = crest - np.floor(crest)
    # A crest sharper than the distance between slices would show as a saw: it is rounded as it goes far.
    profile = _rounded_minimum(
        clamp(part / _CREST) ** 1.5,
        clamp((1 - part) / (1 - _CREST)) ** 1.25,
        np.clip(z * np.float32(0.05), 0.05, 0.5),
    )
    size = np.float32(0.42) + np.float32(0.22) * swell(x * np.float32(0.22) + 5, z * np.float32(0.2))
    rolling = small.fractal(x * np.float32(0.28), z * np.float32(0.28), 2) * np.float32(0.16)
    # Ripples are carried along by the slope they lie on.
    ripples = swell.fractal(x * np.float32(0.8), z * np.float32(0.8), 2) * np.float32(0.22)
    phase = x * np.float32(sign) + z * np.float32(0.45) + ripples + profile * np.float32(0.35)
    return np.asarray(profile * size + np.abs(rolling), np.float32), np.asarray(phase, np.float32)


def _rounded_minimum(one: Floats, other: Floats, within: Floats) -> Floats:
    """Return the smaller of both, rounded where they differ by less than `within`."""
    near = np.clip(within - np.abs(one - other), 0, None) / within
    return np.asarray(np.minimum(one, other) - near * near * within * np.float32(0.25), np.float32)


def _lit(x: Floats, z: Floats, screen_x: Floats, height: Floats, from_left: bool, rise: float) -> Floats:
    """Return the light that falls on the sand, 0 … 1; `rise` is the tangent of the sun's height."""
    along_x = np.gradient(height, axis=1) / np.gradient(x, axis=1)
    along_z = np.gradient(height, axis=0) / np.gradient(z, axis=0) - along_x * screen_x[None, :]
    sign = np.float32(1 if from_left else -1)
    lambert = (np.float32(0.5) + sign * along_x * np.float32(1.15) + along_z * np.float32(0.3)) / np.sqrt(
        1 + along_x**2 + along_z**2
    )
    beam = height + sign * x * np.float32(rise)
    tallest = (
        np.maximum.accumulate(beam, axis=1) if from_left else np.maximum.accumulate(beam[:, ::-1], axis=1)[:, ::-1]
    )
    shade = smoothstep(0.0, 0.03, tallest - beam)
    lambert = np.clip(lambert, 0, 1.2) * (1 - np.float32(0.8) * shade)
    return np.asarray(lambert, np.float32)


def _sky(scene: Scene, horizon: float, from_left: bool, night: bool) -> tuple[Floats, Lab]:
    """Return the sky over the whole picture, and its colour at the horizon."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    x, y = frame.grid()
    if night:
        top, low = palette.at(0.08), palette.at(0.55)
    else:
        top, low = (
            palette.at(float(rng.choice([0.45, 0.62, 0.8]))),
            with_lightness(palette.at(0.97), 0.93, 1.1),
        )
    table = ramp([top, mix(top, low, 0.55), low], 1024)
    planes = np.empty((3, *frame.shape), np.float32)
    planes[:] = look_up(table, y / np.float32(horizon))
    sun_x = frame.w * (0.22 if from_left else 0.78)
    radius = float(rng.uniform(0.045, 0.085))
    sun_y = max(horizon * float(rng.uniform(0.3, 0.62)), radius * 2)
    sx, sy = frame.grid(4)
    far = np.hypot(sx - np.float32(sun_x), sy - np.float32(sun_y))
    paint(planes, palette.light, enlarge(np.exp(-far / np.float32(0.25)) * np.float32(0.55), frame))
    disc = np.hypot(x - np.float32(sun_x), y - np.float32(sun_y)) - np.float32(radius)
    cover = clamp(0.5 - disc * np.float32(frame.short))
    paint(planes, with_lightness(palette.light, 0.975, 0.7), cover * np.float32(0.95))
    return planes, low


def _sand(planes: Floats, scene: Scene, ground: _Ground, sky_low: Lab, night: bool) -> None:
    """Lay the sand over the sky, a block of columns at a time."""
    frame, palette = scene.frame, scene.palette
    reach = 0.8 if night else 1.0
    sand = palette.vivid if palette.asked else max(palette.middle, key=lambda c: c[1] + c[2] + 0.4 * c[0])
    light = mix(with_lightness(sand, 0.93, 0.55), palette.light, 0.5)
    deep = mix(palette.dark, sand, 0.12)
    stops = [deep, mix(deep, sand, 0.5), sand, mix(sand, light, 0.55), light]
    table = ramp([with_lightness(stop, stop[0] * reach) for stop in stops], 2048)
    rows = frame.height * _OVERSAMPLE
    y = (np.arange(rows) + 0.5) / (frame.short * _OVERSAMPLE)
    visible = np.minimum.accumulate(ground.top, axis=0)
    slices = np.arange(_SLICES, dtype=np.float64)[::-1]
    last = ground.top.shape[1] - 1.001
    for left in range(0, frame.width, _BLOCK):
        width = min(_BLOCK, frame.width - left)
        place = (np.arange(left * 2, (left + width) * 2) + 0.5) / (frame.width * 2) * last
        column, part = place.astype(int), (place % 1).astype(np.float32)[None]
        lines = visible[::-1, column] * (1 - part) + visible[::-1, column + 1] * part
        where = np.empty((rows, place.size), np.float32)
        for i in range(place.size):
            where[:, i] = np.interp(y, lines[:, i], slices)
        cover = (y[:, None] >= lines[0][None]).astype(np.float32)
        lit, haze = _seen(ground, where, column, part)
        block = look_up(table, lit)
        paint(block, sky_low, haze)
        shrunk = [_halved(plane * cover) for plane in block]
        share = _halved(cover)
        target = planes[:, :, left : left + width]
        for plane, value in zip(target, shrunk, strict=True):
            plane *= 1 - share
            plane += value


def _seen(ground: _Ground, where: Floats, column: NDArray[np.int_], part: Floats) -> tuple[Floats, Floats]:
    """Return brightness, 0 … 1, and haze at fractional slices `where` of the given columns."""
    first = np.minimum(where.astype(np.int32), _SLICES - 2)
    share = where - first
    light = _sample(ground.light, first, share, column, part)
    phase = _sample(ground.ripple, first, share, column, part)
    depth = np.interp(where, np.arange(_SLICES), ground.depth).astype(np.float32)
    turn = phase * np.float32(2 * np.pi * 12)
    fine = np.sin(turn + np.float32(0.7) * np.sin(turn)) * np.exp(-(depth - ground.depth[0]) * np.float32(0.5))
    lit = light * (1 + fine * np.float32(0.085)) + fine * np.float32(0.012)
    haze = 1 - np.exp(-np.clip(depth - np.float32(1.5), 0, None) * np.float32(0.085))
    return lit * np.float32(0.86) + np.float32(0.06), np.asarray(haze * np.float32(0.9), np.float32)


def _sample(grid: Floats, first: NDArray[np.int_], share: Floats, column: NDArray[np.int_], part: Floats) -> Floats:
    near = grid[:, column] * (1 - part) + grid[:, column + 1] * part
    low = np.take_along_axis(near, first, axis=0)
    high = np.take_along_axis(near, first + 1, axis=0)
    return np.asarray(low + (high - low) * share, np.float32)


def _halved(plane: Floats) -> Floats:
    return (plane[0::2, 0::2] + plane[1::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 1::2]) * np.float32(0.25)
