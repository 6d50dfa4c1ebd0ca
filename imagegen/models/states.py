"""The states of jobs, shots and attempts, and every legal move: one table, held by the database too."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class JobStatus(StrEnum):
    """Derived from the shots; see `derive`."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELED = "canceled"


class ShotStatus(StrEnum):
    """Where one picture that a job has to deliver stands."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


class AttemptStatus(StrEnum):
    """Where one call to a provider stands.

    `prepared`: written, nothing sent. `sent`: the call may have reached it. `accepted`: the provider has
    taken the work on and named it. The others end it.
    """

    PREPARED = "prepared"
    SENT = "sent"
    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    NOT_SENT = "not_sent"
    REJECTED = "rejected"
    BILLED_NO_IMAGE = "billed_no_image"
    UNKNOWN = "unknown"


class ReservationStatus(StrEnum):
    """Money set aside for a shot: held until the shot's end is known."""

    HELD = "held"
    POSTED = "posted"
    VOID = "void"


Moves = Mapping[str, frozenset[str]]

_S, _A, _R = ShotStatus, AttemptStatus, ReservationStatus

SHOT_MOVES: Moves = {
    _S.WAITING: frozenset({_S.RUNNING, _S.CANCELED}),
    # Back to waiting only when the provider has taken nothing on.
    _S.RUNNING: frozenset({_S.WAITING, _S.SUCCEEDED, _S.FAILED, _S.REFUSED, _S.CANCELED, _S.UNKNOWN}),
    # Ended by reconciling with the provider, or by a person.
    _S.UNKNOWN: frozenset({_S.SUCCEEDED, _S.FAILED, _S.REFUSED, _S.CANCELED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.REFUSED: frozenset(),
    _S.CANCELED: frozenset(),
}

_ENDS = frozenset({_A.SUCCEEDED, _A.NOT_SENT, _A.REJECTED, _A.BILLED_NO_IMAGE, _A.UNKNOWN})

ATTEMPT_MOVES: Moves = {
    _A.PREPARED: frozenset({_A.SENT, _A.NOT_SENT}),
    _A.SENT: frozenset({_A.ACCEPTED}) | _ENDS,
    _A.ACCEPTED: _ENDS - {_A.NOT_SENT},
    _A.UNKNOWN: _ENDS - {_A.NOT_SENT, _A.UNKNOWN},
    _A.SUCCEEDED: frozenset(),
    _A.NOT_SENT: frozenset(),
    _A.REJECTED: frozenset(),
    _A.BILLED_NO_IMAGE: frozenset(),
}

RESERVATION_MOVES: Moves = {
    _R.HELD: frozenset({_R.POSTED, _R.VOID}),
    _R.POSTED: frozenset(),
    _R.VOID: frozenset(),
}

MOVES: Mapping[str, Moves] = {
    "shots": SHOT_MOVES,
    "attempts": ATTEMPT_MOVES,
    "reservations": RESERVATION_MOVES,
}
"""Table name to its legal moves; `models.triggers` makes the database refuse any other."""

JOB_ENDS = frozenset({JobStatus.SUCCEEDED, JobStatus.PARTIAL, JobStatus.FAILED, JobStatus.CANCELED})
SHOT_ENDS = frozenset(status for status, moves in SHOT_MOVES.items() if not moves)
SHOT_SETTLED = SHOT_ENDS | {ShotStatus.UNKNOWN}
"""Shots at which nothing works any more; `unknown` waits for a person or the reconciler."""


def derive(counts: Mapping[ShotStatus, int], begun: bool) -> JobStatus:
    """Return a job's state from how many of its shots stand where; `begun` once any shot has run."""
    total = sum(counts.values())
    delivered = counts.get(ShotStatus.SUCCEEDED, 0)
    if counts.get(ShotStatus.WAITING, 0) or counts.get(ShotStatus.RUNNING, 0):
        return JobStatus.RUNNING if begun else JobStatus.QUEUED
    if delivered:
        return JobStatus.SUCCEEDED if delivered == total else JobStatus.PARTIAL
    return JobStatus.CANCELED if counts.get(ShotStatus.CANCELED, 0) == total else JobStatus.FAILED
