"""Spheres: lacquered balls on a studio floor, under one big softbox.

The camera looks down at an angle without perspective. In OKLab, scaling a colour by the cube root of a factor
scales its light by that factor: that is how light falls on lacquer and floor here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imagegen.providers.local.canvas import Scene, blank, clamp, enlarge, paint, smoothstep
from imagegen.providers.local.colour import Floats, Lab, distance, mix, with_lightness

_PITCH = np.radians(40.0)
_SIN, _COS = float(np.sin(_PITCH)), float(np.cos(_PITCH))
_SUN = np.array([-0.5, 0.78, -0.12]) / np.linalg.norm([-0.5, 0.78, -0.12])
"""Towards the light: x to the right, y up from the floor, z towards the viewer."""


@dataclass(frozen=True, slots=True)
class _Ball:
    """Centre (right, up, towards the viewer) and radius in units; its colour."""

    x: float
    z: float
    radius: float
    colour: Lab

    @property
    def screen(self) -> tuple[float, float]:
        """The centre in the picture."""
        return self.x, self.z * _SIN - self.radius * _COS


def draw(scene: Scene) -> Floats:
    """Return the picture as OKLab planes."""
    rng, palette = scene.rng, scene.palette
    ground = _ground_colour(scene)
    inks = [ink for ink in palette.inks(ground, rng) if distance(ink, ground) > 0.16] or [palette.vivid]
    balls = _arranged(scene, inks)
    planes = _floor(scene, balls, ground)
    for ball in sorted(balls, key=lambda b: b.z):
        _draw_ball(planes, scene, ball, [other for other in balls if other is not ball], ground)
    return planes


def _ground_colour(scene: Scene) -> Lab:
    palette, rng = scene.palette, scene.rng
    if palette.is_dark(bool(rng.random() < 0.35)):
        return with_lightness(palette.dark, max(palette.dark[0], 0.27))
    if rng.random() < 0.5 or palette.tone == "light":
        return with_lightness(palette.light, min(palette.light[0], 0.93))
    return palette.at(0.82)


def _arranged(scene: Scene, inks: list[Lab]) -> list[_Ball]:
    """Return balls that touch at most: a large one, some middling, many small."""
    frame, rng = scene.frame, scene.rng
    area = frame.w * frame.h
    wanted = [(0.25, 0.33)] + [(0.14, 0.2)] * round(1 + 1.7 * area) + [(0.05, 0.1)] * round(3 + 4 * area)
    balls: list[_Ball] = []
    for number, (low, high) in enumerate(wanted):
        radius = float(rng.uniform(low, high))
        for _ in range(60):
            x = float(rng.uniform(0.0, frame.w))
            y = float(rng.uniform(0.0, frame.h + 0.1))
            ball = _Ball(x, (y + radius * _COS) / _SIN, radius, inks[number % len(inks)])
            if _fits(scene, ball, balls):
                balls.append(ball)
                break
    return balls


def _fits(scene: Scene, ball: _Ball, balls: list[_Ball]) -> bool:
    x, y = ball.screen
    reach = ball.radius * 0.9
    if any(scene.is_calm(x + dx, y + dy) for dx in (-reach, 0, reach) for dy in (-reach, 0, reach)):
        return False
    for other in balls:
        apart = (ball.x - other.x) ** 2 + (ball.z - other.z) ** 2 + (ball.radius - other.radius) ** 2
        if apart < (ball.radius + other.radius) ** 2 * 1.02:
            return False
    return True


def _floor(scene: Scene, balls: list[_Ball], ground: Lab) -> Floats:
    """Return the floor with the softbox's pool of light and the balls' shadows."""
    frame = scene.frame
    x, y = frame.grid(2)
    z = y / np.float32(_SIN)
    open_sky = np.ones((y.size, x.size), np.float32)
    shadow = np.ones_like(open_sky)
    for ball in balls:
        dx, dz = np.float32(ball.x) - x, np.float32(ball.z) - z
        far2 = dx * dx + dz * dz + np.float32(ball.radius**2)
        open_sky *= 1 - np.float32(0.9) * np.float32(ball.radius) ** 3 / (far2 * np.sqrt(far2))
        shadow *= 1 - _shadow(dx, np.float32(ball.radius), dz, far2, ball.radius)
    pool = np.exp(-((x - frame.w * 0.38) ** 2 + (y - frame.h * 0.34) ** 2) / np.float32(0.9 * frame.w * frame.h))
    light = np.float32(0.62) + np.float32(0.5) * pool
    factor = np.cbrt(light * (np.float32(0.42) * open_sky + np.float32(0.58) * shadow * np.sqrt(open_sky)))
    planes = blank(frame, ground)
    planes *= enlarge(factor, frame)[None]
    return planes


def _shadow(dx: Floats, dy: Floats | np.float32, dz: Floats, far2: Floats, radius: float) -> Floats:
    """Return how much of the softbox a ball at (dx, dy, dz) hides, 0 … 1; the edge softens with distance."""
    along = dx * np.float32(_SUN[0]) + dy * np.float32(_SUN[1]) + dz * np.float32(_SUN[2])
    across = np.sqrt(np.clip(far2 - along * along, 0, None))
    soft = np.float32(0.02) + np.clip(along, 0, None) * np.float32(0.3)
    t = clamp((np.float32(radius) + soft - across) / (2 * soft))
    return np.asarray(t * t * (3 - 2 * t) * (along > 0), np.float32)


def _draw_ball(planes: Floats, scene: Scene, ball: _Ball, others: list[_Ball], ground: Lab) -> None:
    """Draw one ball over what is there."""
    frame = scene.frame
    short = frame.short
    cx, cy = ball.screen
    reach = ball.radius + 2 / short
    rows = slice(max(int((cy - reach) * short), 0), max(int((cy + reach) * short) + 2, 0))
    columns = slice(max(int((cx - reach) * short), 0), max(int((cx + reach) * short) + 2, 0))
    window = planes[:, rows, columns]
    if not window.size:
        return
    x, y = frame.grid()
    nx = (x[:, columns] - np.float32(cx)) / np.float32(ball.radius)
    ny = (y[rows] - np.float32(cy)) / np.float32(ball.radius)
    flat = nx * nx + ny * ny
    cover = clamp((1 - np.sqrt(flat)) * np.float32(ball.radius * short) + np.float32(0.5))
    facing = np.sqrt(clamp(1 - flat))
    # From the camera's axes (right, down, towards us) to the floor's.
    up = -ny * np.float32(_COS) + facing * np.float32(_SIN)
    out = ny * np.float32(_SIN) + facing * np.float32(_COS)
    normal = (np.broadcast_to(nx, flat.shape), up, out)
    for plane, value in zip(window, _lacquer(ball, others, normal, facing, ground), strict=True):
        plane += (value - plane) * cover


def _lacquer(
    ball: _Ball,
    others: list[_Ball],
    normal: tuple[Floats, Floats, Floats],
    facing: Floats,
    ground: Lab,
) -> Floats:
    """Return the planes of a ball's surface: body colour in the light, and what its varnish mirrors."""
    nx, up, out = normal
    open_sky: Floats = np.float32(0.62) + np.float32(0.38) * up
    key = clamp((nx * _SUN[0] + up * _SUN[1] + out * _SUN[2]) * 0.85 + 0.15).astype(np.float32)
    twice = 2 * facing
    # The view direction, mirrored at the surface.
    mx, my, mz = twice * nx, twice * up - np.float32(_SIN), twice * out - np.float32(_COS)
    mirrored: list[tuple[Floats, Lab]] = []
    for other in _near(ball, others):
        px, py, pz = (
            np.float32(other.x - ball.x) - nx * np.float32(ball.radius),
            np.float32(other.radius - ball.radius) - up * np.float32(ball.radius),
            np.float32(other.z - ball.z) - out * np.float32(ball.radius),
        )
        far2 = px * px + py * py + pz * pz
        seen = clamp((px * nx + py * up + pz * out) / np.sqrt(far2))
        open_sky *= 1 - np.float32(0.85) * seen * np.float32(other.radius**2) / far2
        key *= 1 - _shadow(px, py, pz, far2, other.radius)
        mirrored.append((_hit(mx, my, mz, px, py, pz, far2, other.radius), other.colour))
    floor_near = clamp(-up) * np.float32(0.3)
    body = np.empty((3, *facing.shape), np.float32)
    light = np.cbrt(np.float32(0.06) + np.float32(0.32) * open_sky + np.float32(0.95) * key)
    for plane, value in zip(body, ball.colour, strict=True):
        plane[:] = np.float32(value) * light
    paint(body, mix(ground, ball.colour, 0.5), floor_near * np.float32(0.6))
    _varnish(body, ball, (mx, my, mz), facing, mirrored, ground)
    return body


