"""Sentences that can still be translated, and words as they may be stored."""

from __future__ import annotations

import copy
import pickle

from hypothesis import given
from hypothesis import strategies as st

from imagegen.core.text import N_, Message, clean, one_line, translate

GERMAN = {
    "{model} draws at most {edge} pixels.": "{model} zeichnet höchstens {edge} Pixel.",
    "Use {successor} instead.": "Nimm stattdessen {successor}.",
    "Try again.": "Versuch es noch einmal.",
}


def german(text: str) -> str:
    return GERMAN.get(text, text)


def test_a_filled_sentence_reads_in_english_and_in_another_language() -> None:
    said = N_("{model} draws at most {edge} pixels.").format(model="Studio", edge=4096)

    assert said == "Studio draws at most 4096 pixels."
    assert translate(said, german) == "Studio zeichnet höchstens 4096 Pixel."


def test_joined_sentences_are_translated_one_by_one() -> None:
    said = N_("Try again.") + " " + N_("Use {successor} instead.").format(successor="this")

    assert said == "Try again. Use this instead."
    assert translate(said, german) == "Versuch es noch einmal. Nimm stattdessen this."


@given(st.text(max_size=60))
def test_what_fills_a_place_is_never_read_as_a_pattern(hostile: str) -> None:
    said = N_("{model} draws at most {edge} pixels.").format(model=hostile, edge="{model}")

    assert said == f"{hostile} draws at most {{model}} pixels."
    assert translate(said, german) == f"{hostile} zeichnet höchstens {{model}} Pixel."


@given(st.text(max_size=60))
def test_plain_text_is_looked_up_as_it_stands(text: str) -> None:
    assert translate(text, german) == german(text)


def test_a_message_survives_copies() -> None:
    said = N_("Use {successor} instead.").format(successor="x")

    for twin in (copy.copy(said), copy.deepcopy(said), pickle.loads(pickle.dumps(said))):
        assert isinstance(twin, Message)
        assert (twin, twin.parts) == (said, said.parts)


@given(st.text(max_size=200))
def test_cleaned_text_can_be_stored_and_forges_no_line(text: str) -> None:
    cleaned = clean(text)

    cleaned.encode("utf-8")
    assert not set(cleaned) & {chr(code) for code in (0, 8, 11, 12, 13, 27, 30, 127)}
    assert clean(cleaned) == cleaned


@given(st.text(max_size=200), st.integers(2, 50))
def test_one_line_is_one_line_of_bounded_length(text: str, limit: int) -> None:
    line = one_line(text, limit)

    assert len(line) <= limit
    assert len(line.splitlines()) <= 1


def test_a_short_message_on_one_line_stays_a_message() -> None:
    said = N_("Try again.")

    assert one_line(said, 50) is said
