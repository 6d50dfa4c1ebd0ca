"""The drain: what is at work goes on to its end, and nothing more is begun until operators let it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from imagegen.engine import fleet
from imagegen.extensions import db
from imagegen.models import Shot
from imagegen.services.audit import COMMAND_LINE
from tests.engine.conftest import Work
from tests.models.rows import Member, submit

pytestmark = pytest.mark.usefixtures("everything")


def statuses() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Shot.status)))


def test_nothing_is_begun_while_all_workers_are_drained(ann: Member, work: Work) -> None:
    fleet.drain(by=COMMAND_LINE)
    submit(ann, n=2)

    work()
    assert statuses() == ["waiting", "waiting"]

    fleet.resume(by=COMMAND_LINE)
    work()
    assert statuses() == ["succeeded", "succeeded"]


def test_one_worker_is_drained_and_others_go_on(ann: Member, work: Work) -> None:
    fleet.drain(by=COMMAND_LINE, worker="elsewhere:1")
    submit(ann)

    work()
    assert statuses() == ["succeeded"]

    fleet.drain(by=COMMAND_LINE, worker=fleet.worker_here())
    submit(ann)
    work()
    assert statuses() == ["succeeded", "waiting"]


def test_letting_all_go_on_ends_the_drain_of_each_too(ann: Member, work: Work) -> None:
    fleet.drain(by=COMMAND_LINE, worker=fleet.worker_here())
    fleet.resume(by=COMMAND_LINE)
    submit(ann)

    work()

    assert statuses() == ["succeeded"]
