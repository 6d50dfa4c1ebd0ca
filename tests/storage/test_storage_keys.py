"""Keys are made of ids and hashes; nothing that a person typed can become a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagegen.core.ids import new_id
from imagegen.storage import keys
from imagegen.storage.errors import InvalidKey

ORG, USER, SHA = new_id(), new_id(), "ab" + "0" * 62


def test_a_file_lies_in_its_organisations_and_persons_folder() -> None:
    assert keys.file_key(ORG, USER, SHA, "png") == f"orgs/{ORG}/users/{USER}/files/ab/{SHA}.png"


def test_received_bytes_lie_beside_the_files() -> None:
    assert keys.received_key(ORG, USER, SHA, "jpg") == f"orgs/{ORG}/users/{USER}/received/ab/{SHA}.jpg"


def test_a_rendition_is_named_by_its_file_and_width() -> None:
    assert keys.rendition_key(ORG, USER, SHA, 512) == f"orgs/{ORG}/users/{USER}/renditions/ab/{SHA}-512.webp"


def test_the_content_hash_can_be_read_from_files_but_not_from_renditions() -> None:
    assert keys.content_hash(keys.file_key(ORG, USER, SHA, "png")) == SHA
    assert keys.content_hash(keys.rendition_key(ORG, USER, SHA, 256)) is None


HOSTILE = ["..", "../" * 9, "/etc/passwd", "a\0b", "", ".", "%2e%2e", "CON", "x" * 400, "ab\n", "\u202egnp"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_part_of_a_key_takes_hostile_text(text: str) -> None:
    for make in (
        lambda: keys.file_key(text, USER, SHA, "png"),
        lambda: keys.file_key(ORG, text, SHA, "png"),
        lambda: keys.file_key(ORG, USER, text, "png"),
        lambda: keys.file_key(ORG, USER, SHA, text),
        lambda: keys.check(text),
    ):
        with pytest.raises(InvalidKey):
            make()


@pytest.mark.parametrize("width", [0, -1, 100_000])
def test_a_senseless_width_makes_no_key(width: int) -> None:
    with pytest.raises(InvalidKey):
        keys.rendition_key(ORG, USER, SHA, width)


@given(st.text(max_size=40), st.integers(0, 120))
def test_text_put_anywhere_into_a_key_spoils_it(text: str, at: int) -> None:
    key = keys.file_key(ORG, USER, SHA, "png")
    spoilt = key[:at] + text + key[at:]
    if spoilt != key:
        with pytest.raises(InvalidKey):
            keys.check(spoilt)


@pytest.mark.parametrize("fan", ["cd", "AB", "a"])
def test_the_fan_folder_must_belong_to_the_hash(fan: str) -> None:
    with pytest.raises(InvalidKey):
        keys.check(f"orgs/{ORG}/users/{USER}/files/{fan}/{SHA}.png")


@pytest.mark.parametrize("prefix", ["..", "orgs/../x", "/orgs", "orgs//x", "a\0", ".scratch", "orgs/x\n"])
def test_a_prefix_cannot_leave_the_storage(prefix: str) -> None:
    with pytest.raises(InvalidKey):
        keys.check_prefix(prefix)
