"""A library that an earlier version has indexed is found like any other after the upgrade."""

from __future__ import annotations

import re

import pytest
from flask_migrate import downgrade, upgrade
from sqlalchemy import text

from imagegen.extensions import db
from imagegen.models import unit_of_work
from imagegen.services.library import shapes
from tests.services.library.conftest import Add, found


@pytest.fixture
def as_before(add: Add) -> list[str]:
    """Pictures as the revision before the windows has left them, with its marks of eras."""
    names = [f"100{number}.png" for number in range(5)]
    for name in names:
        add(filename=name, prompt="a lighthouse in 2030")
    downgrade(revision="0012")
    with unit_of_work() as uow:
        uow.execute(text("UPDATE image_index SET marks = replace(marks, ' in:', ' era:0 in:')"))
    return names


def test_the_index_is_brought_up_to_date(as_before: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "WALK", dict.fromkeys(shapes.WALK, 1))
    upgrade()

    db.session.remove()
    assert found(q="light 100") == as_before[::-1]
    assert found(q="1003", sort="oldest") == ["1003.png"]
    assert found(filter="uploaded", sort="name") == as_before
    with db.engine.connect() as connection:
        days = connection.scalars(text("SELECT first_day FROM image_eras")).all()
    assert len(days) == 1 and re.fullmatch(r"\d{4}-\d\d-\d\d", days[0])
