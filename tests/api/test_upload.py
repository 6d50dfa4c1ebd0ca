"""`POST /images/upload`: what comes in, what is answered, and that nothing is left of what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image
from sqlalchemy import func, select

from imagegen.extensions import db, runtime
from imagegen.models import Image as ImageRow
from imagegen.models import system_scope
from tests.api.conftest import Api
from tests.conftest import MakePerson
from tests.imaging import specimens

MEGABYTE = 1 << 20


@pytest.fixture(scope="session")
def photo() -> bytes:
    return specimens.encoded("jpeg", specimens.scene(640, 480), quality=90)


def send(api: Api, data: bytes, name: str = "sea.jpg"):
    return api.send("POST", "images/upload", data={"file": (io.BytesIO(data), name)})


def left() -> tuple[int, list[str], list[str]]:
    """What is there: rows, files, workspaces."""
    from datetime import timedelta

    db.session.rollback()
    with system_scope():
        rows = db.session.scalar(select(func.count(ImageRow.id)))
    return rows or 0, list(runtime.storage.iter_keys()), runtime.storage.left_workspaces(timedelta(seconds=-5))


NOTHING = (0, [], [])


def test_a_picture_comes_in(api: Api, photo: bytes) -> None:
    answer = send(api, photo, "Launch 404.jpg")
    assert answer.status_code == 201, answer.text
    image = answer.get_json()
    assert answer.headers["Location"] == f"/api/v1/images/{image['id']}"
    assert (image["kind"], image["width"], image["height"]) == ("uploaded", 640, 480)
    assert (image["filename"], image["original_filename"]) == ("launch-404.jpg", "Launch 404.jpg")
    assert image["mime_type"] == "image/jpeg"
    assert api.get("images").get_json()["items"][0]["id"] == image["id"]
