"""Searching the library: words and parts of words, over names and prompts, of one's own organisation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from imagegen.models import Image, organisation_scope, system_scope, unit_of_work
from imagegen.services import library
from tests.models.rows import Member, add_member

PICTURES = {
    "launch-000404.jpg": "Paper lighthouse at dusk",
    "waves-1.png": "Violet waves, 100% calm",
    "dunes_2.png": "Amber dunes at dusk",
}


def picture(member: Member, filename: str, prompt: str) -> Image:
    return Image(
        organisation_id=member.organisation_id,
        user_id=member.user_id,
        kind="ai_generated",
        filename=filename,
        prompt=prompt,
        mime_type="image/png",
        width=4,
        height=5,
        file_size=1,
        sha256="0" * 64,
        storage_provider="local",
        file_key="none",
        renditions=[],
        colours=[],
    )


@pytest.fixture(autouse=True)
def library_of_ann(app: Flask) -> Iterator[None]:
    """Ann's three pictures, and Bob's that says the same words."""
    ann, bob = add_member(), add_member("bob", "Two")
    with system_scope(), unit_of_work() as uow:
        uow.add_all(picture(ann, name, prompt) for name, prompt in PICTURES.items())
        uow.add(picture(bob, "bobs.png", "Paper lighthouse at dusk"))
    with organisation_scope(ann.organisation_id):
        yield


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("lighthouse", ["launch-000404.jpg"]),
        ("LIGHT", ["launch-000404.jpg"]),
        ("404", ["launch-000404.jpg"]),
        ("dusk", ["dunes_2.png", "launch-000404.jpg"]),
        ("dusk amber", ["dunes_2.png"]),
        ("  ", ["dunes_2.png", "waves-1.png", "launch-000404.jpg"]),
        ("100%", ["waves-1.png"]),
        ("%", ["waves-1.png"]),
        ("_", ["dunes_2.png"]),
        ("' OR 1=1 --", []),
        ("nowhere", []),
    ],
)
def test_words_and_parts_of_words_are_found_as_they_are_typed(q: str, found: list[str]) -> None:
    assert [row.filename for row in library.list_images(library.Wish(q=q)).items] == found


def test_a_search_goes_on_over_pages() -> None:
    first = library.list_images(library.Wish(q="dusk"), limit=1)
    second = library.list_images(library.Wish(q="dusk"), limit=1, cursor=first.next_cursor)

    assert [row.filename for row in (*first.items, *second.items)] == ["dunes_2.png", "launch-000404.jpg"]
    assert second.next_cursor is None
