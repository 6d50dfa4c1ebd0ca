"""A job's state as the catalogue words it, and the moves that there are."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from imagegen.models.states import (
    ATTEMPT_MOVES,
    JOB_ENDS,
    MOVES,
    SHOT_ENDS,
    SHOT_MOVES,
    AttemptStatus,
    JobStatus,
    ShotStatus,
    derive,
)

shots = st.lists(st.sampled_from(ShotStatus), min_size=1, max_size=12)


@given(shots, st.booleans())
def test_a_jobs_state_follows_from_its_shots(standing: list[ShotStatus], begun: bool) -> None:
    state = derive(Counter(standing), begun)

    delivered = [shot == ShotStatus.SUCCEEDED for shot in standing]
    if any(shot in (ShotStatus.WAITING, ShotStatus.RUNNING) for shot in standing):
        assert state == (JobStatus.RUNNING if begun else JobStatus.QUEUED)
    elif all(delivered):
        assert state == JobStatus.SUCCEEDED
    elif any(delivered):
        assert state == JobStatus.PARTIAL
    elif all(shot == ShotStatus.CANCELED for shot in standing):
        assert state == JobStatus.CANCELED
    else:
        assert state == JobStatus.FAILED


@given(shots)
def test_a_job_has_ended_exactly_when_nothing_waits_or_runs(standing: list[ShotStatus]) -> None:
    active = {ShotStatus.WAITING, ShotStatus.RUNNING} & set(standing)

    assert (derive(Counter(standing), begun=True) in JOB_ENDS) == (not active)


def test_every_state_has_its_moves_and_they_lead_to_states_that_there_are() -> None:
    assert set(SHOT_MOVES) == set(ShotStatus)
    assert set(ATTEMPT_MOVES) == set(AttemptStatus)
    for moves in MOVES.values():
        assert {new for news in moves.values() for new in news} <= set(moves)


def test_only_what_waits_can_begin_and_what_has_ended_never_moves() -> None:
    begins = {old for old, news in SHOT_MOVES.items() if ShotStatus.RUNNING in news}
    assert begins == {ShotStatus.WAITING}
    assert {ShotStatus.SUCCEEDED, ShotStatus.REFUSED, ShotStatus.CANCELED, ShotStatus.FAILED} == SHOT_ENDS
    assert all(not SHOT_MOVES[end] for end in SHOT_ENDS)


def test_what_may_have_been_billed_never_becomes_a_call_that_was_not_sent() -> None:
    for status in (AttemptStatus.ACCEPTED, AttemptStatus.UNKNOWN):
        assert AttemptStatus.NOT_SENT not in ATTEMPT_MOVES[status]
    assert ShotStatus.WAITING not in SHOT_MOVES[ShotStatus.UNKNOWN]
