"""Papercut: sheets of card with openings cut into them, stacked, each with its shadow on the one below."""

from __future__ import annotations

import numpy as np

from imagegen.providers.local.canvas import Calm, Scene, blank, blur, clamp, enlarge, paint, shifted
from imagegen.providers.local.colour import Floats, Lab, distance, mix, with_lightness
from imagegen.providers.local.noise import Noise
from imagegen.providers.local.shapes import circle


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng = scene.frame, scene.rng
    sheets = int(rng.integers(6, 9))
    colours = _card(scene, sheets)
    planes = blank(frame, colours[0])
    _glow(planes, scene)
    style = _style(scene)
    if style == "hills" and scene.calm is not Calm.BOTTOM:
        _sun(planes, scene, colours)
    depth = _relief(scene, style)
    for i in range(1, sheets):
        cover = _cut(scene, depth, i / sheets)
        _lay(planes, scene, cover, colours[i], i)
    fibre = Noise(rng)
    x, y = frame.grid(2)
    texture = fibre(x * 95, y * 60) + fibre(x * 26 + 3, y * 40)
    planes[0] += enlarge(texture, frame) * np.float32(0.0045)
    return planes


def _card(scene: Scene, sheets: int) -> list[Lab]:
    """Return the sheets' colours, deepest first: a glow in the depth, or a dark one."""
    palette, rng = scene.palette, scene.rng
    glowing = palette.is_dark(bool(rng.random() < 0.5))
    places = np.linspace(0.98, 0.06, sheets) if glowing else np.linspace(0.06, 0.98, sheets)
    return [palette.at(float(place)) for place in places]


def _style(scene: Scene) -> str:
    """Return how the sheets are cut: as the prompt says, else by chance, as far as the calm area allows."""
    style = scene.variant(_STYLE_WORDS)
    if scene.calm is Calm.CENTRE:
        return "hollow"
    if style == "valley" and scene.calm in (Calm.TOP, Calm.BOTTOM):
        return "hills"
    return style


def _sun(planes: Floats, scene: Scene, colours: list[Lab]) -> None:
    """Hang a paper sun into the sky, with its shadow."""
    frame, rng = scene.frame, scene.rng
    radius = float(rng.uniform(0.09, 0.15))
    side = {Calm.LEFT: 0.78, Calm.RIGHT: 0.22}.get(scene.calm or Calm.TOP, float(rng.uniform(0.25, 0.75)))
    height = 0.44 if scene.calm is Calm.TOP else float(rng.uniform(0.16, 0.24))
    x, y = frame.grid()
    cover = clamp(0.5 - circle(x, y, frame.w * side, frame.h * height, radius) * np.float32(frame.short))
    sky = colours[0]
    warm = max(scene.palette.stops, key=lambda c: c[1] + 1.5 * c[2] + distance(c, sky))
    _lay(planes, scene, cover, warm if distance(warm, sky) > 0.12 else scene.palette.light, 0)


def _glow(planes: Floats, scene: Scene) -> None:
    """Light the deepest sheet unevenly."""
    x, y = scene.frame.grid(8)
    cloud = Noise(scene.rng)(x * np.float32(1.3), y * np.float32(1.3))
    planes[0] += enlarge(cloud, scene.frame) * np.float32(0.03)


