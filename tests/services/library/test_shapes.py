"""A search's statement is made of its shape alone: what is typed and chosen is a parameter of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from imagegen.services import library
from imagegen.services.library import Wish
from tests.models.rows import Member
from tests.services.test_library_paging import selects

OF_ONE_SHAPE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"q": "lighthouse"}, {"q": "100%_'\""}),
    ({"filter": "uploaded"}, {"colour": "blue"}),
    ({"sort": "name", "filter": "favourites"}, {"sort": "name", "orientation": "square"}),
    ({"since": date(2026, 1, 1)}, {"until": date(2026, 2, 2)}),
    ({"q": "two words", "style": "minimalist"}, {"q": "lighthouse dusk", "filter": "unused"}),
]


def statement_of(**wishes: Any) -> str:
    """Return what a page of a wish asks."""
    with selects() as asked:
        library.list_images(Wish(**wishes), limit=7)
    assert len(asked) == 1
    return asked[0]


@pytest.mark.parametrize(("one", "other"), OF_ONE_SHAPE)
def test_two_searches_of_one_shape_ask_in_the_same_words(
    ann: Member, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert statement_of(**one) == statement_of(**other)


def test_one_word_more_is_another_shape(ann: Member) -> None:
    assert statement_of(q="dusk") != statement_of(q="dusk violin")


def test_nothing_that_is_typed_stands_in_the_statement(ann: Member) -> None:
    wishes = {"q": "zebrafish", "style": "minimalist", "tag": "launch", "since": date(2026, 1, 1)}
    for sort in ("newest", "oldest", "most_used", "name"):
        statement = statement_of(**wishes, sort=sort)
        assert not any(word in statement for word in ("zebra", "minimalist", "launch", "2026"))
