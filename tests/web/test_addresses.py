"""Addresses that are filled in are those that Flask would make."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, url_for

from imagegen.web.addresses import address

IMAGE = "0198f2a4-5b6c-7d8e-9f01-23456789abcd"


@pytest.mark.parametrize(
    ("endpoint", "values"),
    [
        ("library.detail", {"image_id": IMAGE}),
        ("media.rendition", {"image_id": IMAGE, "width": 256, "v": "a" * 16, "trashed": None}),
        ("media.rendition", {"image_id": IMAGE, "width": 512, "v": "b" * 16, "trashed": 1}),
        ("media.file", {"image_id": IMAGE, "download": 1}),
        ("generator.page", {"like": IMAGE}),
        ("generator.page", {"like": "ünter ~like~ & /?"}),
        ("library.detail", {"image_id": "~image_id~"}),
        ("library.detail", {"image_id": ""}),
        ("library.choices", {"part": "lists", "q": "fog"}),
        ("library.index", {"tag": ["red", "blue"], "starred": True}),
        ("library.detail", {"image_id": IMAGE, "_anchor": "facts"}),
        ("static", {"filename": "css/base.css"}),
    ],
)
def test_an_address_is_what_flask_makes_the_first_time_and_again(
    app: Flask, endpoint: str, values: dict[str, Any]
) -> None:
    with app.test_request_context("/"):
        for _ in range(2):
            assert address(endpoint, **values) == url_for(endpoint, **values)


def test_an_address_with_its_host_is_that_of_whoever_asks(app: Flask) -> None:
    found = []
    for host in ("one.example", "two.example"):
        with app.test_request_context("/", headers={"Host": host}):
            found += [
                address("static", filename="css/base.css", _external=True),
                address("library.detail", image_id=IMAGE, _external=True),
            ]
    assert [urlsplit(each).hostname for each in found] == ["one.example"] * 2 + ["two.example"] * 2


def test_an_address_within_a_blueprint_is_that_of_the_page_that_is_asked_for(app: Flask) -> None:
    found = []
    for path in ("/jobs", "/library"):
        with app.test_request_context(path):
            found.append((address(".index"), url_for(".index")))
    assert found == [("/jobs", "/jobs"), ("/library", "/library")]
