"""What must hold after anything that can happen, read from the database and the files alone."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import func, select

from imagegen.core.clock import now
from imagegen.extensions import db, runtime
from imagegen.models import (
    Attempt,
    Event,
    Image,
    Job,
    LedgerEntry,
    Organisation,
    Reservation,
    Shot,
    attempt_shots,
    system_scope,
)
from imagegen.models.budgets import BudgetPeriod, reservation_periods
from imagegen.models.states import JOB_ENDS, MOVES, SHOT_ENDS, ShotStatus, derive

Row = TypeVar("Row")
LIVE_ATTEMPTS = ("prepared", "sent", "accepted")
LONGEST_IDLE = timedelta(minutes=15)


def check_invariants() -> None:
    """Raise AssertionError if anything is amiss."""
    db.session.rollback()
    with system_scope():
        jobs, shots = _all(Job), _all(Shot)
        for job in jobs:
            _check_counts(job, [shot for shot in shots if shot.job_id == job.id])
        for shot in shots:
            _check_claim(shot)
        _check_reservations(shots)
        _check_ledger(jobs)
        _check_pictures(shots)
        _check_events(jobs)
    db.session.rollback()


def _all(table: type[Row]) -> list[Row]:
    return list(db.session.scalars(select(table)))


def _check_counts(job: Job, shots: Iterable[Shot]) -> None:
    """Hold a job's state and counts to what its newest shots say, and whatever is unfinished to be going on."""
    newest = [shot for shot in shots if shot.newest]
    standing = Counter(ShotStatus(shot.status) for shot in newest)
    assert job.counts == {status: standing[status] for status in ShotStatus}
    assert job.status == derive(standing, begun=job.started_at is not None)
    assert (job.finished_at is not None) == (job.status in JOB_ENDS)
    assert len({shot.slot for shot in newest}) == len(newest)
    for shot in newest:
        assert shot.status in MOVES["shots"]
        if shot.status == ShotStatus.WAITING and shot.not_before:
            assert shot.not_before < now() + LONGEST_IDLE


def _check_claim(shot: Shot) -> None:
    """Hold a running shot to one owner, one lease and one live call, and every other shot to none."""
    running = shot.status == ShotStatus.RUNNING
    calls = db.session.scalars(
        select(Attempt)
        .join(attempt_shots, attempt_shots.c.attempt_id == Attempt.id)
        .where(attempt_shots.c.shot_id == shot.id)
        .order_by(Attempt.id)
    ).all()
    assert (shot.lease_owner is not None) == (shot.lease_until is not None) == running
    assert sum(call.status in LIVE_ATTEMPTS for call in calls) == running
    assert [call.number for call in calls] == list(range(1, shot.tries + 1))
    assert shot.fence == shot.tries
    for call in calls:
        assert (call.ended_at is None) == (call.status in LIVE_ATTEMPTS)
        assert call.status != "succeeded" or shot.status == ShotStatus.SUCCEEDED
    if shot.status in (ShotStatus.SUCCEEDED, ShotStatus.UNKNOWN):
        assert calls[-1].status == shot.status
    if shot.status in (ShotStatus.FAILED, ShotStatus.REFUSED, ShotStatus.UNKNOWN):
        assert shot.error_kind and shot.error_message


def _check_reservations(shots: list[Shot]) -> None:
    """Hold money aside exactly as long as a shot's end is open, and end it once."""
    held = {row.shot_id: row for row in _all(Reservation)}
    overruns = set(db.session.scalars(select(Event.shot_id).where(Event.type == "shot.overrun")))
    assert held.keys() == {shot.id for shot in shots}
    for shot in shots:
        row = held[shot.id]
        assert (row.status != "held") == (shot.status in SHOT_ENDS), (row.status, shot.status)
        assert (row.ended_at is not None) == (row.status != "held")
        assert row.posted_micro is None or row.status == "posted"
        overrun = None not in (row.posted_micro, row.amount_micro) and row.posted_micro > row.amount_micro
        assert overrun == (shot.id in overruns), "what cost more than was set aside is said with an event"
    _check_budgets()


def _check_budgets() -> None:
    """Hold every period to what the reservations counted in it say, and a hard one to its cap."""
    counted = defaultdict(list)
    pairs = select(reservation_periods.c.period_id, Reservation).join(
        Reservation, Reservation.id == reservation_periods.c.reservation_id
    )
    for period_id, row in db.session.execute(pairs):
        counted[period_id].append(row)
    for period in _all(BudgetPeriod):
        rows = counted[period.id]
        assert period.reserved_micro == sum(row.amount_micro or 0 for row in rows if row.status == "held")
        assert period.spent_micro == sum(row.posted_micro or 0 for row in rows)
        allowed = period.cap_micro + period.granted_micro + period.over_micro
        assert not period.hard or period.spent_micro + period.reserved_micro <= allowed


def _check_ledger(jobs: list[Job]) -> None:
    """Hold every booking to a sum of zero, and what was spent to what was posted."""
    bookings: dict[str, int] = defaultdict(int)
    spent: dict[int, int] = defaultdict(int)
    attempts = Counter()
    for entry in _all(LedgerEntry):
        bookings[entry.booking] += entry.amount_micro
        if entry.account == "spend":
            spent[entry.job_id] += entry.amount_micro
            attempts[entry.attempt_id] += 1
    assert set(bookings.values()) <= {0}
    assert set(attempts.values()) <= {1}, "a call was booked twice"
    posted = dict(
        db.session.execute(
            select(Reservation.job_id, func.coalesce(func.sum(Reservation.posted_micro), 0)).group_by(
                Reservation.job_id
            )
        ).all()
    )
    for job in jobs:
        assert job.actual_micro == spent[job.id] == posted[job.id]


def _check_pictures(shots: list[Shot]) -> None:
    """Hold every delivered shot to one picture whose files are what their names say, and others to none."""
    made = defaultdict(list)
    for image in _all(Image):
        made[image.shot_id].append(image)
    for shot in shots:
        assert len(made[shot.id]) == (shot.status == ShotStatus.SUCCEEDED)
        for image in made[shot.id]:
            assert _sha256(image.file_key) == image.sha256
            assert _sha256(image.received_key) == image.received_sha256
            assert (image.width, image.height) == (shot.width, shot.height)


def _sha256(key: str) -> str:
    with runtime.storage.open(key) as file:
        return hashlib.sha256(file.read()).hexdigest()


def _check_events(jobs: list[Job]) -> None:
    """Hold events to numbers without a gap, and the last one of an ended job to its end."""
    events = db.session.scalars(select(Event).order_by(Event.organisation_seq)).all()
    for job in jobs:
        mine = sorted((event for event in events if event.job_id == job.id), key=lambda event: event.seq)
        assert [event.seq for event in mine] == list(range(1, job.event_seq + 1))
        assert [event.organisation_seq for event in mine] == sorted(event.organisation_seq for event in mine)
        assert mine[0].type == "job.queued"
        if job.status in JOB_ENDS:
            assert mine[-1].type == f"job.{job.status}"
        assert sum(event.type == "shot.succeeded" for event in mine) == job.n_succeeded
    for organisation in _all(Organisation):
        numbers = [event.organisation_seq for event in events if event.organisation_id == organisation.id]
        assert numbers == list(range(1, organisation.event_seq + 1))
