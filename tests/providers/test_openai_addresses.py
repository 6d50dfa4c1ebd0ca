"""Answers that tell where the pictures lie instead of having them in: fetched at once, and never drawn again."""

from __future__ import annotations

import io
import logging
import socket
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from PIL import Image
from pydantic import SecretStr

from imagegen.core.fetch import Fetcher
from imagegen.providers import downloads
from imagegen.providers.base import Accepted, ProviderConfig
from imagegen.providers.errors import Outcome, ProviderError
from imagegen.providers.openai import OpenAIProvider
from tests.fakes.downloads import DOWNLOADS
from tests.fakes.file_server import FileServer
from tests.fakes.openai_server import SIGNATURE
from tests.waiting import LATE

ENDINGS = {
    "403": ("bad_answer", "status 403", 3),
    "404": ("bad_answer", "status 404", 3),
    "410": ("bad_answer", "status 410", 1),
    "500": ("unavailable", "status 500", 3),
    "503": ("unavailable", "status 503", 3),
    "204": ("bad_answer", "status 204", 1),
    "redirect": ("unavailable", "cannot be reached", 3),
    "redirect_private": ("bad_answer", "https://", 1),
    "redirect_file": ("bad_answer", "not an address", 1),
    "redirects": ("bad_answer", "sent the request on too often", 3),
    "hang": ("timeout", "in time", 1),
    "drip": ("timeout", "in time", 1),
    "drip_head": ("timeout", "in time", 1),
    "cut": ("unavailable", "connection broke", 3),
    "cut_before": ("unavailable", "connection broke", 3),
    "huge_length": ("bad_answer", "larger than 33 MB", 1),
    "endless": ("bad_answer", "larger than 33 MB", 1),
    "endless_head": ("unavailable", "connection broke", 3),
    "packed_strangely": ("bad_answer", "packed", 1),
    "packed_and_broken": ("bad_answer", "packed", 1),
    "packed_and_cut": ("unavailable", "connection broke", 3),
    "bomb": ("bad_answer", "larger than 33 MB", 1),
    "empty": ("bad_answer", "no PNG, JPEG or WebP", 1),
    "html": ("bad_answer", "no PNG, JPEG or WebP", 1),
    "html_as_picture": ("bad_answer", "no PNG, JPEG or WebP", 1),
    "svg": ("bad_answer", "no PNG, JPEG or WebP", 1),
}
"""For each way: the error's kind, its words, and how often the address is asked."""
ENDS_WELL = {"none", "packed", "packed_and_more", "packed_with_a_tail", "wrong_type", "animated"}
"""An animation is a WebP by its first bytes; that it moves is found when it is decoded."""
SLOW = {"hang", "drip", "drip_head"}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(downloads, "WAITS", (0.01, 0.01))


def no_names(host: str, port: int) -> list[str]:
    raise socket.gaierror("this test has no name server")


@pytest.fixture
def provider(server):
    config = ProviderConfig(key=SecretStr(server.key), base_url=server.base_url)
    provider = OpenAIProvider(config, fetcher=Fetcher(resolver=no_names))
    yield provider
    provider.close()


def failure(call, *args, **more) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call(*args, **more)
    return caught.value


def test_every_way_of_the_stand_in_has_an_expected_ending():
    assert set(DOWNLOADS) == set(ENDINGS) | ENDS_WELL


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_the_picture_is_downloaded_at_once(provider, server, ask, output_format):
    server.script_downloads()

    result = provider.generate(ask(output_format=output_format))

    [image] = result.images
    assert Image.open(io.BytesIO(image.data)).format == output_format.upper()
    assert image.mime_type == f"image/{output_format}"
    assert (result.usage is not None, result.request_id[:4]) == (True, "req_")
    assert (len(server.requests), len(server.fetched)) == (1, 1)
    assert server.fetched[0].arrived_at - server.requests[0].answered_at < 5


@pytest.mark.parametrize("model", ["dall-e-3", "gpt-image-2.6-flare"])
def test_several_pictures_are_downloaded_in_their_order(provider, server, ask, model):
    server.script_downloads()

    result = provider.generate(ask(model=model, n=1 if model == "dall-e-3" else 3))

    paths = [seen.path for seen in server.fetched]
    assert len(set(paths)) == len(result.images) == len(paths)
    assert len({image.data for image in result.images}) == len(paths)


@pytest.mark.parametrize("way", sorted(ENDS_WELL))
def test_the_bytes_decide_and_not_what_the_server_calls_them(provider, server, ask, way):
    server.script_downloads(way)

    [image] = provider.generate(ask()).images

    assert image.mime_type == ("image/webp" if way == "animated" else "image/png")


@pytest.mark.parametrize("way", ENDINGS)
def test_a_picture_that_cannot_be_had_was_billed_and_is_not_drawn_again(provider, server, ask, way):
    kind, words, times = ENDINGS[way]
    server.script_downloads(*[way] * 9)

    error = failure(provider.generate, ask(deadline_seconds=0.6 if way in SLOW else 20.0))

    assert (error.kind, error.outcome, error.retryable) == (kind, Outcome.ACCEPTED, False)
    assert words in error.message
    assert error.message.endswith(".")
    assert (error.usage is not None, error.request_id[:4]) == (True, "req_")
    assert (len(server.requests), len(server.fetched)) == (1, times)


