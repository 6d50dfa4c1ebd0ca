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
from imagegen.providers.local.curated import UNASKED
from imagegen.providers.local.words import Reading, singular

_CALLED, _SUITED = 3.0, 1.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of picture. `calls` are words that name it; `suits` are moods that it goes well with.

    `palettes` are the curated ones that flatter it, for when nothing was said of colour; empty for all.
    `grain` is the strength of the film grain, in steps of the 8-bit scale.
    """

    id: str
    label: str
    calls: frozenset[str]
    suits: frozenset[str]
    draw: Callable[[Scene], Floats]
    grain: float
    palettes: tuple[str, ...]

    def score(self, words: Sequence[str]) -> float:
        """Return how strongly `words` ask for this kind."""
        known = {form for word in words for form in (word, singular(word))}
        return _CALLED * len(known & self.calls) + _SUITED * len(known & self.suits)


def _kind(
    id_: str,
    label: str,
    draw: Callable[[Scene], Floats],
    *,
    calls: str,
    suits: str,
    grain: float,
    flattered: str,
) -> Kind:
    return Kind(
        id_,
        label,
        frozenset(calls.split()),
        frozenset(suits.split()),
        draw,
        grain,
        tuple(flattered.split()) or UNASKED,
    )


KINDS: tuple[Kind, ...] = (
    _kind(
        "mesh",
        N_("Mesh gradient"),
        mesh.draw,
        calls="mesh gradient blur blurred flowing fluid abstract background backdrop wallpaper",
        suits="tech technology digital modern app software startup soft dreamy fresh calm futuristic",
        grain=2.0,
        flattered=(
            "dusk ember lagoon rose plum coral orchid aurora iris peach blossom arctic neon riviera "
            "lilac emerald candy saffron pacific midnight"
        ),
    ),
    _kind(
        "waves",
        N_("Layered ridges"),
        waves.draw,
        calls="wave ridge mountain hill landscape horizon valley peak range alps layered misty haze",
        suits=(
            "dusk sunset sunrise dawn morning evening forest nature ocean sea winter autumn outdoor travel hiking"
        ),
        grain=1.4,
        flattered=(
            "dusk ember lagoon fjord sage rose plum nordic silver coral desert iris peach forest "
            "blossom arctic emerald storm pacific harvest midnight meadow"
        ),
    ),
    _kind(
        "dunes",
        N_("Dunes"),
        dunes.draw,
        calls="dune desert sand sahara ripple",
        suits="beach summer warm travel sunset adventure",
        grain=1.4,
        flattered=(
            "dusk ember terracotta rose plum desert iris peach blossom coffee pacific harvest "
            "sandstone oxblood riviera volcano lilac"
        ),
    ),
    _kind(
        "marble",
        N_("Marbling"),
        marble.draw,
        calls="marble marbled marbling ink liquid vein swirl agate malachite stone pour poured",
        suits="luxury luxurious elegant macro lava",
        grain=1.0,
        flattered=(
            "dusk ember lagoon fjord rose plum silver coral orchid aurora iris forest blossom arctic "
            "neon emerald oxblood midnight regatta coffee nordic riviera"
        ),
    ),
    _kind(
        "geometric",
        N_("Geometric"),
        geometric.draw,
        calls=("geometric geometry bauhaus grid tile shape mosaic pattern square triangle mid-century modernist"),
        suits="bold playful corporate business professional retro structure architecture team",
        grain=0.8,
        flattered="",
    ),
    _kind(
        "grain",
        N_("Grain"),
        grain.draw,
        calls="grain grainy risograph riso noise spray stipple stippled speckled overprint print",
        suits="vintage retro vibrant creative music poster nostalgic",
        grain=1.0,
        flattered=(
            "dusk ember lagoon rose plum coral orchid iris peach riviera regatta emerald candy "
            "saffron pacific gallery denim lilac blossom terracotta"
        ),
    ),
    _kind(
        "duotone",
        N_("Halftone duotone"),
        duotone.draw,
        calls="duotone halftone engraving engraved dots lines screenprint newsprint popart",
        suits="editorial bold energetic news press",
        grain=0.4,
        flattered=(
            "dusk ember lagoon fjord rose plum silver coral iris forest arctic neon riviera regatta "
            "emerald candy saffron pacific midnight gallery oxblood"
        ),
    ),
    _kind(
        "spheres",
        N_("Lacquered spheres"),
        spheres.draw,
        calls="sphere ball orb lacquered bubble pearl glossy marbles bead render 3d",
        suits="playful fun product studio candy",
        grain=1.0,
        flattered=(
            "dusk ember lagoon fjord terracotta rose plum coral orchid iris peach denim blossom "
            "riviera regatta emerald candy saffron pistachio pacific gallery neon lilac"
        ),
    ),
    _kind(
        "papercut",
        N_("Paper cuts"),
        papercut.draw,
        calls="papercut paper cutout cut card layered origami craft collage",
        suits="craft handmade depth kids",
        grain=0.8,
        flattered="",
    ),
    _kind(
        "silk",
        N_("Silk"),
        silk.draw,
        calls="silk satin fabric cloth drape draped ribbon fold velvet textile",
        suits="luxury luxurious romantic elegant fashion beauty wedding soft",
        grain=1.0,
        flattered=(
            "ember lagoon fjord rose plum silver coral iris forest arctic emerald oxblood midnight "
            "peach blossom coffee dusk terracotta sandstone"
        ),
    ),
    _kind(
        "aurora",
        N_("Northern lights"),
        aurora.draw,
        calls="aurora northern borealis starry stars polar arctic",
        suits="night midnight winter galaxy space magic magical lake",
        grain=1.6,
        flattered="aurora lagoon arctic iris neon emerald orchid plum midnight forest dusk candy coral",
    ),
    _kind(
        "arches",
        N_("Arches"),
        arches.draw,
        calls="arch rainbow boho sprig leaf leaves botanical mid-century window sun",
        suits="earthy terracotta organic nursery wellness yoga spa garden",
        grain=0.8,
        flattered=(
            "terracotta sage rose desert peach olive blossom riviera denim pistachio sandstone "
            "saffron pacific harvest ember dusk emerald lagoon oxblood"
        ),
    ),
    _kind(
        "terrazzo",
        N_("Terrazzo"),
        terrazzo.draw,
        calls="terrazzo confetti chip speckle pebble fragment shard",
        suits="playful fun festive interior party",
        grain=0.8,
        flattered=(
            "terracotta sage rose coral orchid peach denim blossom riviera regatta emerald candy "
            "pistachio pacific gallery sandstone nordic lagoon olive"
        ),
    ),
    _kind(
        "contours",
        N_("Contour lines"),
        contours.draw,
        calls="contour topographic topography map line isoline elevation relief strata",
        suits="tech data travel outdoor hiking explore science minimal minimalist",
        grain=0.8,
        flattered="",
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
