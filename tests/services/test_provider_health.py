"""Promises of what is told of how providers are doing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from imagegen.core.clock import now
from imagegen.core.errors import ErrorKind
from imagegen.extensions import runtime
from imagegen.models import Attempt, Job, ProviderState, organisation_scope, system_scope, unit_of_work
from imagegen.models.states import AttemptStatus
from imagegen.services import provider_health, provider_keys
from imagegen.services.audit import Actor
from imagegen.services.provider_health import MOST_CALLS, Hold, Status, percentile
from tests.conftest import Person
from tests.web.rows import make_job


class Calls:
    """Puts calls to OpenAI into an organisation's book."""

    def __init__(self, person: Person) -> None:
        self._organisation = person.organisation.id
        self._job = make_job(person, states=("waiting",)).job_key

    def add(
        self,
        seconds: float = 1.0,
        *,
        error: ErrorKind | None = None,
        message: str = "It failed.",
        key: str = "",
        ago: timedelta = timedelta(minutes=5),
        times: int = 1,
    ) -> None:
        sent = now() - ago
        with system_scope(), unit_of_work() as uow:
            assert uow.get_one(Job, self._job)
            uow.add_all(
                Attempt(
                    organisation_id=self._organisation,
                    job_id=self._job,
                    number=1,
                    provider="openai",
                    model="gpt-image-1.5",
                    provider_key=key,
                    status=AttemptStatus.REJECTED if error else AttemptStatus.SUCCEEDED,
                    error_kind=error,
                    error_message=message if error else None,
                    sent_at=sent + timedelta(milliseconds=each),
                    answered_at=sent + timedelta(milliseconds=each, seconds=seconds),
                    ended_at=sent + timedelta(milliseconds=each, seconds=seconds),
                )
                for each in range(times)
            )


@pytest.fixture
def calls(ann: Person) -> Calls:
    return Calls(ann)


@pytest.fixture
def bob(ann: Person, make_person) -> Person:
    return make_person("bob@two.example", "Two")


@pytest.fixture(autouse=True)
def scope(ann: Person) -> Iterator[None]:
    with organisation_scope(ann.organisation.id):
        yield


def openai() -> provider_health.Health:
    return provider_health.of_organisation()["openai"]


def state(key: str = "", **values: datetime | None) -> None:
    with unit_of_work() as uow:
        uow.add(ProviderState(provider="openai", key=key, failures=0, **values))


# Figures


def test_without_calls_nothing_is_claimed():
    told = openai()
    assert (told.status, told.figures.success_rate, told.figures.p50, told.error) == (Status.QUIET, None, None, None)


def test_the_success_rate_is_of_calls_that_say_something_of_the_provider(calls: Calls):
    calls.add(times=3)
    calls.add(error=ErrorKind.UNAVAILABLE)
    for kind in (ErrorKind.REFUSED, ErrorKind.BAD_REQUEST, ErrorKind.CANCELED, ErrorKind.INTERNAL):
        calls.add(error=kind)
    assert (openai().figures.calls, openai().figures.success_rate) == (4, 0.75)


def test_half_and_95_percent_are_exact_and_of_pictures_alone(calls: Calls):
    for number in range(1, 101):
        calls.add(seconds=number)
    calls.add(seconds=1000, error=ErrorKind.TIMEOUT)
    assert (openai().figures.p50, openai().figures.p95) == (50.0, 95.0)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([3.0], 0.95, 3.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([1.0, 2.0], 0.95, 2.0),
        ([1.0, 2.0, 9.0], 0.5, 2.0),
    ],
)
def test_a_percentile_is_a_time_that_was_measured(values: list[float], share: float, expected: float | None):
    assert percentile(values, share) == expected


def test_only_the_last_day_counts(calls: Calls):
    calls.add(error=ErrorKind.UNAVAILABLE, ago=timedelta(hours=24, minutes=1))
    assert openai().figures.calls == 0
    calls.add(ago=timedelta(hours=23, minutes=59))
    assert openai().figures.success_rate == 1.0


def test_only_the_newest_calls_count(calls: Calls):
    calls.add(error=ErrorKind.UNAVAILABLE, ago=timedelta(hours=2))
    calls.add(times=MOST_CALLS)
    assert (openai().figures.calls, openai().figures.success_rate) == (MOST_CALLS, 1.0)


# The state


def test_a_provider_of_which_most_calls_fail_is_not_called_well(calls: Calls):
    calls.add()
    calls.add(error=ErrorKind.AUTH, times=4)
    assert openai().status == Status.FAILING