@pytest.mark.parametrize("way", ["403", "404", "500", "503", "cut", "cut_before"])
def test_a_download_that_fails_once_is_tried_again(provider, server, ask, way):
    server.script_downloads(way)

    assert provider.generate(ask()).images
    assert (len(server.requests), len(server.fetched)) == (1, 2)


@pytest.mark.parametrize("way", sorted(ENDINGS))
def test_neither_address_nor_key_is_in_an_error_or_a_log(provider, server, ask, way, caplog):
    caplog.set_level(logging.INFO)
    server.script_downloads(*[way] * 9)

    error = failure(provider.generate, ask(deadline_seconds=0.6 if way in SLOW else 20.0))

    told = [error.message, repr(error), str(vars(error)), caplog.text]
    told += traceback.TracebackException.from_exception(error).format()
    assert server.fetched[0].path.endswith(SIGNATURE)
    assert not [text for text in told if SIGNATURE in text or server.key in text]


def test_the_key_is_not_sent_to_where_the_pictures_lie(provider, server, ask):
    server.script_downloads()

    provider.generate(ask())

    assert "authorization" not in server.fetched[0].headers
    assert server.key not in str(server.fetched[0].headers)


def test_the_whole_call_with_its_download_ends_at_the_deadline(provider, server, ask):
    server.script(latency=0.5)
    server.script_downloads("drip")

    begun = time.monotonic()
    error = failure(provider.generate, ask(deadline_seconds=1.0))

    assert (error.kind, error.outcome) == ("timeout", Outcome.ACCEPTED)
    assert 0.9 < time.monotonic() - begun < 1.0 + LATE


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://127.1/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://2130706433/",
        "file:///etc/passwd",
        "https://user@pictures.example/",
        "https://pictures.example:22/",
        "pictures and more",
    ],
)
def test_an_address_that_leads_inside_is_not_followed(provider, url):
    receipt = Accepted(model="gpt-image-2.6-flare", n=1, receipt=f'["{url}"]')

    error = failure(provider.resume, receipt)

    assert (error.kind, error.outcome) == ("bad_answer", Outcome.ACCEPTED)
    assert "has made the picture, but it cannot be fetched" in error.message
    assert url not in error.message


def test_only_the_base_url_itself_may_lie_inside(provider, server, ask):
    with FileServer(b"secrets of the machine") as canary:
        server.script_downloads({"kind": "redirect", "to": canary.url})

        error = failure(provider.generate, ask())

        assert (error.kind, canary.hits) == ("bad_answer", [])


def test_a_list_of_too_many_addresses_is_not_followed(provider, server):
    paths = ",".join(f'"{server.base_url}/{n}.png"' for n in range(1000))

    error = failure(provider.resume, Accepted(model="gpt-image-2.6-flare", n=2, receipt=f"[{paths}]"))

    assert (error.kind, error.outcome) == ("bad_answer", Outcome.ACCEPTED)
    assert "(1000) than it was asked for (2)" in error.message
    assert server.fetched == []


def test_another_process_resumes_the_download_without_a_new_request(provider, server, ask):
    """As after a crash between the answer and the download: what was kept is enough."""
    kept: list[SecretStr] = []
    server.script_downloads("410")
    failure(provider.generate, ask(), lambda accepted: kept.append(accepted.dumps()))
    config = ProviderConfig(key=SecretStr(server.key), base_url=server.base_url)
    other = OpenAIProvider(config)

    result = other.resume(Accepted.loads(kept[0]), deadline_seconds=10)

    assert result.images[0].mime_type == "image/png"
    assert result.usage.output_tokens == server.requests[0].usage["output_tokens"]
    assert (len(server.requests), len(server.fetched)) == (1, 2)
    assert SIGNATURE in kept[0].get_secret_value()


def test_the_receipt_is_told_before_the_download_begins(provider, server, ask):
    fetched_by_then: list[int] = []
    server.script_downloads()

    provider.generate(ask(), lambda accepted: fetched_by_then.append(len(server.fetched)))

    assert fetched_by_then == [0]


def test_an_answer_with_the_pictures_in_it_has_no_receipt(provider, server, ask):
    kept: list[Accepted] = []

    provider.generate(ask(), kept.append)

    assert (kept, server.fetched) == ([], [])


def test_a_receipt_of_another_make_is_a_mistake_that_was_billed(provider):
    error = failure(provider.resume, Accepted(model="gpt-image-2.6-flare", n=1, receipt="job-7"))

    assert (error.kind, error.outcome, error.retryable) == ("internal", Outcome.ACCEPTED, False)


def test_many_threads_download_at_once(provider, server, ask):
    server.script_downloads(*[{"kind": "none", "latency": 1.0}] * 16)
    begun = time.monotonic()

    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda _: provider.generate(ask()), range(16)))

    assert len({result.images[0].data for result in results}) == 16
    assert time.monotonic() - begun < LATE


def test_a_request_without_time_left_for_the_download_keeps_its_receipt(provider, server, ask):
    kept: list[Accepted] = []
    server.script_downloads("hang")

    failure(provider.generate, replace(ask(), deadline_seconds=0.5), kept.append)

    assert provider.resume(kept[0]).images
