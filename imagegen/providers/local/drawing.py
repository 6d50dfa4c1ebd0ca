"""From words to pixels: the same words, seed, size and wishes always give the same picture."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imagegen.providers.local import kinds, palette, words
from imagegen.providers.local.canvas import Calm, Frame, Scene, finish
from imagegen.providers.local.colour import Bytes, Lab
from imagegen.providers.local.palette import Palette

_VERSION = 1
"""Part of every seed: raised when a kind is redrawn, so that nobody takes a new picture for an old one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to draw. What is left out is read from the prompt, or decided by the seed."""

    prompt: str
    seed: int
    negative_prompt: str = ""
    kind: str | None = None
    colours: Sequence[Lab] = ()
    calm: Calm | None = None


def picture(wish: Wish, width: int, height: int) -> Bytes:
    """Return the picture as 8-bit sRGB, shape (height, width, 3)."""
    reading = words.read(wish.prompt, wish.negative_prompt)
    text = words.normalised(wish.prompt)
    kind = kinds.BY_ID.get(wish.kind or "") or kinds.choose(reading, _chance("kind", wish.seed, text))
    colours = _palette(wish, reading, kind, _chance("colours", wish.seed, text, kind.id))
    rng = _chance("drawing", wish.seed, text, kind.id)
    return draw(
        kind.id,
        width=width,
        height=height,
        seed=int(rng.integers(2**63)),
        palette=colours,
        calm=wish.calm or reading.calm,
        said=frozenset(words.singular(word) for word in reading.words),
    )


def draw(
    kind: str,
    *,
    width: int,
    height: int,
    seed: int,
    palette: Palette,
    calm: Calm | None = None,
    said: frozenset[str] = frozenset(),
) -> Bytes:
    """Return one picture of `kind` (an id of `kinds.KINDS`), 8-bit sRGB, shape (height, width, 3).

    Keeps no state: any number of threads may draw at once. Raises KeyError for an unknown kind.
    """
    chosen = kinds.BY_ID[kind]
    rng = np.random.Generator(np.random.PCG64(seed))
    scene = Scene(Frame(width, height), rng, palette, calm, said)
    planes = chosen.draw(scene)
    return finish(planes, rng, chosen.grain)


def _palette(wish: Wish, reading: words.Reading, kind: kinds.Kind, rng: np.random.Generator) -> Palette:
    """Return the palette: given colours before named ones, named ones before moods, moods before chance."""
    if wish.colours:
        return palette.from_colours(wish.colours, reading.tone)
    avoid = reading.unwanted_colours
    named = [one for one in reading.colours if not any(palette.same_family(one, bad) for bad in avoid)]
    if named:
        return palette.from_colours(named, reading.tone)
    return palette.choose(rng, words.palettes_for(reading.moods) or kind.palettes, avoid, reading.tone)


def _chance(purpose: str, seed: int, *parts: str) -> np.random.Generator:
    """Return a source of chance of its own for each purpose, so that one choice never shifts another."""
    key = "\x00".join((str(_VERSION), purpose, str(seed), *parts)).encode()
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(key).digest()[:16])))
