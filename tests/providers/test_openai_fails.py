"""What each failure of OpenAI ends as: how far it got, its kind, a sentence, and never the key."""

from __future__ import annotations

import logging
import socket
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from imagegen.providers import openai_errors
from imagegen.providers.base import ProviderConfig
from imagegen.providers.errors import LONGEST_WAIT_SECONDS, Outcome, ProviderError
from imagegen.providers.openai import OpenAIProvider
from tests.fakes.openai_faults import FAULTS
from tests.waiting import LATE

REJECTED, ACCEPTED, UNKNOWN, NOT_SENT = Outcome.REJECTED, Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.NOT_SENT

ENDINGS = {
    "401": ("auth", REJECTED, False, "did not accept the key"),
    "403": ("auth", REJECTED, False, "does not let this key use"),
    "403_verification": ("auth", REJECTED, False, "verified"),
    "400": ("bad_request", REJECTED, False, "Unknown parameter: 'style'"),
    "400_moderation": ("refused", REJECTED, False, "(violence, sexual)"),
    "400_billing": ("billing", REJECTED, False, "spending limit"),
    "404_model": ("bad_request", REJECTED, False, "has no model"),
    "429": ("rate_limited", REJECTED, True, "no more requests"),
    "429_quota": ("billing", REJECTED, False, "no credit"),
    "500": ("unavailable", REJECTED, True, "problem of its own"),
    "502": ("unavailable", REJECTED, True, "problem of its own"),
    "503": ("unavailable", REJECTED, True, "problem of its own"),
    "redirect": ("bad_answer", REJECTED, False, "base URL"),
    "html": ("bad_answer", ACCEPTED, False, "not the answer it promises"),
    "broken_json": ("bad_answer", ACCEPTED, False, "not the answer it promises"),
    "list": ("bad_answer", ACCEPTED, False, "not the answer it promises"),
    "error_in_200": ("bad_answer", ACCEPTED, False, "without a picture"),
    "broken_base64": ("bad_answer", ACCEPTED, False, "cannot be decoded"),
    "empty_data": ("bad_answer", ACCEPTED, False, "without a picture"),
    "no_data": ("bad_answer", ACCEPTED, False, "without a picture"),
    "wrong_count": ("bad_answer", ACCEPTED, False, "another number of pictures"),
    "not_a_picture": ("bad_answer", ACCEPTED, False, "not a PNG, JPEG or WebP"),
    "address": ("bad_answer", ACCEPTED, False, "leads into a private network"),
    "endless": ("bad_answer", ACCEPTED, False, "too long"),
    "packed": ("bad_answer", ACCEPTED, False, "packed"),
    "cut": ("unknown", UNKNOWN, False, "broke before"),
    "cut_before": ("unknown", UNKNOWN, False, "broke before"),
    "hang": ("unknown", UNKNOWN, False, "in time"),
    "drip": ("unknown", UNKNOWN, False, "in time"),
    "drip_headers": ("unknown", UNKNOWN, False, "in time"),
}
HARMLESS = {"none", "no_usage", "broken_usage", "huge_usage", "long_request_id"}
USAGE_TOLD = {"broken_base64", "empty_data", "no_data", "wrong_count", "not_a_picture", "address"}
SLOW = {"hang", "drip", "drip_headers"}


def failure(provider, request) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        provider.generate(request)
    return caught.value


def test_every_fault_of_the_stand_in_has_an_expected_ending():
    assert set(FAULTS) == set(ENDINGS) | HARMLESS


@pytest.mark.parametrize("fault", ENDINGS)
def test_each_fault_ends_as_it_should_after_one_request(provider, server, ask, fault):
    kind, outcome, retryable, words = ENDINGS[fault]
    server.script(fault)

    error = failure(provider, ask(deadline_seconds=0.6 if fault in SLOW else 20.0))

    assert (error.kind, error.outcome, error.retryable) == (kind, outcome, retryable)
    assert words in error.message
    assert error.message.endswith((".", "”"))
    assert len(server.requests) == 1
    assert (error.usage is not None) == (fault in USAGE_TOLD)


@pytest.mark.parametrize("fault", ENDINGS)
def test_the_key_is_in_no_error_no_traceback_and_no_log(provider, server, ask, fault, caplog):
    caplog.set_level(logging.DEBUG)
    quoted = {"kind": fault, "message": "Bad key {authorization}, it verifies nothing."}
    server.script(quoted)

    error = failure(provider, ask(deadline_seconds=0.6 if fault in SLOW else 20.0))

    told = [error.message, repr(error), str(vars(error)), caplog.text, repr(provider.config)]
    told += traceback.TracebackException.from_exception(error, capture_locals=True).format()
    assert server.requests[0].headers["authorization"] == f"Bearer {server.key}"
    assert not [text for text in told if server.key in text]


