"""One picture and what stands beside it: read by what is there, however much was thrown away or made together."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from imagegen.extensions import db
from imagegen.models import Image, system_scope
from imagegen.services import library
from tests.models.rows import Member, add_member, submit
from tests.services.library.conftest import Add, add_picture


def plans_of_neighbours(image: Image) -> list[str]:
    """Return how the database finds the pictures beside one, each statement in one line."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    library.neighbours(image)
    event.remove(db.engine, "before_cursor_execute", note)
    connection = db.session.connection()
    how = "EXPLAIN QUERY PLAN"
    if connection.dialect.name == "postgresql":
        how = "EXPLAIN"
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # of a table as small as a test's
    return [
        " ".join(str(row[-1]) for row in connection.exec_driver_sql(f"{how} {statement}", parameters))
        for statement, parameters in asked
        if statement.startswith("SELECT")
    ]


def test_beside_a_great_clearing_nothing_of_it_is_read(ann: Member, add: Add) -> None:
    """The index has library and trash apart, and is entered where the picture stands."""
    image = add()
    entered = {
        "sqlite": ["organisation_id=? AND trashed=? AND image_id"],
        "postgresql": ["(image_id + 0) ", "trashed"],
    }

    plans = plans_of_neighbours(image)

    assert len(plans) == 2
    for plan in plans:
        index = plan.partition("ix_image_index_newest")[2]
        assert all(part in index for part in entered[db.engine.dialect.name]), plan
        assert "Filter" not in index and "Sort" not in plan and "TEMP B-TREE" not in plan, plan


def test_beside_a_picture_is_nothing_of_the_trash_and_of_others(ann: Member, add: Add) -> None:
    older, gone, middle, away, newer = (add() for _ in range(5))
    add_picture(add_member("bob", "Two"))
    library.put_into_trash(public_ids=[gone.public_id, away.public_id])

    def beside(image: Image) -> tuple[str | None, str | None]:
        found = library.neighbours(image)
        return found.newer, found.older

    assert beside(middle) == (newer.public_id, older.public_id)
    assert beside(newer) == (None, middle.public_id) and beside(older) == (middle.public_id, None)
    with system_scope():
        assert beside(newer) == (None, middle.public_id)


def test_of_many_pictures_of_a_job_those_beside_one_are_told(ann: Member, add: Add) -> None:
    job = submit(ann, n=7)
    made = [add(job_id=job.id) for _ in range(7)]
    add()
    library.trash(public_id=made[2].public_id)

    def beside(image: Image, most: int | None = None) -> list[int]:
        return [made.index(each) for row in library.siblings(image, most=most) for each in made if each.id == row.id]

    assert beside(made[0]) == [0, 1, 3, 4, 5, 6]
    assert beside(made[5], 3) == [4, 5, 6] and beside(made[0], 3) == [0, 1, 3]
    assert beside(made[6], 1) == [6]