def _near(ball: _Ball, others: list[_Ball]) -> list[_Ball]:
    """Return the balls near enough to be seen in, or to shade, this one."""
    return [
        other for other in others if np.hypot(other.x - ball.x, other.z - ball.z) < 1.9 * (other.radius + ball.radius)
    ]


def _hit(
    mx: Floats, my: Floats, mz: Floats, px: Floats, py: Floats, pz: Floats, far2: Floats, radius: float
) -> Floats:
    """Return 1 where a ray (mx, my, mz) meets a ball whose centre is (px, py, pz) away, with a soft rim."""
    along = mx * px + my * py + mz * pz
    across2 = far2 - along * along
    rim = np.float32(radius**2)
    return np.asarray(clamp((rim - across2) / (rim * np.float32(0.8))) * (along > 0), np.float32)


def _varnish(
    body: Floats,
    ball: _Ball,
    mirror: tuple[Floats, Floats, Floats],
    facing: Floats,
    mirrored: list[tuple[Floats, Lab]],
    ground: Lab,
) -> None:
    """Add to `body`, in place, what the varnish mirrors: floor, walls, neighbours, the softbox."""
    mx, my, mz = mirror
    grazing = (1 - facing) ** 4
    strength = np.float32(0.05) + np.float32(0.6) * grazing
    wall = with_lightness(ground, min(ground[0] + 0.03, 0.97))
    room = np.empty_like(body)
    below = smoothstep(0.15, -0.1, my)
    for plane, high, low in zip(room, wall, with_lightness(ground, ground[0] * 0.86), strict=True):
        plane[:] = np.float32(high) + np.float32(low - high) * below
    for cover, colour in mirrored:
        paint(room, with_lightness(colour, colour[0] * 0.8), cover)
    paint(body, room, clamp(strength))
    # The softbox hangs up to the left; a strip light stands far to the right.
    side = mx * np.float32(0.84) + my * np.float32(0.54)
    depth = mz + np.float32(0.02)
    height = my * np.float32(0.84) - mx * np.float32(0.54)
    frame_x = smoothstep(0.34, 0.27, np.abs(side)) * smoothstep(0.34, 0.27, np.abs(depth))
    box = frame_x * (height > 0)
    fall = np.float32(0.8) + np.float32(0.2) * np.clip(side * 2, -1, 1)
    paint(body, (1.0, 0.0, 0.0), np.asarray(box * fall * np.float32(0.88), np.float32))
    strip = smoothstep(0.3, 0.0, np.abs(mz - np.float32(0.3))) * smoothstep(0.62, 0.95, mx)
    paint(body, (1.0, 0.0, 0.0), np.asarray(strip * np.float32(0.22), np.float32))