def _relief(scene: Scene, style: str) -> Floats:
    """Return how far out each point is: 0 in the deepest place, 1 and more where all sheets lie."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid(2)
    noise, second = Noise(rng), Noise(rng)
    wave = noise(x * np.float32(1.25), y * np.float32(1.25))
    fine = second(x * np.float32(2.9), y * np.float32(2.9))
    return enlarge(_STYLES[style](scene, x, y, wave, fine), frame)


def _hollow(scene: Scene, x: Floats, y: Floats, wave: Floats, fine: Floats) -> Floats:
    """Return rings about one place, away from the calm area."""
    frame, rng = scene.frame, scene.rng
    u, v = {
        Calm.TOP: (0.5, 0.78),
        Calm.BOTTOM: (0.5, 0.24),
        Calm.LEFT: (0.78, 0.5),
        Calm.RIGHT: (0.22, 0.5),
        Calm.CENTRE: (0.5, 0.5),
    }.get(scene.calm or Calm.BOTTOM, (0.5, 0.5))
    if scene.calm is None:
        u, v = rng.uniform(0.36, 0.64), rng.uniform(0.36, 0.62)
    wide, tall = (0.5 + 0.5 * frame.w) * 0.56, (0.5 + 0.5 * frame.h) * 0.56
    if scene.calm is Calm.CENTRE:
        # The hole itself is the quiet place: every cut lies outside it.
        far = np.hypot((x - frame.w / 2) / wide, (y - frame.h / 2) / tall) - np.float32(0.45)
        return np.asarray(far * np.float32(1.5) + wave * np.float32(0.1) + fine * np.float32(0.04), np.float32)
    squeeze = 0.72 if scene.calm else 1.0
    far = np.hypot((x - frame.w * u) / (wide * squeeze), (y - frame.h * v) / (tall * squeeze))
    return np.asarray(far * np.float32(0.98) + wave * np.float32(0.3) + fine * np.float32(0.1) - 0.05, np.float32)


def _valley(scene: Scene, x: Floats, y: Floats, wave: Floats, fine: Floats) -> Floats:
    """Return two banks along a winding way through the picture."""
    frame, rng = scene.frame, scene.rng
    angle = rng.uniform(0.25, 1.3) * rng.choice([-1, 1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    shift = {Calm.LEFT: -0.3, Calm.RIGHT: 0.3}.get(scene.calm or Calm.TOP, 0.0) * frame.w
    across = (x - np.float32(frame.w / 2 - shift)) * sin - (y - np.float32(frame.h / 2)) * cos
    bank = np.abs(across + wave * np.float32(0.34)) * np.float32(1.55)
    return np.asarray(bank + fine * np.float32(0.17) + np.float32(0.02), np.float32)


def _hills(scene: Scene, x: Floats, y: Floats, wave: Floats, fine: Floats) -> Floats:
    """Return rows of hills: sheets that come up from below, or hang from above under a calm foot."""
    frame = scene.frame
    v = y / np.float32(frame.h) + x * 0
    if scene.calm is Calm.BOTTOM:
        v = 1 - v
    begin = 0.36 if scene.calm in (Calm.TOP, Calm.BOTTOM) else 0.12
    rise = (v - np.float32(begin)) / np.float32(1.0 - begin)
    return np.asarray(rise * np.float32(1.12) + wave * np.float32(0.2) + fine * np.float32(0.06), np.float32)


_STYLES = {"hollow": _hollow, "valley": _valley, "hills": _hills}
_STYLE_WORDS = {
    "hollow": frozenset({"depth", "hole", "cave", "tunnel", "ring"}),
    "valley": frozenset({"valley", "canyon", "river", "path", "wave", "topographic"}),
    "hills": frozenset({"mountain", "hill", "ridge", "landscape", "horizon", "sunset", "dusk", "ocean", "sea"}),
}


def _cut(scene: Scene, depth: Floats, level: float) -> Floats:
    """Return where a sheet lies: outside the line `level`, which wanders a little from sheet to sheet."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid(4)
    wander = Noise(rng)(x * np.float32(1.6), y * np.float32(1.6)) * np.float32(0.05)
    outside = depth - np.float32(level) + enlarge(wander, frame)
    steep_y, steep_x = np.gradient(outside)
    return clamp(outside / (np.hypot(steep_x, steep_y) + np.float32(1e-6)) + np.float32(0.5))


def _lay(planes: Floats, scene: Scene, cover: Floats, colour: Lab, number: int) -> None:
    """Put one sheet on top, in place: its wide and its close shadow first, then the card and its lit edge."""
    frame, rng = scene.frame, scene.rng
    short = frame.short
    wide = shifted(blur(cover, short / 34), 0, short // 45)
    close = shifted(blur(cover, short / 190), short // 420, short // 190)
    shade = 1 - wide * np.float32(0.38) - close * np.float32(0.2)
    planes[0] *= shade
    planes[1] *= shade
    planes[2] *= shade
    x, y = frame.grid(8)
    cloud = Noise(rng)(x * np.float32(0.9) + number, y * np.float32(0.9))
    light = enlarge(
        cloud * np.float32(0.012) + (np.float32(0.5) - y / np.float32(frame.h)) * np.float32(0.035), frame
    )
    reach = max(round(short / 700), 1)
    edge = cover * (1 - shifted(cover, reach, reach))
    pale = with_lightness(mix(colour, (1.0, 0.0, 0.0), 0.3), min(colour[0] + 0.12, 0.99))
    for plane, value in zip(planes, colour, strict=True):
        plane += (np.float32(value) - plane) * cover
    planes[0] += light * cover
    paint(planes, pale, edge * np.float32(0.75))
