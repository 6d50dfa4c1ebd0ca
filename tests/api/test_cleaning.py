"""Cleaning up by program."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from imagegen.core.clock import now
from imagegen.extensions import db
from imagegen.models import CleaningReport, Outbox, unit_of_work
from imagegen.services import people
from imagegen.services.audit import COMMAND_LINE
from imagegen.services.cleaning import reports
from tests.api.conftest import Api, MakeApi
from tests.conftest import Person

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def operator(ann: Person, make_api: MakeApi) -> Api:
    """The program of Ann, who looks after the installation; something old may go."""
    people.set_operator(by=COMMAND_LINE, email=ann.user.email, operator=True)
    old = now() - timedelta(days=365)
    with unit_of_work() as uow:
        uow.add(Outbox(task="work", name="long-sent", sent_at=old, created_at=old))
    return make_api(ann, "admin")


def left() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Outbox.id))) or 0


def test_a_look_changes_nothing_and_cleaning_does_it(operator: Api) -> None:
    for dry_run, removed in ((True, 0), (False, 1)):
        asked = operator.post("maintenance/clean", {"dry_run": dry_run, "only": "outbox"})
        assert asked.status_code == 202
        assert (asked.get_json()["status"], asked.get_json()["results"]) == ("waiting", [])
        assert reports.clean_next(lambda: False)

        done = operator.get(asked.headers["Location"]).get_json()

        assert (done["id"], done["status"], done["dry_run"]) == (asked.get_json()["id"], "done", dry_run)
        [result] = done["results"]
        assert (result["name"], result["found"], result["removed"]) == ("outbox", 1, removed)
        assert "long-sent" in result["examples"][0] and not result["failed"]
        assert left() == 1 - removed


def test_whoever_says_nothing_gets_a_look_at_everything(operator: Api) -> None:
    asked = operator.post("maintenance/clean", {}).get_json()
    assert (asked["dry_run"], asked["only"]) == (True, None)


def test_while_one_round_goes_on_another_is_refused(operator: Api) -> None:
    operator.post("maintenance/clean", {})
    again = operator.post("maintenance/clean", {})
    assert again.status_code == 409 and "cleaning up already" in again.get_json()["detail"]


def test_a_duty_that_is_none_is_refused_with_those_that_are(operator: Api) -> None:
    [wrong] = operator.post("maintenance/clean", {"only": "dust"}).get_json()["errors"]
    assert wrong["field"] == "only" and "temporary-files" in wrong["message"]


def test_a_round_that_died_says_so_and_the_next_may_begin(operator: Api) -> None:
    first = operator.post("maintenance/clean", {}).get_json()["id"]
    long_ago = now() - timedelta(seconds=reports.SILENT_SECONDS + 60)
    with unit_of_work() as uow:
        uow.execute(update(CleaningReport).values(started_at=long_ago, seen_at=long_ago))

    assert operator.get(f"maintenance/clean/{first}").get_json()["status"] == "died"
    second = operator.post("maintenance/clean", {}).get_json()["id"]
    assert [each["id"] for each in operator.get("maintenance/clean").get_json()["items"]] == [second, first]


def test_a_report_that_is_none_is_nothing(operator: Api) -> None:
    assert operator.get("maintenance/clean/none").status_code == 404
