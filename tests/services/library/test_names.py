"""Names of tags and collections."""

from __future__ import annotations

import pytest

from imagegen.core.errors import StudioError
from imagegen.services.library import Wish, collections, searches, tags
from tests.models.rows import Member
from tests.services.library.conftest import Add

LIGATURE = "\ufdfa"
"""One letter that is eighteen once its variants are taken away."""


def test_a_tag_that_grows_too_long_where_it_is_compared_is_refused(add: Add) -> None:
    with pytest.raises(StudioError, match="too long"):
        tags.tag_all(public_ids=[add().public_id], names=[LIGATURE * tags.LONGEST])


def test_so_is_a_collections_name(ann: Member) -> None:
    with pytest.raises(StudioError) as refused:
        collections.make(
            organisation_id=ann.organisation_id, user_id=ann.user_id, name=LIGATURE * collections.LONGEST
        )
    assert refused.value.field == "name"


@pytest.mark.parametrize("name", ["", "  ", "\u0301", "\u200b", "\u202e\u2066 \ufeff"])
def test_a_tag_keeps_some_name(add: Add, name: str) -> None:
    tags.tag_all(public_ids=[add().public_id], names=["Launch"])
    (tag,) = tags.all_tags()
    with pytest.raises(StudioError) as refused:
        tags.rename(public_id=tag.public_id, name=name)
    assert refused.value.field == "name"


@pytest.mark.parametrize("name", ["", " \u00a0", "\u0301", "\u200b", "\u202e\u2066 \ufeff"])
def test_collections_and_searches_have_names_that_can_be_seen(ann: Member, name: str) -> None:
    whose = {"organisation_id": ann.organisation_id, "user_id": ann.user_id}
    with pytest.raises(StudioError) as refused:
        collections.make(**whose, name=name)
    assert refused.value.field == "name"
    with pytest.raises(StudioError) as refused:
        searches.save(**whose, name=name, wish=Wish(q="sea"))
    assert refused.value.field == "name"


@pytest.mark.parametrize("name", ["👩\u200d👩\u200d👧", "☀\ufe0f", "مجموعة", "ש\u05c1", "#1", "・"])
def test_names_of_all_scripts_and_signs_are_names(ann: Member, name: str) -> None:
    made = collections.make(organisation_id=ann.organisation_id, user_id=ann.user_id, name=name)
    assert made.name
