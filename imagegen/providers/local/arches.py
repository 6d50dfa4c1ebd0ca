"""Arches: windows onto flat, matt landscapes, or rainbow bands, with sprigs before them, as on a wall print."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from imagegen.providers.local.canvas import Calm, Scene, blank, clamp, enlarge, paint
from imagegen.providers.local.colour import Floats, Lab, distance, mix, with_lightness
from imagegen.providers.local.noise import Noise, curve
from imagegen.providers.local.shapes import Window, arch, around, circle, leaf, window

_MOTIFS = {
    "window": frozenset({"window", "landscape", "sun", "sunset", "dusk", "hill", "mountain", "arch", "door"}),
    "rainbow": frozenset({"rainbow", "nursery", "kid", "band"}),
}


@dataclass(frozen=True, slots=True)
class _Opening:
    """One arch: its middle, the height where its curve begins, its half width, all in units."""

    x: float
    spring: float
    radius: float


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    dark = palette.is_dark(bool(rng.random() < 0.2))
    ground = palette.dark if dark else with_lightness(palette.light, max(palette.light[0], 0.93), 0.9)
    inks = [ink for ink in palette.inks(ground, rng) if distance(ink, ground) > 0.14] or [palette.vivid]
    planes = blank(frame, ground)
    left, right, top, floor = _room(scene)
    motif = scene.variant(_MOTIFS)
    openings = _openings(scene, left, right, top, floor, 1.3 if motif == "rainbow" else 2.0)
    if motif == "rainbow":
        for number, opening in enumerate(openings):
            _rainbow(planes, scene, opening, inks[number:] + inks[:number], ground, floor)
    else:
        _landscape(planes, scene, openings, inks, ground, floor)
    _sprigs(planes, scene, inks, (left, right), floor, floor - top)
    _tooth(planes, scene)
    return planes


def _room(scene: Scene) -> tuple[float, float, float, float]:
    """Return the left, right, top and lower edges of what is drawn: all but a margin and the calm area."""
    frame = scene.frame
    margin = 0.11
    left, right, top, floor = margin, frame.w - margin, margin, frame.h - margin
    if scene.calm is Calm.LEFT:
        left = frame.w * 0.5
    elif scene.calm is Calm.RIGHT:
        right = frame.w * 0.5
    elif scene.calm is Calm.TOP:
        top = frame.h * 0.46
    elif scene.calm is Calm.BOTTOM:
        floor = frame.h * 0.54
    elif scene.calm is Calm.CENTRE:
        top = frame.h * 0.74
    return left, right, top, floor


def _openings(scene: Scene, left: float, right: float, top: float, floor: float, slim: float) -> list[_Opening]:
    """Return arches side by side that fill the room, none of them wider than a good arch is."""
    rng = scene.rng
    wide, tall = right - left, floor - top
    fewest = max(int(np.ceil(wide / (tall * 0.92))), 1)
    count = fewest + (1 if fewest == 1 and rng.random() < 0.3 and wide / 3 * slim < tall else 0)
    count = 3 if count == 2 and wide / 3 > 0.16 else count
    gap = 0.05 if count > 1 else 0.0
    radius = (wide - gap * (count - 1)) / count / 2
    radius = min(radius, tall * 0.62, 0.36)
    step = 2 * radius + gap
    first = (left + right) / 2 - step * (count - 1) / 2
    start = [top + radius + (0.07 * tall if count == 3 and i != 1 else 0.0) for i in range(count)]
    return [_Opening(first + i * step, spring, radius) for i, spring in enumerate(start)]


def _landscape(
    planes: Floats, scene: Scene, openings: list[_Opening], inks: list[Lab], ground: Lab, floor: float
) -> None:
    """Draw one landscape and show it through the openings only."""
    frame, rng = scene.frame, scene.rng
    near_ground = min(inks, key=lambda c: abs(c[0] - ground[0]))
    pale = mix(near_ground, ground, 0.35)
    view = blank(frame, pale)
    top = min(opening.spring - opening.radius for opening in openings)
    tall = floor - top
    middle = openings[len(openings) // 2]
    _sun(view, scene, inks, pale, middle, tall)
    x, y = frame.grid()
    hills = int(rng.integers(4, 6))
    for i in range(hills):
        depth = i / (hills - 1)
        line = np.float32(floor - tall * (0.5 - 0.4 * depth)) - curve(rng, x[0], 1.3, 2, 0.4) * np.float32(
            tall * 0.11
        )
        cover = clamp((y - line[None]) * np.float32(frame.short) + np.float32(0.5))
        colour = inks[(i + 1) % len(inks)]
        below = clamp((y - line[None]) / np.float32(tall * 0.3))
        view[0] += (np.float32(colour[0]) - np.float32(0.05) * (1 - below) - view[0]) * cover
        for plane, value in zip(view[1:], colour[1:], strict=True):
            plane += (np.float32(value) - plane) * cover
    for opening in openings:
        _show(planes, scene, view, opening, floor)


def _show(planes: Floats, scene: Scene, view: Floats, opening: _Opening, floor: float) -> None:
    """Copy `view` onto the planes inside one opening, and draw a thin line about it."""
    reach = opening.radius + 0.03
    place = window(scene.frame, opening.x - reach, opening.spring - reach, opening.x + reach, floor + 0.03)
    if place is None:
        return
    part = place.of(planes)
    paint(part, place.of(view), place.cover(_shape(place, opening, 0.0, floor)))
    frame_line = np.abs(_shape(place, opening, 0.018, floor)) - np.float32(0.0022)
    paint(part, min(scene.palette.stops, key=lambda c: c[0]), place.cover(frame_line) * np.float32(0.7))


def _shape(place: Window, opening: _Opening, more: float, floor: float) -> Floats:
    """Return the signed distance to an opening, larger by `more` all round, that stands on `floor`."""
    body = arch(place.x, place.y, opening.x, opening.spring, opening.radius + more)
    return np.asarray(np.maximum(body, place.y - np.float32(floor + more)), np.float32)


def _sun(view: Floats, scene: Scene, inks: list[Lab], sky: Lab, middle: _Opening, tall: float) -> None:
    rng = scene.rng
    radius = middle.radius * float(rng.uniform(0.36, 0.52))
    x = middle.x + middle.radius * float(rng.uniform(-0.3, 0.3))
    y = middle.spring - middle.radius + tall * float(rng.uniform(0.3, 0.4))
    lit = [ink for ink in (*inks, scene.palette.light) if distance(ink, sky) > 0.09 and ink[0] > 0.55]
    ink = max(lit or inks, key=lambda c: c[1] + 1.4 * c[2] + 0.3 * distance(c, sky))
    place = around(scene.frame, x, y, radius * 1.7)
    if place is None:
        return
    part = place.of(view)
    for size, share in ((1.62, 0.16), (1.3, 0.26), (1.0, 1.0)):
        paint(part, ink, place.cover(circle(place.x, place.y, x, y, radius * size)) * np.float32(share))


def _rainbow(planes: Floats, scene: Scene, opening: _Opening, inks: list[Lab], ground: Lab, floor: float) -> None:
    """Draw nested bands, with a breath of ground between them."""
    rng = scene.rng
    bands = int(rng.integers(4, 6))
    place = window(
        scene.frame,
        opening.x - opening.radius,
        opening.spring - opening.radius,
        opening.x + opening.radius,
        floor,
    )
    if place is None:
        return
    thick = opening.radius / (bands + 0.5)
    gap = thick * float(rng.choice([0.0, 0.14, 0.22]))
    part = place.of(planes)
    stands = place.cover(place.y - np.float32(floor))
    for i in range(bands):
        outer = opening.radius - i * thick
        for colour, radius in ((inks[i % len(inks)], outer), (ground, outer - thick + gap)):
            cover = place.cover(arch(place.x, place.y, opening.x, opening.spring, radius))
            paint(part, colour, cover * stands)


def _sprigs(
    planes: Floats, scene: Scene, inks: list[Lab], sides: tuple[float, float], floor: float, tall: float
) -> None:
    """Draw sprigs that rise before the arches at both sides."""
    rng = scene.rng
    dark = min(inks, key=lambda c: c[0])
    other = mix(dark, inks[0], 0.55)
    left, right = sides
    inwards = min(0.12 * (right - left), 0.16)
    one = float(rng.choice([-1.0, 1.0]))
    near, far = (left, right) if one < 0 else (right, left)
    high = min(tall, 1.05)
    _sprig(planes, scene, other, near - one * inwards * 1.5, floor + 0.015, high * 0.36, -0.1 * one)
    _sprig(planes, scene, dark, near - one * inwards * 0.35, floor + 0.015, high * 0.55, -0.3 * one)
    _sprig(planes, scene, dark, far + one * inwards * 0.5, floor + 0.015, high * 0.32, 0.28 * one)


def _sprig(planes: Floats, scene: Scene, ink: Lab, x: float, y: float, tall: float, lean: float) -> None:
    """Draw one stem with paired leaves that grow smaller towards its tip."""
    rng = scene.rng
    pairs = int(rng.integers(5, 9))
    points = [(x + lean * tall * t * t, y - tall * t) for t in np.linspace(0, 1, pairs + 2)]
    for (ax, ay), (bx, by) in pairwise(points):
        angle = float(np.arctan2(by - ay, bx - ax))
        _leaf(planes, scene, ink, ax, ay, angle, float(np.hypot(bx - ax, by - ay)) * 1.25, tall * 0.018)
    for i, (px, py) in enumerate(points[1:-1]):
        size = tall * (0.36 - 0.2 * i / pairs)
        way = -np.pi / 2 + lean * 1.6 * i / pairs
        for turn in (-1, 1):
            _leaf(planes, scene, ink, px, py, way + turn * (0.95 - 0.35 * i / pairs), size, size * 0.36)
    _leaf(planes, scene, ink, *points[-2], -np.pi / 2 + lean * 1.6, tall * 0.2, tall * 0.07)


def _leaf(
    planes: Floats, scene: Scene, ink: Lab, x: float, y: float, angle: float, length: float, width: float
) -> None:
    place = around(scene.frame, x, y, length)
    if place is not None:
        paint(place.of(planes), ink, place.cover(leaf(place.x, place.y, x, y, angle, length, width)))


def _tooth(planes: Floats, scene: Scene) -> None:
    """Give the print the tooth of cold-pressed paper and a dry, uneven ink."""
    frame, rng = scene.frame, scene.rng
    x, y = frame.grid(2)
    noise = Noise(rng)
    fine = noise(x * 110, y * 110) + noise(x * 47 + 9, y * 47)
    planes[0] += enlarge(fine, frame) * np.float32(0.008)
    grains = rng.random(frame.shape, np.float32)
    planes[0] += clamp(grains - np.float32(0.94)) * np.float32(0.5) * (planes[0] < 0.85)
