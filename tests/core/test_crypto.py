"""Promises of what seals other people's secrets."""

from __future__ import annotations

import base64

import pytest

from imagegen.core.crypto import CannotOpen, Sealer, new_key, read_key

OLD, NEW = new_key(), new_key()


def test_what_is_sealed_opens_as_what_it_was_sealed_for():
    sealer = Sealer([OLD])
    sealed = sealer.seal("sk-canary\nwith a line", about="key 1 openai")
    assert "canary" not in sealed
    assert sealer.open(sealed, about="key 1 openai") == "sk-canary\nwith a line"


def test_the_same_text_is_sealed_differently_each_time():
    sealer = Sealer([OLD])
    assert sealer.seal("x", about="a") != sealer.seal("x", about="a")


def test_it_opens_for_nothing_else():
    sealer = Sealer([OLD])
    with pytest.raises(CannotOpen):
        sealer.open(sealer.seal("x", about="key 1 openai"), about="key 2 openai")


@pytest.mark.parametrize("place", [0, 20, -5])
def test_tampering_is_noticed(place: int):
    sealer = Sealer([OLD])
    raw = bytearray(base64.urlsafe_b64decode(sealer.seal("x", about="a")))
    raw[place] ^= 1
    with pytest.raises(CannotOpen):
        sealer.open(base64.urlsafe_b64encode(bytes(raw)).decode(), about="a")


@pytest.mark.parametrize("nonsense", ["", "no token", "é"])
def test_nonsense_does_not_open(nonsense: str):
    with pytest.raises(CannotOpen):
        Sealer([OLD]).open(nonsense, about="a")


def test_the_first_key_seals_and_all_open():
    before = Sealer([OLD]).seal("x", about="a")
    both = Sealer([NEW, OLD])
    assert both.open(before, about="a") == "x"
    with pytest.raises(CannotOpen):
        Sealer([OLD]).open(both.seal("x", about="a"), about="a")


def test_sealed_anew_the_old_key_can_go():
    rotated = Sealer([NEW, OLD]).rotate(Sealer([OLD]).seal("x", about="a"))
    assert Sealer([NEW]).open(rotated, about="a") == "x"
    with pytest.raises(CannotOpen):
        Sealer([NEW]).rotate(Sealer([OLD]).seal("x", about="a"))


@pytest.mark.parametrize(
    "text", ["", "short", base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode()]
)
def test_what_is_not_32_bytes_is_no_key(text: str):
    with pytest.raises(ValueError, match="32 bytes"):
        read_key(text)


def test_both_alphabets_of_base64_are_read():
    raw = b"\xfb\xff" * 16
    assert read_key(base64.b64encode(raw).decode()) == read_key(f" {base64.urlsafe_b64encode(raw).decode()}\n")


def test_there_is_no_sealing_without_a_key():
    with pytest.raises(ValueError):
        Sealer([])
