"""A library of one's own, among that of somebody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Row

from imagegen.extensions import db
from imagegen.models import Image, ImageIndex, organisation_scope, system_scope, unit_of_work
from imagegen.services import library
from imagegen.services.library import indexing
from tests.models.rows import Member, add_member
from tests.web.fixtures import app

__all__ = ["app"]

Add = Callable[..., Image]


@pytest.fixture
def ann(app: Flask) -> Iterator[Member]:
    """A member of the organisation One, in whose scope the test is."""
    ann = add_member()
    with organisation_scope(ann.organisation_id):
        yield ann


@pytest.fixture
def add(ann: Member) -> Add:
    """Add a picture: `add(filename="dunes.png", prompt="…")`."""

    def add(**more: Any) -> Image:
        return add_picture(ann, **more)

    return add


def add_picture(member: Member, **more: Any) -> Image:
    """Add a picture of `member`, as it comes in."""
    facts = {
        "organisation_id": member.organisation_id,
        "user_id": member.user_id,
        "kind": "uploaded",
        "filename": "picture.png",
        "mime_type": "image/png",
        "width": 400,
        "height": 500,
        "file_size": 1,
        "sha256": "0" * 64,
        "storage_provider": "local",
        "file_key": "none",
        "renditions": [],
        "colours": [],
    }
    image = Image(**(facts | more))
    with system_scope(), unit_of_work() as uow:
        library.arrive(uow, image)
    return image


def found(**wishes: Any) -> list[str]:
    """Return the names of the files that fit."""
    return [row.filename for row in library.list_images(library.Wish(**wishes), limit=100).items]


@pytest.fixture(autouse=True)
def the_index_is_true(app: Flask) -> Iterator[None]:
    """Hold the index, after each test, against what it would be if it were made anew."""
    yield
    db.session.rollback()
    columns = [column for column in ImageIndex.__table__.c if column.name != "terms"]
    with db.engine.connect() as connection:
        ids = connection.scalars(db.select(Image.id).order_by(Image.id)).all()
        held = [dict(row) for row in connection.execute(db.select(*columns).order_by("image_id")).mappings()]
        expected = indexing.entries(connection, ids)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = OFF")
            connection.exec_driver_sql("INSERT INTO image_index_fts (image_index_fts) VALUES ('integrity-check')")
            assert _instances(connection, "main", "image_index_fts") == _made_anew(connection)
    for each in expected:
        del each["terms"]
    assert held == expected[::-1]


def _made_anew(connection: Connection) -> list[Row[Any]]:
    connection.exec_driver_sql(
        "CREATE VIRTUAL TABLE temp.anew USING fts5(words, terms, content='', tokenize='trigram', columnsize=0)"
    )
    connection.exec_driver_sql(
        "INSERT INTO temp.anew (rowid, words, terms) SELECT -image_id, words, terms FROM image_index"
    )
    return _instances(connection, "temp", "anew")


def _instances(connection: Connection, schema: str, table: str) -> list[Row[Any]]:
    """Return each place of each term in an FTS5 table."""
    name = f"temp.{table}_terms"
    connection.exec_driver_sql(f"CREATE VIRTUAL TABLE {name} USING fts5vocab({schema}, {table}, instance)")
    return list(connection.exec_driver_sql(f"SELECT term, doc, col, offset FROM {name} ORDER BY 1, 2, 3, 4").all())
