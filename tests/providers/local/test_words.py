"""How prompts are read."""

from __future__ import annotations

import numpy as np
import pytest

from imagegen.providers.local import colour, kinds, palette, words
from imagegen.providers.local.canvas import Calm
from imagegen.providers.local.curated import CURATED, MOODS


def _kind(prompt: str, negative: str = "", seed: int = 1) -> str:
    reading = words.read(prompt, negative)
    return kinds.choose(reading, np.random.Generator(np.random.PCG64(seed))).id


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("Marbled silver ink on paper, macro, studio light", "marble"),
        ("Lacquered spheres, amber and red, soft shadow", "spheres"),
        ("Sand dunes in the evening", "dunes"),
        ("A bauhaus pattern with geometric shapes", "geometric"),
        ("soft mesh gradient", "mesh"),
        ("mountains in the mist", "waves"),
        ("risograph with grainy print", "grain"),
        ("halftone dots", "duotone"),
        ("papercut layers", "papercut"),
        ("green satin fabric", "silk"),
        ("northern lights over a lake", "aurora"),
        ("boho arches with leaves", "arches"),
        ("terrazzo", "terrazzo"),
        ("topographic map lines", "contours"),
    ],
)
def test_words_call_a_kind(prompt: str, kind: str) -> None:
    assert all(_kind(prompt, seed=seed) == kind for seed in range(5))


def test_a_kind_that_is_not_wanted_never_comes() -> None:
    assert all(_kind("dunes and spheres", "spheres", seed) == "dunes" for seed in range(5))
    assert all(_kind("spheres, no dunes", seed=seed) == "spheres" for seed in range(5))
    assert "marble" not in {_kind("something", "marble, silk", seed) for seed in range(60)}


def test_without_a_word_every_kind_comes_in_turn() -> None:
    assert len({_kind("quarterly results", seed=seed) for seed in range(120)}) > 8


@pytest.mark.parametrize(
    ("text", "calm"),
    [
        ("ridges, room for a headline at the top", Calm.TOP),
        ("space for text on the right", Calm.RIGHT),
        ("copy space left", Calm.LEFT),
        ("silk, negative space at the bottom", Calm.BOTTOM),
        ("leave the centre free", Calm.CENTRE),
        ("with space for a title in the middle", Calm.CENTRE),
        ("a calm top and waves below", Calm.TOP),
        ("at the bottom, space for a caption", Calm.BOTTOM),
        ("some room for text", Calm.TOP),
        ("space left for a logo", Calm.TOP),
        ("calm and spacious hills", None),
        ("a ship in deep space", None),
        ("left and right, waves", None),
    ],
)
def test_a_calm_area_is_understood(text: str, calm: Calm | None) -> None:
    assert words.calm_area(text) == calm


def test_colours_are_read_by_name_by_hex_code_and_with_their_adjectives() -> None:
    amber, code = words.read("in amber and #FF7A3D").colours
    assert colour.distance(amber, colour.parse_hex("#f5a51c")) < 0.01
    assert colour.distance(code, colour.parse_hex("#ff7a3d")) < 0.01
    (plain,), (dark,), (pale,) = (words.read(text).colours for text in ("blue", "dark blue", "pale blue"))
    assert dark[0] < plain[0] < pale[0]
    assert colour.chroma(pale) < colour.chroma(plain)


def test_colours_after_no_are_kept_out() -> None:
    reading = words.read("silk in teal, no red or orange")
    assert len(reading.colours) == 1
    assert len(reading.unwanted_colours) == 2


@pytest.mark.parametrize("name", ["blue", "red", "green"])
def test_a_negative_prompt_keeps_a_colour_out_of_the_palette(name: str) -> None:
    unwanted = words.read("", name).unwanted_colours
    for seed in range(40):
        chosen = palette.choose(np.random.Generator(np.random.PCG64(seed)), [], unwanted)
        strong = [stop for stop in chosen.stops if colour.chroma(stop) > 0.05]
        assert not any(palette.same_family(stop, unwanted[0]) for stop in strong)


def test_every_mood_names_palettes_that_exist() -> None:
    assert all(name in CURATED for names in MOODS.values() for name in names)
    assert len(CURATED) >= 30


def test_a_definite_mood_outweighs_a_vague_one() -> None:
    assert set(words.palettes_for(("dusk", "calm"))) <= {"dusk", "plum"}


@pytest.mark.parametrize("text", ["#12", "#ggg", "red", "", "#12345"])
def test_what_is_no_hex_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a colour"):
        colour.parse_hex(text)


@pytest.mark.parametrize("name", ["red", "gold", "navy", "white", "black", "mint"])
def test_one_colour_makes_a_palette_from_dark_to_light(name: str) -> None:
    made = palette.from_colours(words.read(name).colours)
    assert made.dark[0] < 0.37
    assert made.light[0] > 0.85
    assert list(made.stops) == sorted(made.stops)
    assert all(colour.in_gamut(stop) for stop in made.stops)


def test_opposite_colours_mix_without_turning_grey() -> None:
    blue, orange = colour.parse_hex("#2563d4"), colour.parse_hex("#f07d1a")
    middle = colour.mix(blue, orange, 0.5)
    assert colour.chroma(middle) > 0.04


@pytest.mark.parametrize(
    ("prompt", "tone"),
    [
        ("black and gold", "dark"),
        ("white and blue", "light"),
        ("black and white", None),
        ("teal on a dark background", "dark"),
        ("teal on white", "light"),
        ("teal", None),
    ],
)
def test_the_ground_follows_what_is_said(prompt: str, tone: str | None) -> None:
    reading = words.read(prompt)
    assert palette.from_colours(reading.colours, reading.tone).tone == tone
