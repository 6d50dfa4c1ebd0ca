"""A search's statement is made of its shape alone: what is typed and chosen is a parameter of it."""

from __future__ import annotations

import gc
import re
import weakref
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event

from imagegen.extensions import db
from imagegen.models import organisation_scope
from imagegen.services import library
from imagegen.services.library import Wish, finding
from imagegen.services.library.shapes import Shape, sizes
from tests.models.rows import Member, add_member
from tests.services.library.conftest import Add, add_picture
from tests.services.test_library_paging import selects

PLANNING = 5.0
"""What PostgreSQL charges at least for planning anew, for a statement over one table (`cached_plan_cost`)."""

OF_ONE_SHAPE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"q": "lighthouse"}, {"q": "100%_'\""}),
    ({"filter": "uploaded"}, {"colour": "blue"}),
    ({"sort": "name", "filter": "favourites"}, {"sort": "name", "orientation": "square"}),
    ({"since": date(2026, 1, 1)}, {"until": date(2026, 2, 2)}),
    ({"q": "two words", "style": "minimalist"}, {"q": "lighthouse dusk", "filter": "unused"}),
]


def statement_of(**wishes: Any) -> str:
    """Return what a page of a wish asks."""
    with selects() as asked:
        library.list_images(Wish(**wishes), limit=7)
    assert len(asked) == 1
    return asked[0]


@pytest.mark.parametrize(("one", "other"), OF_ONE_SHAPE)
def test_two_searches_of_one_shape_ask_in_the_same_words(
    ann: Member, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert statement_of(**one) == statement_of(**other)


def test_one_word_more_is_another_shape(ann: Member) -> None:
    assert statement_of(q="dusk") != statement_of(q="dusk violin")


def test_nothing_that_is_typed_stands_in_the_statement(ann: Member) -> None:
    wishes = {"q": "zebrafish", "style": "minimalist", "tag": "launch", "since": date(2026, 1, 1)}
    for sort in ("newest", "oldest", "most_used", "name"):
        statement = statement_of(**wishes, sort=sort)
        assert not any(word in statement for word in ("zebra", "minimalist", "launch", "2026"))


def expected_cost(organisation_id: int, **wishes: Any) -> float:
    """Return what PostgreSQL's planner expects of a page that an organisation asks for."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    with organisation_scope(organisation_id):
        library.list_images(Wish(**wishes), limit=7)
    event.remove(db.engine, "before_cursor_execute", note)
    statement, parameters = asked[-1]
    driver = db.session.connection().connection.driver_connection
    assert driver is not None
    (first,) = driver.execute(f"EXPLAIN {statement}", parameters).fetchone()
    return float(re.search(r"\.\.([0-9.]+) rows", first)[1])  # type: ignore[index]


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("wishes", [{}, *(one for one, _ in OF_ONE_SHAPE)], ids=str)
def test_postgresql_expects_the_same_whoever_asks_and_so_keeps_its_plan(
    ann: Member, add: Add, wishes: dict[str, Any]
) -> None:
    others = [add_member(f"other{number}", f"Other {number}") for number in range(6)]
    for number in range(60):
        add(filename=f"{number}.png")
    for other in others:
        add_picture(other)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")

    expected = expected_cost(ann.organisation_id, **wishes)

    assert expected == pytest.approx(expected_cost(others[0].organisation_id, **wishes), abs=PLANNING)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("sort", ["newest", "oldest", "most_used", "name"])
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_what_builds_a_statement_keeps_none(dialect: str, sort: str) -> None:
    """Anybody may ask for any number of shapes; how many statements are kept is up to who asks for them."""
    shape = Shape(dialect, sizes(dialect), most=41, sort=sort, marks=1, words=2, days=True)
    known = weakref.ref(shape)
    finding.page(shape)
    finding.counted(shape)

    del shape
    gc.collect()
    assert known() is None
