"""Duotone: a soft scene of discs and swells, printed in two inks as a halftone of dots or of swelling lines."""

from __future__ import annotations

import numpy as np

from imagegen.providers.local.canvas import Scene, blank, clamp, enlarge, paint, smoothstep
from imagegen.providers.local.colour import Floats, Lab, distance, with_lightness
from imagegen.providers.local.noise import Noise

_SCREENS = {
    "dots": frozenset({"dot", "halftone", "newsprint", "popart", "comic"}),
    "lines": frozenset({"line", "engraving", "engraved", "wave", "etching"}),
}


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng = scene.frame, scene.rng
    ground, first, second = _inks(scene)
    planes = blank(frame, ground)
    tone, swell = _motif(scene)
    if ground[0] < 0.5:
        # On a dark ground the inks are the light.
        tone = (np.float32(0.94) - tone) * (1 - enlarge(scene.calmness(4), frame))
    screen = {"dots": _dots, "lines": _lines}[scene.variant(_SCREENS)]
    pitch = float(rng.uniform(1 / 64, 1 / 46))
    angle = float(rng.uniform(0.2, 0.5))
    soft = clamp(tone * np.float32(0.9))
    paint(planes, second, screen(scene, clamp(soft * np.float32(1.05)), pitch, angle, swell))
    deep = clamp((tone - np.float32(0.42)) * np.float32(1.75))
    paint(planes, first, screen(scene, deep, pitch, angle + (0.52 if screen is _dots else 0.0), swell))
    return planes


def _inks(scene: Scene) -> tuple[Lab, Lab, Lab]:
    """Return the ground and two inks that stand out from it and from each other."""
    palette, rng = scene.palette, scene.rng
    dark = palette.is_dark(bool(rng.random() < 0.35))
    ground = palette.dark if dark else with_lightness(palette.light, max(palette.light[0], 0.93))
    inks = [ink for ink in palette.inks(ground, rng) if distance(ink, ground) > 0.22] or [palette.vivid]
    second = inks[0]
    rest = [ink for ink in inks[1:] if distance(ink, second) > 0.15]
    fallback = with_lightness(second, 0.93 if dark else 0.28)
    first = (max(rest, key=lambda c: c[0]) if dark else min(rest, key=lambda c: c[0])) if rest else fallback
    return ground, first, second


def _motif(scene: Scene) -> tuple[Floats, Floats]:
    """Return the tone to print, 0 (bare ground) … 1, and a slow field that bends the lines."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid(2)
    bend, other = Noise(rng), Noise(rng)
    swell = bend.fractal(x * np.float32(0.9), y * np.float32(0.9), 2)
    warp = other(x * np.float32(1.1) + swell, y * np.float32(1.1))
    angle = rng.uniform(0, 2 * np.pi)
    slope = (x - frame.w / 2) * np.float32(np.cos(angle)) + (y - frame.h / 2) * np.float32(np.sin(angle))
    tone = np.float32(0.38) + slope * np.float32(0.32) + warp * np.float32(0.36)
    for _ in range(int(rng.integers(2, 4))):
        tone = _with_disc(scene, x, y, tone)
    calm = scene.calmness(2)
    tone = tone * (1 - calm) + np.float32(0.06) * calm
    return enlarge(np.asarray(tone, np.float32), frame), enlarge(swell, frame)


def _with_disc(scene: Scene, x: Floats, y: Floats, tone: Floats) -> Floats:
    """Return `tone` with a ball in front: bright towards the light, dark away from it."""
    frame, rng = scene.frame, scene.rng
    cx, cy = rng.uniform(0.12, 0.88) * frame.w, rng.uniform(0.12, 0.88) * frame.h
    radius = rng.uniform(0.16, 0.36)
    if scene.is_calm(float(cx), float(cy)):
        return tone
    dx, dy = (x - np.float32(cx)) / np.float32(radius), (y - np.float32(cy)) / np.float32(radius)
    far = np.hypot(dx, dy)
    inside = clamp((1 - far) * np.float32(radius * frame.short / 2))
    facing = np.sqrt(clamp(1 - far * far))
    light = -dx * np.float32(0.55) - dy * np.float32(0.6) + facing * np.float32(0.58)
    shaded = np.float32(0.92) - np.clip(light, -0.15, 1) * np.float32(0.92)
    shadow = smoothstep(1.5, 0.7, np.hypot(dx - np.float32(0.28), dy - np.float32(0.3))) * np.float32(0.3)
    behind = tone + shadow
    return np.asarray(behind + (shaded - behind) * inside, np.float32)


def _dots(scene: Scene, tone: Floats, pitch: float, angle: float, swell: Floats) -> Floats:
    """Return the cover of dots on a turned grid; dark tones flow together to a net."""
    x, y = scene.frame.grid()
    turn = np.float32(2 * np.pi / pitch)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    spot = (np.cos((x * cos + y * sin) * turn) + np.cos((y * cos - x * sin) * turn)) * np.float32(0.25) + np.float32(
        0.5
    )
    sharp = np.float32(pitch * scene.frame.short * 0.42)
    return clamp((tone - 1 + spot) * sharp + np.float32(0.5)) * clamp(tone * 30 - np.float32(0.5))


def _lines(scene: Scene, tone: Floats, pitch: float, angle: float, swell: Floats) -> Floats:
    """Return the cover of bent lines whose breadth is the tone, as an engraver cuts them."""
    x, y = scene.frame.grid()
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    phase = (y * cos - x * sin + swell * np.float32(0.11)) / np.float32(pitch * 0.8)
    ridge = np.abs(phase - np.floor(phase) - np.float32(0.5)) * 2
    sharp = np.float32(pitch * 0.8 * scene.frame.short * 0.5)
    return clamp((tone - ridge) * sharp + np.float32(0.5)) * clamp(tone * 30 - np.float32(0.5))