@pytest.mark.parametrize("fault", sorted(SLOW))
def test_a_call_ends_at_its_deadline_however_the_answer_trickles(provider, server, ask, fault):
    server.script({"kind": fault, "seconds": 0.05})

    begun = time.monotonic()
    failure(provider, ask(deadline_seconds=0.5))

    assert 0.4 < time.monotonic() - begun < 0.5 + LATE


def test_after_a_deadline_the_next_call_works(provider, server, ask):
    server.script("hang", "cut", "drip")
    for _ in range(3):
        failure(provider, ask(deadline_seconds=0.4))

    assert provider.generate(ask()).images


def test_a_server_error_that_comes_late_leaves_the_fate_unknown(provider, server, ask, monkeypatch):
    monkeypatch.setattr(openai_errors, "QUICK_SECONDS", 0.2)
    server.script({"kind": "500", "latency": 0.4})

    error = failure(provider, ask())

    assert (error.kind, error.outcome, error.retryable) == ("unknown", UNKNOWN, False)


def test_a_refused_connection_was_never_sent_and_may_be_tried_again(ask):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        provider = OpenAIProvider(ProviderConfig(key=SecretStr("sk-test-key"), base_url=base_url))
        error = failure(provider, ask())

    assert (error.kind, error.outcome, error.retryable) == ("unavailable", NOT_SENT, True)


def test_a_server_that_takes_no_connection_was_never_sent_anything(ask, monkeypatch):
    monkeypatch.setattr("imagegen.providers.transport.CONNECT_SECONDS", 0.3)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for queued in waiting:
            queued.setblocking(False)
            queued.connect_ex(full.getsockname())
        base_url = "http://{}:{}/v1".format(*full.getsockname())
        provider = OpenAIProvider(ProviderConfig(key=SecretStr("sk-test-key"), base_url=base_url))
        error = failure(provider, ask())
        for queued in waiting:
            queued.close()

    assert (error.kind, error.outcome, error.retryable) == ("unavailable", NOT_SENT, True)


def test_a_call_without_time_left_is_not_sent(provider, server, ask):
    error = failure(provider, ask(deadline_seconds=0.0))

    assert (error.kind, error.outcome, error.retryable) == ("timeout", NOT_SENT, True)
    assert server.requests == []


def test_a_call_that_waits_too_long_for_a_free_connection_is_not_sent(server, ask):
    config = ProviderConfig(key=SecretStr(server.key), base_url=server.base_url, max_connections=0)
    provider = OpenAIProvider(config)

    error = failure(provider, ask(deadline_seconds=0.3))

    assert (error.kind, error.outcome, error.retryable) == ("timeout", NOT_SENT, True)
    assert server.requests == []


@pytest.mark.parametrize(
    ("header", "value", "seconds"),
    [
        ("retry_after", "7", 7.0),
        ("retry_after", "1.5", 1.5),
        ("retry_after_ms", "250", 0.25),
        ("retry_after", "99999999", LONGEST_WAIT_SECONDS),
        ("retry_after", "inf", LONGEST_WAIT_SECONDS),
        ("retry_after", "-5", 0.0),
        ("retry_after", "nan", None),
        ("retry_after", "soon", None),
    ],
)
def test_the_wait_that_a_rate_limit_asks_for_is_kept_within_bounds(provider, server, ask, header, value, seconds):
    server.script({"kind": "429", header: value})

    assert failure(provider, ask()).retry_after == seconds


def test_a_wait_until_a_date_is_counted_from_now(provider, server, ask):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    server.script({"kind": "429", "retry_after": date})

    assert 55 < failure(provider, ask()).retry_after <= 60


def test_only_what_may_be_sent_again_carries_a_wait(provider, server, ask):
    server.script({"kind": "429_quota", "retry_after": "7"})

    assert failure(provider, ask()).retry_after is None


def test_the_providers_words_come_on_one_line_and_short(provider, server, ask):
    server.script({"kind": "400", "message": "<b>No</b>\r\n\x00" + "x" * 5000})

    message = failure(provider, ask()).message

    assert "\n" not in message
    assert "\x00" not in message
    assert len(message) < 400


def test_a_dead_model_names_its_successor(provider, server, ask):
    server.script("404_model")

    error = failure(provider, ask(model="gpt-image-1.5"))

    assert "gpt-image-2.6-flare" in error.message
    assert error.kind == "bad_request"


def test_an_error_keeps_the_providers_code_and_request_id(provider, server, ask):
    server.script("400_moderation")

    error = failure(provider, ask())

    assert error.code == "moderation_blocked"
    assert error.request_id.startswith("req_")


def test_a_key_that_is_not_the_servers_is_refused(server, ask):
    provider = OpenAIProvider(ProviderConfig(key=SecretStr("sk-another-key"), base_url=server.base_url))

    assert failure(provider, ask()).kind == "auth"


def test_a_base_url_without_an_image_service_says_so(server, ask):
    config = ProviderConfig(key=SecretStr(server.key), base_url=server.base_url + "/nowhere")

    error = failure(OpenAIProvider(config), ask())

    assert error.kind == "bad_request"
    assert "base URL" in error.message
