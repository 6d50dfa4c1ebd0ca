"""A library that an earlier version has indexed is found like any other after the upgrade."""

from __future__ import annotations

import re
import unicodedata

import pytest
from flask_migrate import downgrade, upgrade
from sqlalchemy import text

from imagegen.extensions import db
from imagegen.models import unit_of_work
from imagegen.services import library
from imagegen.services.library import indexing, shapes, tags, words
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


def fold_as_before(text: str) -> str:
    """Fold as the revision 0014 did: what ℃ is made of kept its capitals."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def test_letters_in_signs_are_found_whatever_their_case(add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for module in (words, indexing, tags):
            patch.setattr(module, "fold", fold_as_before)
        image = add(filename="20℃ by Brand™.png")
        library.tag_all(public_ids=[image.public_id], names=["№ 1", "no 2"])
        add(filename="plain.png")
    assert found(q="20°c") == []
    downgrade(revision="0014")

    upgrade()

    db.session.remove()
    assert found(q="20°C brandtm") == found(q="20℃") == found(tag="№ 1") == found(tag="no 2") == [image.filename]
    assert found(q="plain") == ["plain.png"]
