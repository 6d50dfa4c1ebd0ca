"""What becomes of a shot for everything that a provider may answer: its state, its sentence and its money."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import select

from imagegen.extensions import db
from imagegen.models import Attempt, Image, Job, LedgerEntry, Reservation, Shot
from tests.engine.conftest import Work
from tests.engine.invariants import check_invariants
from tests.fakes.openai_server import OpenAIServer
from tests.models.rows import Member, submit

pytestmark = [
    pytest.mark.usefixtures("everything", "quick_retries"),
    pytest.mark.databases("sqlite"),  # what an answer means, the database has no part in
]


@pytest.fixture
def settings_values(openai: OpenAIServer) -> dict[str, object]:
    """A provider whose calls may take a second."""
    return {
        "openai_api_key": openai.key,
        "openai_base_url": openai.base_url,
        "provider_timeout_seconds": 1,
    }


@dataclass(frozen=True)
class Outcome:
    """What a shot, its last call and its reservation came to."""

    shot: str
    kind: str | None
    attempt: str
    reservation: str


def draw(member: Member, work: Work, n: int = 1) -> list[Shot]:
    """Have the stand-in draw `n` pictures, and return the shots afterwards."""
    submit(member, provider="openai", quality="low", prompt="a lighthouse in fog", n=n)
    work()
    check_invariants()
    return list(db.session.scalars(select(Shot).order_by(Shot.slot)))


def outcome_of(shot: Shot) -> Outcome:
    """Return what `shot` came to."""
    reservation = db.session.scalars(select(Reservation).where(Reservation.shot_id == shot.id)).one()
    return Outcome(shot.status, shot.error_kind, shot.attempts[-1].status, reservation.status)


def spent() -> int:
    """Return what the ledger says was spent, in micro-USD."""
    return sum(db.session.scalars(select(LedgerEntry.amount_micro).where(LedgerEntry.account == "spend")))


def posts(openai: OpenAIServer) -> int:
    """Return how many calls the provider got, which must be how many the studio has written down as sent."""
    sent = db.session.scalars(select(Attempt.id).where(Attempt.sent_at.is_not(None))).all()
    assert len(sent) == len(openai.requests)
    return len(openai.requests)


def test_a_picture_costs_exactly_the_price_times_the_tokens_that_the_provider_counted(
    ann: Member, openai: OpenAIServer, work: Work
) -> None:
    shots = draw(ann, work, n=3)

    assert [outcome_of(shot) for shot in shots] == [Outcome("succeeded", None, "succeeded", "posted")] * 3
    assert posts(openai) == 3
    assert spent() == openai.bill > 0
    assert sum(shot.actual_micro for shot in shots) == openai.bill
    job = db.session.scalars(select(Job)).one()
    assert (job.status, job.actual_micro) == ("succeeded", openai.bill)
    for shot, request in zip(shots, openai.requests, strict=True):
        assert shot.attempts[0].usage["output_tokens"] == request.usage["output_tokens"]
        assert shot.attempts[0].provider_request_id.startswith("req_")
    owed = db.session.scalars(select(LedgerEntry).where(LedgerEntry.account == "provider:openai"))
    assert sum(entry.amount_micro for entry in owed) == -openai.bill


REFUSED = [
    ("401", Outcome("failed", "auth", "rejected", "void"), "did not accept the key"),
    ("403_verification", Outcome("failed", "auth", "rejected", "void"), "verified"),
    ("400", Outcome("failed", "bad_request", "rejected", "void"), "did not accept the request"),
    ("400_moderation", Outcome("refused", "refused", "rejected", "void"), "content rules"),
    ("400_billing", Outcome("failed", "billing", "rejected", "void"), "no credit left"),
    ("429_quota", Outcome("failed", "billing", "rejected", "void"), "no credit left"),
    ("404_model", Outcome("failed", "bad_request", "rejected", "void"), "no model"),
    ("redirect", Outcome("failed", "bad_answer", "rejected", "void"), "sends requests on"),
]


@pytest.mark.parametrize(("fault", "expected", "words"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_refusal_ends_the_shot_at_once_and_costs_nothing(
    ann: Member, openai: OpenAIServer, work: Work, fault: str, expected: Outcome, words: str
) -> None:
    openai.script(fault)

    (shot,) = draw(ann, work)

    assert outcome_of(shot) == expected
    assert words in shot.error_message
    assert posts(openai) == 1
    assert spent() == openai.bill == 0
    assert db.session.scalars(select(Job.status)).one() == "failed"


BILLED = [
    ("broken_base64", "cannot be decoded"),
    ("empty_data", "without a picture"),
    ("no_data", "without a picture"),
    ("address", "leads into a private network"),
    ("not_a_picture", "not a PNG, JPEG or WebP"),
    ("wrong_count", "another number of pictures"),
]


@pytest.mark.parametrize(("fault", "words"), BILLED, ids=[case[0] for case in BILLED])
def test_an_answer_without_a_picture_is_paid_for_and_not_asked_for_again(
    ann: Member, openai: OpenAIServer, work: Work, fault: str, words: str
) -> None:
    openai.script(fault)

    (shot,) = draw(ann, work)

    assert outcome_of(shot) == Outcome("failed", "bad_answer", "billed_no_image", "posted")
    assert words in shot.error_message
    assert posts(openai) == 1
    assert spent() == openai.bill > 0
    assert shot.actual_micro == openai.bill
    assert not db.session.scalars(select(Image)).all()


@pytest.mark.parametrize("fault", ["html", "list", "broken_json", "packed"])
def test_an_answer_that_is_none_is_booked_at_the_estimate_for_it_tells_no_tokens(
    ann: Member, openai: OpenAIServer, work: Work, fault: str
) -> None:
    openai.script(fault)

    (shot,) = draw(ann, work)

    assert outcome_of(shot) == Outcome("failed", "bad_answer", "billed_no_image", "posted")
    assert posts(openai) == 1
    assert spent() == shot.estimated_micro >= openai.bill > 0


@pytest.mark.parametrize("fault", ["no_usage", "broken_usage", "huge_usage"])
def test_a_picture_without_a_count_of_tokens_is_kept_and_booked_at_the_estimate(
    ann: Member, openai: OpenAIServer, work: Work, fault: str
) -> None:
    openai.script(fault)

    (shot,) = draw(ann, work)

    assert outcome_of(shot) == Outcome("succeeded", None, "succeeded", "posted")
    assert spent() == shot.estimated_micro >= openai.bill > 0


def test_a_request_id_that_no_column_holds_spoils_no_picture(ann: Member, openai: OpenAIServer, work: Work) -> None:
    openai.script("long_request_id")

    (shot,) = draw(ann, work)

    assert outcome_of(shot) == Outcome("succeeded", None, "succeeded", "posted")
    assert shot.attempts[0].provider_request_id.startswith("req_")
    assert spent() == openai.bill > 0


@pytest.mark.parametrize("fault", ["hang", "drip", "drip_headers", "cut", "cut_before"])
def test_a_call_without_an_answer_is_unknown_keeps_its_money_aside_and_is_never_sent_again(
    ann: Member, openai: OpenAIServer, work: Work, fault: str
) -> None:
    openai.script({"kind": fault, "seconds": 0.1})

    (shot,) = draw(ann, work)

    assert outcome_of(shot) == Outcome("unknown", "unknown", "unknown", "held")
    assert "nobody can tell whether it was billed" in shot.error_message
    assert posts(openai) == 1
    assert spent() == 0
    held = db.session.scalars(select(Reservation)).one()
    assert held.amount_micro >= openai.bill > 0
    work()
    assert posts(openai) == 1


@pytest.mark.parametrize("fault", ["500", "502", "503"])
def test_a_quick_server_error_is_tried_again_and_paid_once(
    ann: Member, openai: OpenAIServer, work: Work, fault: str
) -> None:
    openai.script(fault)

    (shot,) = draw(ann, work)

    assert outcome_of(shot) == Outcome("succeeded", None, "succeeded", "posted")
    assert [attempt.status for attempt in shot.attempts] == ["rejected", "succeeded"]
    assert [attempt.error_kind for attempt in shot.attempts] == ["unavailable", None]
    assert posts(openai) == 2
    assert spent() == openai.bill > 0


@pytest.mark.parametrize(
    ("fault", "kind", "calls", "words"),
    [
        ("500", "unavailable", 3, "problem of its own"),
        ("429", "rate_limited", 5, "takes no more requests"),
    ],
)
def test_trying_again_ends_after_so_many_calls_with_a_sentence_and_no_cost(
    ann: Member, openai: OpenAIServer, work: Work, fault: str, kind: str, calls: int, words: str
) -> None:
    openai.script(*[fault] * 9)

    (shot,) = draw(ann, work)

    assert outcome_of(shot) == Outcome("failed", kind, "rejected", "void")
    assert words in shot.error_message
    assert posts(openai) == calls
    assert spent() == openai.bill == 0


def test_a_rate_limit_is_waited_for_as_long_as_the_provider_asks(
    ann: Member, openai: OpenAIServer, work: Work
) -> None:
    openai.script({"kind": "429", "retry_after_ms": "400"})

    (shot,) = draw(ann, work)

    first, second = shot.attempts
    assert outcome_of(shot) == Outcome("succeeded", None, "succeeded", "posted")
    assert (second.sent_at - first.ended_at).total_seconds() >= 0.4
    assert posts(openai) == 2
    assert spent() == openai.bill


def test_a_wait_that_nobody_would_sit_through_is_a_failure_with_a_sentence(
    ann: Member, openai: OpenAIServer, work: Work
) -> None:
    openai.script({"kind": "429", "retry_after": "3600"})

    (shot,) = draw(ann, work)

    assert outcome_of(shot) == Outcome("failed", "rate_limited", "rejected", "void")
    assert posts(openai) == 1


def test_one_bad_answer_among_good_ones_leaves_a_partial_job(ann: Member, openai: OpenAIServer, work: Work) -> None:
    openai.script("400_moderation")

    shots = draw(ann, work, n=3)

    assert sorted(shot.status for shot in shots) == ["refused", "succeeded", "succeeded"]
    assert db.session.scalars(select(Job.status)).one() == "partial"
    assert posts(openai) == 3
    assert spent() == openai.bill


class TestOutOfReach:
    """A provider at an address where nobody listens."""

    @pytest.fixture
    def settings_values(self, openai: OpenAIServer) -> dict[str, object]:
        """The address of a server that has stopped."""
        with OpenAIServer() as gone:
            address = gone.base_url
        return {"openai_api_key": openai.key, "openai_base_url": address}

    def test_nothing_was_sent_so_it_is_tried_again_and_then_released(self, ann: Member, work: Work) -> None:
        (shot,) = draw(ann, work)

        assert outcome_of(shot) == Outcome("failed", "unavailable", "not_sent", "void")
        assert "cannot be reached" in shot.error_message
        assert len(shot.attempts) == 3
        assert spent() == 0
