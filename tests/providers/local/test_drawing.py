"""What the local provider's pictures promise."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from imagegen.providers.local import colour
from imagegen.providers.local.canvas import Calm
from imagegen.providers.local.drawing import Wish, picture
from imagegen.providers.local.kinds import KINDS

KIND_IDS = [kind.id for kind in KINDS]
SMALL = (260, 325)

_DIGESTS = """
import hashlib, sys
from imagegen.providers.local.drawing import Wish, picture
for kind in sys.argv[1:]:
    pixels = picture(Wish(prompt="amber at dusk", seed=7, kind=kind), 260, 325)
    print(kind, hashlib.sha256(pixels.tobytes()).hexdigest())
"""


def _digest(kind: str) -> str:
    pixels = picture(Wish(prompt="amber at dusk", seed=7, kind=kind), *SMALL)
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def _to_lab(pixels: np.ndarray) -> np.ndarray:
    """Return the OKLab colours, shape (n, 3), of a sample of the pixels."""
    some = pixels.reshape(-1, 3)[:: max(pixels.size // 3 // 1500, 1)]
    return np.array([colour.from_srgb(*(float(c) / 255 for c in one)) for one in some])


def _unrest(pixels: np.ndarray) -> float:
    """Return how much goes on: the mean difference between places a few pixels apart, grain averaged out."""
    grey = pixels.mean(axis=2)
    rows, columns = grey.shape[0] // 4 * 4, grey.shape[1] // 4 * 4
    coarse = grey[:rows, :columns].reshape(rows // 4, 4, columns // 4, 4).mean(axis=(1, 3))
    return float(np.abs(np.diff(coarse, axis=0)).mean() + np.abs(np.diff(coarse, axis=1)).mean())


@pytest.fixture(scope="module")
def digests_of_another_process() -> dict[str, str]:
    answer = subprocess.run([sys.executable, "-c", _DIGESTS, *KIND_IDS], capture_output=True, text=True, check=True)
    return dict(line.split() for line in answer.stdout.splitlines())


@pytest.mark.parametrize("kind", KIND_IDS)
def test_another_process_draws_the_same_bytes(kind: str, digests_of_another_process: dict[str, str]) -> None:
    assert _digest(kind) == digests_of_another_process[kind]


def test_many_threads_at_once_draw_the_same_bytes() -> None:
    alone = [_digest(kind) for kind in KIND_IDS]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(_digest, KIND_IDS * 2))
    assert together == alone * 2


@pytest.mark.parametrize("kind", KIND_IDS)
@pytest.mark.parametrize("size", [(256, 256), (401, 257), (270, 480), (478, 250), (256, 1024), (1024, 256)])
def test_the_size_is_exact_at_every_ratio(kind: str, size: tuple[int, int]) -> None:
    pixels = picture(Wish(prompt="", seed=2, kind=kind), *size)
    assert pixels.shape == (size[1], size[0], 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 3


@pytest.mark.parametrize("kind", KIND_IDS)
@pytest.mark.parametrize("calm", list(Calm))
def test_every_kind_can_be_drawn_with_every_calm_area(kind: str, calm: Calm) -> None:
    for size in ((256, 384), (512, 268)):
        pixels = picture(Wish(prompt="", seed=4, kind=kind, calm=calm), *size)
        assert pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("kind", KIND_IDS)
def test_another_seed_gives_another_picture(kind: str) -> None:
    one, other = (picture(Wish(prompt="teal", seed=seed, kind=kind), *SMALL) for seed in (1, 2))
    assert np.abs(one.astype(int) - other.astype(int)).mean() > 4


def test_case_and_spaces_of_a_prompt_do_not_change_the_picture() -> None:
    one, other = (picture(Wish(prompt=text, seed=1), *SMALL) for text in ("Dunes in  Amber", " dunes in amber\n"))
    assert np.array_equal(one, other)


def test_the_same_composition_comes_at_another_size() -> None:
    small = picture(Wish(prompt="", seed=5, kind="spheres"), 256, 320).astype(float)
    large = picture(Wish(prompt="", seed=5, kind="spheres"), 512, 640).astype(float)
    shrunk = large.reshape(320, 2, 256, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small).mean() < 4


@pytest.mark.parametrize("kind", KIND_IDS)
@pytest.mark.parametrize("name", ["teal", "violet", "#d92d27"])
def test_the_colour_that_was_asked_for_rules(kind: str, name: str) -> None:
    asked = colour.parse_hex({"teal": "#0f7f80", "violet": "#7a35c4"}.get(name, name))
    lab = _to_lab(picture(Wish(prompt=f"in {name}", seed=3, kind=kind), *SMALL))
    strength = np.hypot(lab[:, 1], lab[:, 2])
    turn = np.angle(np.exp(1j * (np.arctan2(lab[:, 2], lab[:, 1]) - colour.hue(asked))))
    assert strength.mean() > 0.02
    assert np.average(np.abs(turn) < 0.75, weights=strength) > 0.7


@pytest.mark.parametrize("kind", KIND_IDS)
def test_given_colours_outweigh_the_prompts(kind: str) -> None:
    green = colour.parse_hex("#2a9d54")
    lab = _to_lab(picture(Wish(prompt="all in red", seed=3, kind=kind, colours=[green]), *SMALL))
    turn = np.angle(np.exp(1j * (np.arctan2(lab[:, 2], lab[:, 1]) - colour.hue(green))))
    assert np.average(np.abs(turn) < 0.75, weights=np.hypot(lab[:, 1], lab[:, 2])) > 0.7


@pytest.mark.parametrize("kind", KIND_IDS)
@pytest.mark.parametrize("calm", [Calm.TOP, Calm.BOTTOM, Calm.LEFT, Calm.RIGHT])
def test_the_calm_area_is_calmer_than_the_rest(kind: str, calm: Calm) -> None:
    width, height = 384, 480
    inside, outside = [], []
    for seed in (11, 12, 13):
        pixels = picture(Wish(prompt="", seed=seed, kind=kind, calm=calm), width, height).astype(float)
        parts = {
            Calm.TOP: (pixels[: height // 3], pixels[height // 2 :]),
            Calm.BOTTOM: (pixels[-height // 3 :], pixels[: height // 2]),
            Calm.LEFT: (pixels[:, : width // 3], pixels[:, width // 2 :]),
            Calm.RIGHT: (pixels[:, -width // 3 :], pixels[:, : width // 2]),
        }[calm]
        inside.append(_unrest(parts[0]))
        outside.append(_unrest(parts[1]))
    assert sum(inside) < 0.75 * sum(outside)


def test_no_step_of_a_smooth_sky_shows_as_a_band() -> None:
    pixels = picture(Wish(prompt="", seed=1, kind="dunes"), 512, 640)
    rows = pixels[:60].reshape(60, -1)
    assert all(len(np.unique(row)) > 3 for row in rows)
