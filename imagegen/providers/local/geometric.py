"""Geometric: a grid of quarter discs, arcs, leaves and stripes, in few colours, with a few large forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imagegen.providers.local.canvas import Scene, blank, clamp, enlarge, paint
from imagegen.providers.local.colour import Floats, Lab, distance
from imagegen.providers.local.noise import Noise
from imagegen.providers.local.shapes import Window, window


@dataclass(frozen=True, slots=True)
class _Tile:
    """A square of the grid; `size` in cells."""

    column: int
    row: int
    size: int


Cover = Callable[[Floats, Floats, Floats], list[Floats]]
"""From coordinates in the tile (0 … 1) and one pixel's length there to the covers of its forms."""


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    frame, rng, palette = scene.frame, scene.rng, scene.palette
    ground = palette.dark if palette.is_dark(bool(rng.random() < 0.3)) else palette.light
    inks = palette.inks(ground, rng)
    planes = blank(frame, ground)
    columns, rows, cell, left, top = _layout(scene)
    last: dict[tuple[int, int], tuple[Lab, str]] = {}
    for tile in _tiles(scene, columns, rows, cell, left, top):
        place = window(
            frame,
            left + tile.column * cell,
            top + tile.row * cell,
            left + (tile.column + tile.size) * cell,
            top + (tile.row + tile.size) * cell,
        )
        if place is not None:
            origin = (left + tile.column * cell, top + tile.row * cell)
            _draw_tile(planes, scene, tile, place, origin, cell, ground, inks, last)
    x, y = frame.grid(2)
    planes[0] += enlarge(Noise(rng)(x * 80, y * 80), frame) * np.float32(0.004)
    return planes


def _layout(scene: Scene) -> tuple[int, int, float, float, float]:
    """Return columns, rows, the cell's length and the left and top margins: whole squares only."""
    frame, rng = scene.frame, scene.rng
    across = int(rng.choice([3, 4, 4, 5]))
    cell = 1.0 / across
    columns = max(round(frame.w * across), 1)
    rows = max(round(frame.h * across), 1)
    # The grid bleeds off the picture rather than leaving a thin strip at its edge.
    cell = max(frame.w / columns, frame.h / rows) if abs(columns * rows) else cell
    return columns, rows, cell, (frame.w - columns * cell) / 2, (frame.h - rows * cell) / 2


