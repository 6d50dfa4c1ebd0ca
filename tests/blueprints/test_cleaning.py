"""The page of cleaning: what there is, what was removed, and that operators alone may ask."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from imagegen.core.clock import now
from imagegen.models import Outbox, User, unit_of_work
from imagegen.services.cleaning import reports
from tests.conftest import Person

PAGE = "/admin/cleaning"


@pytest.fixture
def operator(ann: Person) -> Person:
    """Ann, who looks after the installation, with something that may go."""
    old = now().replace(year=now().year - 1)
    with unit_of_work() as uow:
        uow.execute(update(User).values(is_operator=True))
        uow.add(Outbox(task="work", name="long-sent", sent_at=old, created_at=old))
    return ann


def test_a_look_changes_nothing_and_cleaning_does_it(operator: Person) -> None:
    assert "Nothing yet" in operator.client.get(PAGE).text
    assert operator.post(PAGE, dry_run=1).status_code == 303
    waiting = operator.client.get(PAGE).text
    assert "Under way" in waiting and 'hx-trigger="every 2s"' in waiting
    assert reports.clean_next(lambda: False)
    looked = operator.client.get(PAGE).text
    assert "1 found. Nothing was changed." in looked and "long-sent" in looked and "hx-trigger" not in looked

    assert operator.post(PAGE, dry_run=0).status_code == 303
    assert reports.clean_next(lambda: False)
    done = operator.client.get(PAGE).text
    assert "1 removed." in done and "Only looked" in done
    assert "Asked for cleaning up" in operator.client.get("/admin/installation/audit").text


def test_whoever_asks_twice_is_told(operator: Person) -> None:
    operator.post(PAGE, dry_run=1)
    again = operator.post(PAGE, dry_run=1)
    assert again.status_code == 409 and "cleaning up already" in again.text


def test_while_it_goes_on_the_page_asks_for_a_piece(operator: Person) -> None:
    operator.post(PAGE, dry_run=1)
    piece = operator.client.get(PAGE, headers={"HX-Request-Type": "partial"}).text
    assert 'id="round"' in piece and "<html" not in piece
