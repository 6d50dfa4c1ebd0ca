"""Words are folded alike, whoever writes them down and whoever types them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegen.services.library.words import fold

pytestmark = pytest.mark.databases("sqlite")  # no database is asked


@given(st.text())
def test_what_is_folded_folds_to_itself(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(), st.sampled_from(["NFC", "NFD"]))
def test_how_accents_are_written_makes_no_difference(text: str, form: str) -> None:
    assert fold(unicodedata.normalize(form, text)) == fold(text)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Straße", "strasse"),
        ("ÉTÉ", "ete"),
        ("20℃", "20°c"),
        ("Brand™", "brandtm"),
        ("№ 1", "no 1"),
        ("\uff21\uff22", "ab"),
    ],
)
def test_letters_have_no_case_accent_or_variant(text: str, folded: str) -> None:
    assert fold(text) == folded