def _tiles(scene: Scene, columns: int, rows: int, cell: float, left: float, top: float) -> list[_Tile]:
    """Return tiles that fill the grid: a few of two by two cells, single ones between, none where it is calm."""
    rng = scene.rng
    free = {
        (c, r)
        for c in range(columns)
        for r in range(rows)
        if not scene.is_calm(left + (c + 0.5) * cell, top + (r + 0.5) * cell)
    }
    tiles: list[_Tile] = []
    for _ in range(max(len(free) // 7, 1)):
        corners = [(c, r) for c, r in sorted(free) if {(c + 1, r), (c, r + 1), (c + 1, r + 1)} <= free]
        if not corners:
            break
        c, r = corners[int(rng.integers(len(corners)))]
        tiles.append(_Tile(c, r, 2))
        free -= {(c, r), (c + 1, r), (c, r + 1), (c + 1, r + 1)}
    return tiles + [_Tile(c, r, 1) for c, r in sorted(free)]


def _draw_tile(
    planes: Floats,
    scene: Scene,
    tile: _Tile,
    place: Window,
    origin: tuple[float, float],
    cell: float,
    ground: Lab,
    inks: list[Lab],
    last: dict[tuple[int, int], tuple[Lab, str]],
) -> None:
    """Draw one tile: a field, and on it one form in colours that stand out from it and from its neighbours."""
    rng = scene.rng
    around = [last[key] for key in ((tile.column - 1, tile.row), (tile.column, tile.row - 1)) if key in last]
    fields = [c for c in [ground, *inks, ground] if all(distance(c, other[0]) > 0.05 for other in around)]
    field = fields[int(rng.integers(len(fields)))] if fields else ground
    names = [name for name in FORMS if all(name != other[1] for other in around)]
    if tile.size == 2:
        names = [name for name in ("disc", "rings", "quarter", "arcs", "sun", "leaf") if name in names]
    name = names[int(rng.integers(len(names)))]
    for c in range(tile.size):
        for r in range(tile.size):
            last[tile.column + c, tile.row + r] = (field, name)
    length = cell * tile.size
    u = (place.x - np.float32(origin[0])) / np.float32(length)
    v = (place.y - np.float32(origin[1])) / np.float32(length)
    pixel = np.asarray(1 / (length * scene.frame.short), np.float32)
    inside = _edge(u, pixel) * _edge(v, pixel)
    paint(place.of(planes), field, inside)
    u, v = _turned(u, v, int(rng.integers(4)))
    contrasting = [c for c in [*inks, ground] if distance(c, field) > 0.16] or [ground]
    first = int(rng.integers(len(contrasting)))
    for i, cover in enumerate(FORMS[name](u, v, pixel)):
        paint(place.of(planes), contrasting[(first + i) % len(contrasting)], cover * inside)


def _edge(u: Floats, pixel: Floats) -> Floats:
    """Return the cover of the strip 0 … 1."""
    return clamp((np.float32(0.5) - np.abs(u - np.float32(0.5))) / pixel + np.float32(0.5))


def _turned(u: Floats, v: Floats, quarters: int) -> tuple[Floats, Floats]:
    return ((u, v), (v, 1 - u), (1 - u, 1 - v), (1 - v, u))[quarters]


def _inside(distance_: Floats, pixel: Floats) -> Floats:
    return clamp(np.float32(0.5) - distance_ / pixel)


def _radius(u: Floats, v: Floats, cu: float, cv: float) -> Floats:
    return np.asarray(np.hypot(u - np.float32(cu), v - np.float32(cv)), np.float32)


def _disc(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    far = _radius(u, v, 0.5, 0.5)
    return [_inside(far - np.float32(0.5), pixel), _inside(far - np.float32(0.2), pixel)]


def _quarter(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    return [_inside(_radius(u, v, 0, 0) - 1, pixel)]


def _half(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    return [_inside(_radius(u, v, 0.5, 0) - np.float32(0.5), pixel), _half_below(u, v, pixel)]


def _half_below(u: Floats, v: Floats, pixel: Floats) -> Floats:
    return _inside(_radius(u, v, 0.5, 1) - np.float32(0.5), pixel)


def _leaf(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    return [_inside(np.maximum(_radius(u, v, 0, 0), _radius(u, v, 1, 1)) - 1, pixel)]


def _arcs(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    far = _radius(u, v, 0, 0)
    return [_inside(far - np.float32(r), pixel) for r in (1.0, 0.75, 0.5, 0.25)]


def _rings(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    far = _radius(u, v, 0.5, 0.5)
    return [_inside(far - np.float32(r), pixel) for r in (0.5, 0.36, 0.22, 0.09)]


def _triangle(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    return [_inside((u + v - 1) * np.float32(0.7071), pixel)]


def _stripes(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    phase = np.abs((u * 4) % 1 - np.float32(0.5)) / 4 + v * 0
    return [_inside(phase - np.float32(0.0625), pixel)]


def _dots(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    du, dv = (u * 4) % 1 - np.float32(0.5), (v * 4) % 1 - np.float32(0.5)
    return [_inside(np.hypot(du, dv) / 4 - np.float32(0.062), pixel)]


def _sun(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    far = _radius(u, v, 0.5, 1.0)
    rise = _inside(far - np.float32(0.5), pixel)
    return [rise, _inside(far - np.float32(0.3), pixel)]


def _bar(u: Floats, v: Floats, pixel: Floats) -> list[Floats]:
    return [_inside(u - np.float32(0.5) + v * 0, pixel)]


FORMS: dict[str, Cover] = {
    "disc": _disc,
    "quarter": _quarter,
    "half": _half,
    "leaf": _leaf,
    "arcs": _arcs,
    "rings": _rings,
    "triangle": _triangle,
    "stripes": _stripes,
    "dots": _dots,
    "sun": _sun,
    "bar": _bar,
}
