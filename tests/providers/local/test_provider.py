"""The local provider behind the interface that all providers share."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from imagegen.core.errors import ErrorKind
from imagegen.providers.base import ImageRequest, ProviderConfig
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.local import provider as own
from imagegen.providers.local.kinds import KINDS
from imagegen.providers.local.provider import STUDIO, LocalProvider


def _request(**changes: object) -> ImageRequest:
    wanted = {"model": STUDIO.id, "prompt": "dunes in amber", "width": 256, "height": 320, "seed": 1}
    return ImageRequest(**{**wanted, **changes})  # type: ignore[arg-type]


@pytest.fixture
def provider() -> LocalProvider:
    return LocalProvider(ProviderConfig())


def test_it_is_always_there(provider: LocalProvider) -> None:
    assert provider.available().ok
    assert provider.key_setting is None


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
def test_each_format_decodes_to_the_size_that_was_asked_for(provider: LocalProvider, image_format: str) -> None:
    (payload,) = provider.generate(_request(output_format=image_format)).images
    with Image.open(io.BytesIO(payload.data)) as opened:
        opened.load()
        assert opened.size == (256, 320)
        assert opened.format == image_format.upper()
        assert opened.mode == "RGB"
    assert payload.mime_type == f"image/{image_format}"


def test_the_same_request_gives_the_same_file(provider: LocalProvider) -> None:
    first, again = (provider.generate(_request()).images[0].data for _ in range(2))
    assert first == again


def test_without_a_seed_it_tells_the_one_it_took(provider: LocalProvider) -> None:
    (payload,) = provider.generate(_request(seed=None)).images
    assert payload.seed is not None
    (again,) = provider.generate(_request(seed=payload.seed)).images
    assert again.data == payload.data


def test_two_requests_without_a_seed_differ(provider: LocalProvider) -> None:
    seeds = {provider.generate(_request(seed=None)).images[0].seed for _ in range(4)}
    assert len(seeds) == 4


def test_many_requests_at_once_are_drawn_a_few_at_a_time(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the first is done soon, and cores are left for what comes after it."""
    drawing, most, lock, draw = 0, 0, threading.Lock(), own.picture

    def picture(*wanted: Any) -> Any:
        nonlocal drawing, most
        with lock:
            drawing, most = drawing + 1, max(most, drawing + 1)
        try:
            time.sleep(0.01)
            return draw(*wanted)
        finally:
            with lock:
                drawing -= 1

    monkeypatch.setattr(own, "picture", picture)
    monkeypatch.setattr(own, "_drawing_slots", threading.BoundedSemaphore(2))
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda seed: provider.generate(_request(seed=seed)), range(16)))
    assert len({result.images[0].data for result in results}) == 16
    assert most == 2


def test_hints_choose_kind_colours_and_calm_area(provider: LocalProvider) -> None:
    plain = provider.generate(_request()).images[0].data
    for hints in ({"kind": "silk"}, {"colours": "#0f7f80, #fff"}, {"calm": "top"}):
        assert provider.generate(_request(hints=hints)).images[0].data != plain


@pytest.mark.parametrize("hints", [{"kind": "portrait"}, {"colours": "#0f7f80, tealish"}, {"calm": "upstairs"}])
def test_a_hint_that_means_nothing_is_refused_with_a_sentence(provider: LocalProvider, hints: dict[str, str]) -> None:
    with pytest.raises(ProviderError) as caught:
        provider.generate(_request(hints=hints))
    assert caught.value.kind is ErrorKind.BAD_REQUEST
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.field == next(iter(hints))
    assert caught.value.message.endswith(".")


@pytest.mark.parametrize("size", [(200, 400), (4096, 2048), (256, 2000)])
def test_a_size_beyond_the_rule_is_refused(provider: LocalProvider, size: tuple[int, int]) -> None:
    with pytest.raises(ProviderError):
        provider.generate(_request(width=size[0], height=size[1]))


@pytest.mark.parametrize("size", [(1080, 1350), (1080, 1920), (1920, 1080), (1200, 628), (1024, 1792)])
def test_the_sizes_of_the_networks_are_drawn(size: tuple[int, int]) -> None:
    assert STUDIO.draws(size)


def test_a_negative_prompt_is_heeded(provider: LocalProvider) -> None:
    every_kind = ", ".join(kind.id for kind in KINDS if kind.id != "geometric")
    plain = provider.generate(_request(prompt="abstract")).images[0].data
    without = provider.generate(_request(prompt="abstract", negative_prompt=every_kind)).images[0].data
    assert plain != without
