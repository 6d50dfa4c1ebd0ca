"""Bringing pictures, below the web: names, races, and what the invariants say of what is there afterwards."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo
from sqlalchemy import func, select

from imagegen.engine.invariants.checking import check
from imagegen.extensions import db, runtime
from imagegen.imaging.errors import ImagingError, TooSmall
from imagegen.models import Image, organisation_scope, system_scope
from imagegen.services import library, uploads
from imagegen.services.uploads import Smallest, Upload
from imagegen.storage import keys
from imagegen.storage.errors import StorageFull
from tests.conftest import Person
from tests.imaging import specimens

Take = Callable[..., Upload]


@pytest.fixture
def take(app: Flask, ann: Person, tmp_path: Path) -> Take:
    """Bring bytes as Ann would."""
    organisation_id, user_id = ann.organisation.id, ann.user.id

    def bring(data: bytes, name: str = "sea.png", **more: object) -> Upload:
        path = tmp_path / f"received-{threading.get_ident()}"
        path.write_bytes(data)
        with app.app_context(), organisation_scope(organisation_id):
            found = uploads.take(organisation_id=organisation_id, user_id=user_id, path=path, name=name, **more)
            db.session.expunge_all()
            return found

    return bring


def rows() -> int:
    db.session.rollback()
    with system_scope():
        return db.session.scalar(select(func.count(Image.id))) or 0


def picture(format: str = "png", side: int = 420) -> bytes:
    return specimens.encoded(format, specimens.scene(side, side))


def test_rows_and_files_belong_to_each_other(take: Take) -> None:
    image = take(picture()).image

    assert check(only=("I5", "I6", "I7")) == []
    of_row = {image.file_key, *(key(image, one["width"]) for one in image.renditions)}
    assert set(runtime.storage.iter_keys()) == of_row
    assert image.received_key is None
    assert runtime.storage.left_workspaces(timedelta(seconds=-60)) == []


def key(image: Image, width: int) -> str:
    _, org, _, user, *_ = image.file_key.split("/")
    return keys.rendition_key(org, user, image.sha256, width)


def test_the_same_picture_brought_by_many_at_once_is_one(app: Flask, take: Take) -> None:
    data = picture()

    with ThreadPoolExecutor(6) as many:
        found = list(many.map(lambda number: take(data, f"{number}.png"), range(12)))

    assert rows() == 1
    assert len({upload.image.public_id for upload in found}) == 1
    assert [upload.earlier for upload in found].count(False) == 1
    assert check(only=("I5", "I6", "I7")) == []


@pytest.mark.parametrize("again", ["the same bytes", "the same pixels", "at the same moment"])
def test_one_that_is_deleted_for_ever_as_it_is_taken_out_of_the_trash_is_simply_stored(
    take: Take, ann: Person, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    scene = specimens.scene(420, 420)
    first = take(specimens.encoded("png", scene)).image
    with organisation_scope(ann.organisation.id):
        library.put_into_trash(public_ids=[first.public_id])
    restore_all, find_duplicate = library.restore_all, library.find_duplicate

    def too_late(public_ids: list[str]) -> list[str]:
        library.delete_for_ever(public_ids=public_ids)
        return restore_all(public_ids=public_ids)

    unseen = [None, None] if again == "at the same moment" else []
    monkeypatch.setattr(library, "restore_all", too_late)
    monkeypatch.setattr(
        library, "find_duplicate", lambda *a, **k: unseen.pop() if unseen else find_duplicate(*a, **k)
    )
    said = PngInfo()
    said.add_text("Comment", again)
    other = {"pnginfo": said} if again == "the same pixels" else {}

    upload = take(specimens.encoded("png", scene, **other))

    assert (upload.earlier, rows()) == (False, 1)
    assert upload.image.public_id != first.public_id
    assert check(only=("I5", "I6")) == []


def test_a_hundred_pictures_at_once_are_a_hundred(app: Flask, take: Take) -> None:
    pictures = [
        specimens.encoded("png", PillowImage.new("RGB", (400, 400), (number, 90, 30))) for number in range(100)
    ]

    with ThreadPoolExecutor(8) as many:
        found = list(many.map(take, pictures))

    assert rows() == len({upload.image.public_id for upload in found}) == 100


def test_no_connection_to_the_database_is_held_while_work_on_pixels_waits(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.session.rollback()
    run, held = runtime.pool.run, []

    def seen(*args: object, **params: object) -> dict[str, object]:
        held.append(db.engine.pool.checkedout())
        return run(*args, **params)

    monkeypatch.setattr(runtime.pool, "run", seen)
    take(picture())
    assert held == [0]


def test_a_logo_may_be_small(take: Take) -> None:
    small = picture(side=64)
    with pytest.raises(TooSmall, match="400"):
        take(small)
    assert take(small, smallest=Smallest.LOGO).image.width == 64


@pytest.mark.parametrize("trashed", [False, True])
def test_a_logo_is_no_way_round_the_size_of_a_picture(take: Take, ann: Person, trashed: bool) -> None:
    logo = take(picture(side=64), smallest=Smallest.LOGO).image
    with organisation_scope(ann.organisation.id):
        with runtime.storage.open(logo.file_key) as file:
            stored = file.read()
        if trashed:
            library.put_into_trash(public_ids=[logo.public_id])

    with pytest.raises(TooSmall, match="400"):
        take(stored)

    db.session.rollback()
    with organisation_scope(ann.organisation.id):
        assert (library.get_image(logo.public_id, trashed=True).deleted_at is not None) == trashed
    again = take(stored, smallest=Smallest.LOGO)
    assert again.earlier and again.image.public_id == logo.public_id


def test_of_what_the_storage_refuses_no_row_is_left(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageFull("There is no space left.")

    monkeypatch.setattr(type(runtime.storage), "put_all", full)
    with pytest.raises(StorageFull):
        take(picture())
    assert rows() == 0
    assert runtime.storage.left_workspaces(timedelta(seconds=-60)) == []


GOOD = {format: picture(format) for format in ("png", "jpeg", "webp", "gif", "avif", "heic")}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("format", GOOD)
@settings(max_examples=25)
@given(at=st.floats(0, 1, exclude_max=True), change=st.binary(min_size=1, max_size=8))
def test_changed_bytes_are_a_picture_or_a_refusal(take: Take, format: str, at: float, change: bytes) -> None:
    data = bytearray(GOOD[format])
    place = int(at * len(data))
    data[place : place + len(change)] = change
    before = rows()

    try:
        taken = take(bytes(data))
    except ImagingError as refused:
        assert refused.status in (415, 422)
        assert rows() == before
    else:
        assert rows() == before + (not taken.earlier)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("format", GOOD)
@settings(max_examples=15)
@given(length=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_at_any_byte_leaves_nothing(take: Take, format: str, length: float) -> None:
    data = GOOD[format]
    with pytest.raises(ImagingError) as refused:
        take(data[: int(length * len(data))])
    assert refused.value.status in (415, 422)
    assert (rows(), list(runtime.storage.iter_keys())) == (0, [])
    assert runtime.storage.left_workspaces(timedelta(seconds=-60)) == []


SHOWN = {
    "C:\\fakepath\\Sea shore.JPG": "Sea shore.JPG",
    "..\\..\\x.png": "x.png",
    "/etc/passwd": "passwd",
    "a\0b\r\nc.png": "ab c.png",
    "\u202egnp.exe\u2066": "gnp.exe",
    "": "",
    "..": "..",
    "x" * 300: "x" * 255,
}


@pytest.mark.parametrize("name", SHOWN)
def test_b5_a_name_is_one_line_without_folders_or_tricks(name: str) -> None:
    assert uploads.display_name(name) == SHOWN[name]


@given(st.text(max_size=400))
def test_b5_any_name_makes_a_plain_one(name: str) -> None:
    shown, plain = uploads.display_name(name), uploads.filename_for(name, "png")
    assert len(shown) <= 255
    assert not set(shown) & set("/\\\0\r\n\u202e")
    assert re.fullmatch(r"[a-z0-9-]{1,70}\.png", plain)
    assert plain.removesuffix(".png") not in ("con", "nul", "com1")
