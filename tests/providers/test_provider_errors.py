"""Errors of providers: what they promise by themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from imagegen.core.errors import ErrorKind
from imagegen.providers.errors import LONGEST_MESSAGE, Outcome, ProviderError, scrub

CANARY = "hunter2-canary-9d1f"


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.UNKNOWN])
def test_what_may_be_billed_can_never_be_marked_for_another_try(outcome):
    with pytest.raises(ValueError, match="must not be sent again"):
        ProviderError("It broke.", kind=ErrorKind.UNKNOWN, outcome=outcome, retryable=True)


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdef123456.",
        "Incorrect API key provided: sk-ab***wxyz.",
        "authorization: Bearer abcdefghij",
        "token r8_abcdefghijkl",
    ],
)
def test_whatever_looks_like_a_key_is_taken_out(text):
    cleaned = scrub(text)

    assert "[key]" in cleaned
    assert "abcdef" not in cleaned
    assert "wxyz" not in cleaned


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_named_secret_is_in_no_part_of_an_error(before, after):
    error = ProviderError(
        before + CANARY + after,
        kind=ErrorKind.AUTH,
        outcome=Outcome.REJECTED,
        code=CANARY,
        request_id="x" + CANARY,
        secrets=[SecretStr(CANARY)],
    )

    assert CANARY not in f"{error!r} {error} {error.message} {vars(error)}"
    assert len(error.message) <= LONGEST_MESSAGE


def test_ordinary_words_stay_as_they_are():
    assert scrub("The task-force asked a risk-averse bearer of news.") == (
        "The task-force asked a risk-averse bearer of news."
    )


def test_a_short_word_is_no_secret():
    assert scrub("a cat", [SecretStr("a")]) == "a cat"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ErrorKind.BAD_REQUEST, 422),
        (ErrorKind.RATE_LIMITED, 429),
        (ErrorKind.AUTH, 502),
        (ErrorKind.UNAVAILABLE, 503),
    ],
)
def test_each_kind_answers_with_its_status(kind, status):
    assert ProviderError("No.", kind=kind, outcome=Outcome.REJECTED).status == status
