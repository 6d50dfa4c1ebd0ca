"""The kinds of picture, as data: what calls each one, and what draws it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from imagegen.core.text import N_
from imagegen.providers.local import (
    arches,
    aurora,
    contours,
    dunes,
    duotone,
    geometric,
    grain,
    marble,
    mesh,
    papercut,
    silk,
    spheres,
    terrazzo,
    waves,
)
from imagegen.providers.local.canvas import Scene
from imagegen.providers.local.colour import Floats
from imagegen.providers.local.words import Reading, singular

_CALLED, _SUITED = 3.0, 1.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of picture. `calls` are words that name it; `suits` are moods that it goes well with."""

    id: str
    label: str
    calls: frozenset[str]
    suits: frozenset[str]
    draw: Callable[[Scene], Floats]
    grain: float = 1.0

    def score(self, words: Sequence[str]) -> float:
        """Return how strongly `words` ask for this kind."""
        known = {form for word in words for form in (word, singular(word))}
        return _CALLED * len(known & self.calls) + _SUITED * len(known & self.suits)


def _kind(
    id_: str, label: str, calls: str, suits: str, draw: Callable[[Scene], Floats], grain_: float = 1.0
) -> Kind:
    return Kind(id_, label, frozenset(calls.split()), frozenset(suits.split()), draw, grain_)


KINDS: tuple[Kind, ...] = (
    _kind(
        "mesh",
        N_("Mesh gradient"),
        "mesh gradient blur blurred flowing fluid abstract background backdrop wallpaper",
        "tech technology digital modern app software startup soft dreamy fresh calm futuristic",
        mesh.draw,
        2.0,
    ),
    _kind(
        "waves",
        N_("Layered ridges"),
        "wave ridge mountain hill landscape horizon valley peak range alps layered misty haze",
        "dusk sunset sunrise dawn morning evening forest nature ocean sea winter autumn outdoor travel hiking",
        waves.draw,
        1.4,
    ),
    _kind(
        "dunes",
        N_("Dunes"),
        "dune desert sand sahara ripple",
        "beach summer warm travel sunset adventure",
        dunes.draw,
        1.4,
    ),
    _kind(
        "marble",
        N_("Marbling"),
        "marble marbled marbling ink liquid vein swirl agate malachite stone pour poured",
        "luxury luxurious elegant macro lava",
        marble.draw,
    ),
    _kind(
        "geometric",
        N_("Geometric"),
        "geometric geometry bauhaus grid tile shape mosaic pattern square triangle mid-century modernist",
        "bold playful corporate business professional retro structure architecture team",
        geometric.draw,
        0.8,
    ),
    _kind(
        "grain",
        N_("Grain"),
        "grain grainy risograph riso noise spray stipple stippled speckled overprint print",
        "vintage retro vibrant creative music poster nostalgic",
        grain.draw,
    ),
    _kind(
        "duotone",
        N_("Halftone duotone"),
        "duotone halftone engraving engraved dots lines screenprint newsprint popart",
        "editorial bold energetic news press",
        duotone.draw,
        0.4,
    ),
    _kind(
        "spheres",
        N_("Lacquered spheres"),
        "sphere ball orb lacquered bubble pearl glossy marbles bead render 3d",
        "playful fun product studio candy",
        spheres.draw,
    ),
    _kind(
        "papercut",
        N_("Paper cuts"),
        "papercut paper cutout cut card layered origami craft collage",
        "craft handmade depth kids",
        papercut.draw,
        0.8,
    ),
    _kind(
        "silk",
        N_("Silk"),
        "silk satin fabric cloth drape draped ribbon fold velvet textile",
        "luxury luxurious romantic elegant fashion beauty wedding soft",
        silk.draw,
    ),
    _kind(
        "aurora",
        N_("Northern lights"),
        "aurora northern borealis starry stars polar arctic",
        "night midnight winter galaxy space magic magical lake",
        aurora.draw,
        1.6,
    ),
    _kind(
        "arches",
        N_("Arches"),
        "arch rainbow boho sprig leaf leaves botanical mid-century window sun",
        "earthy terracotta organic nursery wellness yoga spa garden",
        arches.draw,
        0.8,
    ),
    _kind(
        "terrazzo",
        N_("Terrazzo"),
        "terrazzo confetti chip speckle pebble fragment shard",
        "playful fun festive interior party",
        terrazzo.draw,
        0.8,
    ),
    _kind(
        "contours",
        N_("Contour lines"),
        "contour topographic topography map line isoline elevation relief strata",
        "tech data travel outdoor hiking explore science minimal minimalist",
        contours.draw,
        0.8,
    ),
)

BY_ID: dict[str, Kind] = {kind.id: kind for kind in KINDS}


def choose(reading: Reading, rng: np.random.Generator) -> Kind:
    """Return the kind that the words call; among equals, and where nothing is called, chance decides."""
    allowed = [kind for kind in KINDS if not _refused(kind, reading.unwanted)] or list(KINDS)
    scores = [kind.score(reading.words) for kind in allowed]
    best = [kind for kind, score in zip(allowed, scores, strict=True) if score >= max(scores)]
    return best[int(rng.integers(len(best)))]


def _refused(kind: Kind, unwanted: Sequence[str]) -> bool:
    known = {form for word in unwanted for form in (word, singular(word))}
    return kind.id in unwanted or bool(known & kind.calls)
