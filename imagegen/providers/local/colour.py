"""Colour in OKLab, where equal steps look equal and mixtures do not turn to mud.

The matrices are Björn Ottosson's (https://bottosson.github.io/posts/oklab/). Everything per pixel is plain
element-wise arithmetic, square roots and table look-ups: no BLAS, so no threads and no order of summation
that could differ between runs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
"""Numbers per pixel or per column: single precision throughout, which halves memory and time."""
Bytes = NDArray[np.uint8]
Lab = tuple[float, float, float]
"""Lightness 0 … 1, and the two opponent axes, about -0.4 … 0.4."""

_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_GAMMA_STEPS = 8192


def parse_hex(text: str) -> Lab:
    """Return the colour written as `#rgb` or `#rrggbb` (the sign may be left out).

    Raises ValueError if `text` is neither.
    """
    match = _HEX.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a colour like #ff7a3d")
    digits = match[1] if len(match[1]) == 6 else "".join(2 * digit for digit in match[1])
    return from_srgb(*(int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)))


def from_srgb(red: float, green: float, blue: float) -> Lab:
    """Return the OKLab colour of gamma-encoded sRGB values in 0 … 1."""
    r, g, b = (_linear(channel) for channel in (red, green, blue))
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    medium = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def chroma(colour: Lab) -> float:
    """Return how far `colour` is from grey: 0 is grey, a pure screen colour has 0.2 to 0.32."""
    return math.hypot(colour[1], colour[2])


def hue(colour: Lab) -> float:
    """Return the hue of `colour` in radians."""
    return math.atan2(colour[2], colour[1])


def from_lch(lightness: float, colourfulness: float, angle: float) -> Lab:
    """Return the colour with this lightness, chroma and hue (radians), its chroma cut to what sRGB shows."""
    lightness = min(max(lightness, 0.0), 1.0)
    while colourfulness > 0.002:
        colour = (lightness, colourfulness * math.cos(angle), colourfulness * math.sin(angle))
        if in_gamut(colour):
            return colour
        colourfulness *= 0.95
    return (lightness, 0.0, 0.0)


def in_gamut(colour: Lab) -> bool:
    """Tell whether an sRGB screen can show `colour`."""
    return all(-0.001 <= channel <= 1.001 for channel in _linear_channels(*colour))


def with_lightness(colour: Lab, lightness: float, saturation: float = 1.0) -> Lab:
    """Return `colour` at another lightness, its chroma times `saturation`, inside the gamut."""
    return from_lch(lightness, chroma(colour) * saturation, hue(colour))


def turned(colour: Lab, degrees: float) -> Lab:
    """Return `colour` with its hue turned by `degrees`."""
    return from_lch(colour[0], chroma(colour), hue(colour) + math.radians(degrees))


def mix(one: Lab, other: Lab, share: float) -> Lab:
    """Return the mixture with `share` of `other`, its chroma lifted so that opposite hues stay colours."""
    lab = tuple(p + (q - p) * share for p, q in zip(one, other, strict=True))
    wanted = chroma(one) + (chroma(other) - chroma(one)) * share
    have = math.hypot(lab[1], lab[2])
    if have < 1e-4 or wanted <= have:
        return (lab[0], lab[1], lab[2])
    lift = 1 + 0.65 * min(wanted / have - 1, 3.0)
    return (lab[0], lab[1] * lift, lab[2] * lift)


def distance(one: Lab, other: Lab) -> float:
    """Return how different two colours look: under 0.05 is hard to tell, black to white is 1."""
    return math.dist(one, other)


def ramp(colours: Sequence[Lab], steps: int) -> Floats:
    """Return `steps` colours, shape (3, steps), that run evenly through all `colours`."""
    places = np.linspace(0, len(colours) - 1, steps)
    table = np.empty((3, steps), np.float32)
    for i, place in enumerate(places):
        k = min(int(place), len(colours) - 2)
        share = place - k
        table[:, i] = mix(colours[k], colours[k + 1], share)
    kernel = np.ones(max(steps // (len(colours) * 4), 1) | 1)
    kernel /= kernel.size
    pad = kernel.size // 2
    for plane in table:
        plane[:] = np.convolve(np.pad(plane, pad, mode="edge"), kernel, mode="valid")
    return table


def _linear_channels(lightness: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Return linear sRGB of OKLab; works on numbers and, element by element, on planes."""
    long = lightness + 0.3963377774 * a + 0.2158037573 * b
    medium = lightness - 0.1055613458 * a - 0.0638541728 * b
    short = lightness - 0.0894841775 * a - 1.2914855480 * b
    long, medium, short = long * long * long, medium * medium * medium, short * short * short
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _gamma_table() -> Floats:
    """Return gamma-encoded values, 0 … 255, over the square root of linear ones, so that darks keep steps."""
    light = np.linspace(0, 1, _GAMMA_STEPS) ** 2
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (encoded * 255).astype(np.float32)


_GAMMA = _gamma_table()


def to_srgb(lab: Floats, grain: Floats) -> Bytes:
    """Return 8-bit sRGB, shape (rows, columns, 3), of OKLab planes, shape (3, rows, columns).

    `grain` (rows, columns), in steps of the 8-bit scale, is added before rounding: it hides banding.
    """
    out = np.empty((*grain.shape, 3), np.uint8)
    for i, channel in enumerate(_linear_channels(*lab)):
        np.clip(channel, 0, 1, out=channel)
        np.sqrt(channel, out=channel)
        channel *= _GAMMA_STEPS - 1
        value = np.take(_GAMMA, (channel + np.float32(0.5)).astype(np.int32))
        value += grain
        np.clip(value, 0, 255, out=value)
        value += np.float32(0.5)
        out[..., i] = value
    return out
