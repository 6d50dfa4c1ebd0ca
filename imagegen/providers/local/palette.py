"""From a few colours to a palette with a dark end, a light end and a ramp that never turns to mud."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from imagegen.providers.local import colour
from imagegen.providers.local.colour import Floats, Lab
from imagegen.providers.local.curated import CURATED, UNASKED

Tone = Literal["dark", "light"]

RAMP_STEPS = 2048
_DARK_END = 0.36
_LIGHT_END = 0.86
_SAME_COLOUR = 0.11
_GREY = 0.025


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours sorted from dark to light, and what the prompt said about them.

    `asked` are the colours that were named; empty where the palette was chosen by mood or chance.
    `tone` says whether the ground is to be dark or light, where that was said.
    """

    stops: tuple[Lab, ...]
    asked: tuple[Lab, ...] = ()
    tone: Tone | None = None

    @property
    def dark(self) -> Lab:
        """The darkest colour."""
        return self.stops[0]

    @property
    def light(self) -> Lab:
        """The lightest colour."""
        return self.stops[-1]

    @property
    def middle(self) -> tuple[Lab, ...]:
        """The colours between the two ends: what gives a picture its character."""
        return self.stops[1:-1]

    @property
    def vivid(self) -> Lab:
        """The colour with the highest chroma, an asked one if there is any with colour in it."""
        return max(self.asked or self.stops, key=colour.chroma)

    def is_dark(self, otherwise: bool) -> bool:
        """Tell whether the ground is dark; `otherwise` where nothing was said."""
        return otherwise if self.tone is None else self.tone == "dark"

    def ramp(self, steps: int = RAMP_STEPS) -> Floats:
        """Return all colours from dark to light as a table, shape (3, steps)."""
        return colour.ramp(self.stops, steps)

    def at(self, place: float) -> Lab:
        """Return the colour at `place` along the ramp, 0 (dark) to 1 (light)."""
        where = min(max(place, 0.0), 1.0) * (len(self.stops) - 1)
        k = min(int(where), len(self.stops) - 2)
        return colour.mix(self.stops[k], self.stops[k + 1], where - k)

    def inks(self, ground: Lab, rng: np.random.Generator) -> list[Lab]:
        """Return the colours that stand out from `ground`, the asked ones first, the rest by chance."""
        rest = [stop for stop in self.stops if not _close_to_any(stop, self.asked)]
        rng.shuffle(rest)
        return [ink for ink in (*self.asked, *rest) if colour.distance(ink, ground) > _SAME_COLOUR]


def from_name(name: str, tone: Tone | None = None) -> Palette:
    """Return the curated palette called `name`."""
    return Palette(_sorted(colour.parse_hex(text) for text in CURATED[name]), tone=tone)


def from_colours(colours: Sequence[Lab], tone: Tone | None = None) -> Palette:
    """Return a palette in which the given colours rule: the ends, where missing, are derived from them."""
    asked = _distinct(colours)
    tone = tone or _implied_tone(asked)
    body = _sorted(_companions(asked[0])) if len(asked) == 1 else _sorted(asked)
    if len(asked) == 2:
        body = _sorted([*body, colour.mix(body[0], body[1], 0.5)])
    darkest, lightest = body[0], body[-1]
    if darkest[0] > _DARK_END:
        body = (colour.with_lightness(darkest, 0.24 if tone == "dark" else 0.29, 0.85), *body)
    if lightest[0] < _LIGHT_END:
        body = (*body, colour.with_lightness(lightest, 0.94, 0.35))
    return Palette(body, asked=tuple(asked), tone=tone)


def choose(
    rng: np.random.Generator, names: Sequence[str], avoid: Sequence[Lab] = (), tone: Tone | None = None
) -> Palette:
    """Return a curated palette: one of `names`, or any if there are none, keeping clear of `avoid`."""
    candidates = list(names) or list(UNASKED)
    allowed = [name for name in candidates if not _shows(name, avoid)]
    if not allowed:
        allowed = [name for name in UNASKED if not _shows(name, avoid)] or list(UNASKED)
    return from_name(allowed[int(rng.integers(len(allowed)))], tone)


def same_family(one: Lab, other: Lab) -> bool:
    """Tell whether people would call both by the same colour word."""
    if min(colour.chroma(one), colour.chroma(other)) < _GREY:
        both = max(colour.chroma(one), colour.chroma(other)) < _GREY
        return both and abs(one[0] - other[0]) < 0.25
    turn = abs(colour.hue(one) - colour.hue(other))
    return min(turn, 2 * np.pi - turn) < 0.45


def _implied_tone(asked: Sequence[Lab]) -> Tone | None:
    """Return the ground that naming black or white among the colours asks for."""
    black = any(one[0] < 0.3 and colour.chroma(one) < 0.03 for one in asked)
    white = any(one[0] > 0.92 and colour.chroma(one) < 0.05 for one in asked)
    if black == white:
        return None
    return "dark" if black else "light"


def _shows(name: str, avoid: Sequence[Lab]) -> bool:
    stops = [colour.parse_hex(text) for text in CURATED[name]]
    strong = [stop for stop in stops if colour.chroma(stop) > 0.05 or stop[0] < 0.2 or stop[0] > 0.97]
    return any(same_family(stop, unwanted) for stop in strong for unwanted in avoid)


def _companions(key: Lab) -> list[Lab]:
    """Return `key` with a deeper and a paler neighbour, their hues turned a little apart, as light does it."""
    lightness = key[0]
    deeper = colour.turned(colour.with_lightness(key, lightness * 0.62, 0.95), -14)
    paler = colour.turned(colour.with_lightness(key, lightness + (0.97 - lightness) * 0.55, 0.75), 14)
    return [deeper, key, paler]


def _distinct(colours: Sequence[Lab]) -> list[Lab]:
    kept: list[Lab] = []
    for one in colours:
        if not any(colour.distance(one, other) < 0.03 for other in kept):
            kept.append(one)
    return kept[:6]


def _close_to_any(one: Lab, others: Sequence[Lab]) -> bool:
    return any(colour.distance(one, other) < 0.03 for other in others)


def _sorted(colours: Iterable[Lab]) -> tuple[Lab, ...]:
    """Return the colours from dark to light."""
    return tuple(sorted(colours))