def test_two_failures_alone_say_too_little(calls: Calls):
    calls.add(times=3)
    calls.add(error=ErrorKind.UNAVAILABLE, times=2)
    assert openai().status == Status.WELL


def test_a_provider_is_slow_when_its_newest_pictures_take_twice_as_long_as_the_days(calls: Calls):
    calls.add(seconds=10, times=15, ago=timedelta(hours=3))
    calls.add(seconds=15, times=10, ago=timedelta(minutes=2))
    assert openai().status == Status.WELL
    calls.add(seconds=25, times=10, ago=timedelta(minutes=1))
    assert openai().status == Status.SLOW


def test_paused_is_told_until_when_and_is_over_then(calls: Calls):
    calls.add()
    until = now() + timedelta(minutes=3)
    state(paused_until=until)
    assert (openai().status, openai().hold) == (Status.PAUSED, Hold(Status.PAUSED, until, None))


def test_a_pause_that_is_over_is_none(calls: Calls):
    calls.add()
    state(paused_until=now() - timedelta(seconds=1))
    assert openai().status == Status.WELL


def test_broken_is_told_since_when_and_when_it_is_tried_again(calls: Calls):
    calls.add()
    since, until = now() - timedelta(minutes=9), now() + timedelta(minutes=1)
    state(broken_since=since, open_until=until, paused_until=until)
    assert openai().hold == Hold(Status.BROKEN, until, since)


def test_broken_it_stays_until_a_call_went_well():
    since = now() - timedelta(minutes=9)
    state(broken_since=since, open_until=now() - timedelta(seconds=1))
    assert openai().hold == Hold(Status.BROKEN, None, since)


# Whose


def test_an_organisation_sees_the_figures_of_the_shared_key_but_nobody_elses_errors(calls: Calls, bob: Person):
    others = Calls(bob)
    calls.add(error=ErrorKind.TIMEOUT, message="Ann's own.", ago=timedelta(hours=1))
    others.add(error=ErrorKind.UNAVAILABLE, message="Bob's secret.")
    others.add(times=2)
    told = openai()
    assert told.figures.calls == 4
    assert told.error is not None and (told.error.kind, told.error.message) == ("timeout", "Ann's own.")
    with organisation_scope(bob.organisation.id):
        theirs = openai()
    assert theirs.error is not None and theirs.error.message == "Bob's secret."


def test_operators_see_the_newest_error_of_all(calls: Calls, bob: Person):
    calls.add(error=ErrorKind.TIMEOUT, message="Ann's.", ago=timedelta(hours=1))
    Calls(bob).add(error=ErrorKind.UNAVAILABLE, message="Bob's.")
    error = provider_health.of_installation()["openai"].error
    assert error is not None and error.message == "Bob's."


def test_with_a_key_of_its_own_an_organisation_sees_that_one_alone(calls: Calls, ann: Person, bob: Person):
    by = Actor(user_id=ann.user.id, organisation_id=ann.organisation.id, role="owner")
    provider_keys.enter(by=by, provider="openai", secret="sk-of-the-organisation-One")
    digest = provider_keys.listed()["openai"].digest
    calls.add(error=ErrorKind.UNAVAILABLE, times=5)
    calls.add(key=digest)
    state(broken_since=now(), open_until=now() + timedelta(minutes=1))
    told = openai()
    assert (told.own_key, told.status, told.figures.calls, told.error) == (True, Status.WELL, 1, None)
    installation = provider_health.of_installation()["openai"]
    assert (installation.own_key, installation.status, installation.figures.calls) == (False, Status.BROKEN, 5)
    with organisation_scope(bob.organisation.id):
        assert openai().status == Status.BROKEN


def test_trouble_with_an_organisations_key_is_told_to_nobody_else(calls: Calls, ann: Person, bob: Person):
    by = Actor(user_id=ann.user.id, organisation_id=ann.organisation.id, role="owner")
    provider_keys.enter(by=by, provider="openai", secret="sk-of-the-organisation-One")
    state(key=provider_keys.listed()["openai"].digest, broken_since=now())
    assert provider_health.held()["openai"].status == Status.BROKEN
    with organisation_scope(bob.organisation.id):
        assert provider_health.held() == {}
    assert provider_health.of_installation()["openai"].hold is None


def test_what_the_chooser_asks_is_found_out_once_in_a_while(monkeypatch: pytest.MonkeyPatch):
    assert provider_health.held() == {}
    state(broken_since=now())
    assert provider_health.held() == {}
    monkeypatch.setattr(runtime.lately, "_clock", lambda: float("inf"))
    assert provider_health.held()["openai"].status == Status.BROKEN
