"""Names for colours: which of a few a picture shows most."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from imagegen.core.text import N_

_CENTRES = {
    "red": ((200, 40, 40), (120, 20, 30)),
    "orange": ((235, 130, 35), (190, 95, 40)),
    "yellow": ((240, 210, 60), (225, 195, 110)),
    "green": ((70, 150, 70), (30, 80, 50), (160, 200, 120)),
    "teal": ((40, 150, 150), (20, 85, 90), (140, 210, 205)),
    "blue": ((45, 95, 200), (20, 40, 95), (140, 180, 230)),
    "violet": ((120, 70, 190), (65, 35, 105), (185, 160, 220)),
    "pink": ((225, 95, 150), (240, 180, 200)),
    "brown": ((110, 70, 45), (65, 45, 35), (165, 130, 100)),
    "black": ((15, 15, 18),),
    "grey": ((128, 128, 128), (70, 70, 72), (185, 185, 185)),
    "white": ((245, 245, 242),),
}

COLOURS: dict[str, str] = {
    "red": N_("Red"),
    "orange": N_("Orange"),
    "yellow": N_("Yellow"),
    "green": N_("Green"),
    "teal": N_("Teal"),
    "blue": N_("Blue"),
    "violet": N_("Violet"),
    "pink": N_("Pink"),
    "brown": N_("Brown"),
    "black": N_("Black"),
    "grey": N_("Grey"),
    "white": N_("White"),
}
"""The colours by which the library is filtered, and what they are called."""

MOST = 2
"""How many of a picture's colours it is found by: those that cover most of it."""


def colours_of(hexes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the colours (`#rrggbb`, most frequent first) that a picture is found by."""
    return tuple(dict.fromkeys(nearest(one) for one in hexes[:MOST]))


@lru_cache(maxsize=4096)
def nearest(hex_colour: str) -> str:
    """Return the name of the nearest colour, by the "redmean" distance, which follows the eye well enough here."""
    r, g, b = bytes.fromhex(hex_colour.removeprefix("#"))
    distances = ((_distance((r, g, b), centre), name) for name, centres in _CENTRES.items() for centre in centres)
    return min(distances)[1]


def _distance(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    mean = (one[0] + other[0]) / 2
    red, green, blue = (a - b for a, b in zip(one, other, strict=True))
    return (2 + mean / 256) * red * red + 4 * green * green + (2 + (255 - mean) / 256) * blue * blue
