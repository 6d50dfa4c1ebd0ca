"""The same request again: answered from the library when that is wanted, free, and never from somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event, func, select, update

from imagegen.core.clock import now
from imagegen.core.errors import StudioError
from imagegen.engine import control
from imagegen.extensions import db, runtime
from imagegen.models import (
    Attempt,
    Image,
    Job,
    LedgerEntry,
    Outbox,
    Reservation,
    Shot,
    organisation_scope,
    system_scope,
    unit_of_work,
)
from imagegen.services import generation, jobs, reuse
from imagegen.services.generation import GenerationRequest
from tests.engine.invariants import check_invariants
from tests.models.rows import Member, add_member, submit

Work = Callable[[], None]
ASKED = {
    "prompt": "A wave",
    "negative_prompt": None,
    "size": [1024, 1280],
    "trim": None,
    "ratio": "4:5",
    "quality": "standard",
    "seed": 5,
    "background": "auto",
    "output_format": "png",
}


@pytest.fixture
def amy(app: Any) -> Member:
    return add_member("amy", "One")


def images() -> list[Image]:
    db.session.rollback()
    with system_scope():
        return list(db.session.scalars(select(Image).order_by(Image.id)))


def pictures_of(job: Job) -> list[Image | None]:
    db.session.rollback()
    with organisation_scope(job.organisation_id):
        return [each.image for each in jobs.view([jobs.get_job(job.public_id)])[0].shots]


def shots_of(job: Job) -> list[Shot]:
    db.session.rollback()
    with system_scope():
        return list(db.session.scalars(select(Shot).where(Shot.job_id == job.id).order_by(Shot.slot)))


def count(table: type) -> int:
    db.session.rollback()
    with system_scope():
        return db.session.scalar(select(func.count()).select_from(table)) or 0


def into_trash(*pictures: Image) -> None:
    with system_scope(), unit_of_work() as uow:
        uow.execute(update(Image).where(Image.id.in_([each.id for each in pictures])).values(deleted_at=now()))


# --- what is the same -----------------------------------------------------------------------------------------


def digest(**other: Any) -> str:
    return reuse.digest(provider="local", model="studio-1", asked=ASKED | other)


@pytest.mark.parametrize(
    "same",
    [
        {"prompt": "  A \n wave\t"},
        {"seed": 6},
        {"seed": None},
        {"ratio": None},
        {"negative_prompt": ""},
        {"not known yet": None},
    ],
)
def test_white_space_chance_and_what_is_empty_make_no_difference(same: dict[str, Any]) -> None:
    assert digest(**same) == digest()


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a wave"},
        {"prompt": "No wave"},
        {"prompt": "A\u200bwave"},
        {"negative_prompt": "people"},
        {"size": [1280, 1024]},
        {"trim": [1000, 1250]},
        {"quality": "high"},
        {"background": "transparent"},
        {"output_format": "webp"},
        {"source_images": ["a"]},
    ],
)
def test_whatever_else_is_asked_for_makes_it_another_request(other: dict[str, Any]) -> None:
    assert digest(**other) != digest()


def test_another_model_is_another_request() -> None:
    one, two, three = (
        reuse.digest(provider=provider, model=model, asked=ASKED)
        for provider, model in (("local", "a"), ("local", "b"), ("openai", "a"))
    )
    assert len({one, two, three}) == 3


def test_a_style_is_part_of_it(amy: Member, work: Work) -> None:
    submit(amy, style="modern")
    work()
    assert submit(amy, reuse="exact").n_waiting == 1
    assert submit(amy, reuse="exact", style="modern").n_succeeded == 1


# --- how it is answered ---------------------------------------------------------------------------------------


def test_the_same_again_is_answered_at_once_with_nothing_sent_set_aside_or_booked(amy: Member, work: Work) -> None:
    submit(amy, n=2, aspect_ratios=("1:1", "4:5"))
    work()
    before = [count(table) for table in (Attempt, Reservation, LedgerEntry, Outbox, Image)]
    queued = runtime.redis.keys("rq:job:*")

    again = submit(amy, n=2, aspect_ratios=("1:1", "4:5"), reuse="exact")

    assert (again.status, again.done, again.total, again.estimated_micro) == ("succeeded", 4, 4, 0)
    assert again.wholly_reused
    assert [count(table) for table in (Attempt, Reservation, LedgerEntry, Outbox, Image)] == before
    assert runtime.redis.keys("rq:job:*") == queued
    assert sorted(image.id for image in pictures_of(again)) == [image.id for image in images()]
    assert all(shot.reused and shot.actual_micro == 0 for shot in shots_of(again))
    check_invariants()
    work()
    check_invariants()


def test_each_shape_is_answered_by_its_own_pictures_the_newest_first(amy: Member, work: Work) -> None:
    for _ in range(3):
        submit(amy, aspect_ratios=("1:1", "4:5"))
        work()
    again = submit(amy, n=2, aspect_ratios=("4:5", "1:1"), reuse="exact")
    shown = pictures_of(again)
    assert [image.width < image.height for image in shown] == [True, True, False, False]
    assert [image.shot_id for image in shown] == [6, 4, 5, 3]
    check_invariants()


def test_never_is_the_default_and_makes_new_ones(amy: Member, work: Work) -> None:
    submit(amy)
    work()
    assert submit(amy).n_waiting == 1
    work()
    assert len({image.seed for image in images()}) == 2


def test_what_is_missing_is_made_and_only_that_is_paid_for(amy: Member, work: Work) -> None:
    submit(amy)
    work()
    again = submit(amy, n=3, reuse="exact")
    assert (again.status, again.n_succeeded, again.n_waiting) == ("queued", 1, 2)
    assert [shot.reused for shot in shots_of(again)] == [True, False, False]
    check_invariants()
    work()
    check_invariants()
    shown = pictures_of(again)
    assert len({image.id for image in shown}) == 3 and len(images()) == 3


def test_with_nothing_there_everything_is_made(amy: Member, work: Work) -> None:
    job = submit(amy, n=2, reuse="exact")
    assert job.n_waiting == 2
    work()
    check_invariants()


def test_what_lies_in_the_trash_answers_nothing(amy: Member, work: Work) -> None:
    submit(amy, n=2)
    work()
    older, newer = images()
    into_trash(newer)
    again = submit(amy, n=2, reuse="exact")
    assert again.n_succeeded == 1
    assert pictures_of(again)[0].id == older.id


def test_a_seed_is_heeded_when_the_person_gave_one(amy: Member, work: Work) -> None:
    submit(amy, n=2, seed=40)
    work()
    assert submit(amy, seed=42, reuse="exact").n_succeeded == 0
    again = submit(amy, n=2, seed=41, reuse="exact")
    assert [shot.reused for shot in shots_of(again)] == [True, False]
    assert pictures_of(again)[0].seed == 41
    assert submit(amy, reuse="exact").n_succeeded == 1, "without one any seed will do"


def test_a_picture_that_answered_again_still_belongs_to_its_first_job(amy: Member, work: Work) -> None:
    first = submit(amy)
    work()
    for _ in range(2):
        submit(amy, reuse="exact")
    (image,) = images()
    assert image.job_id == first.id
    with organisation_scope(amy.organisation_id):
        control.delete(first.public_id)
    again = submit(amy, reuse="exact")
    assert pictures_of(again) != [None], "the picture outlives its job"


def test_a_picture_that_is_gone_for_good_leaves_a_job_that_can_be_read_and_deleted(amy: Member, work: Work) -> None:
    submit(amy)
    work()
    again = submit(amy, reuse="exact")
    with system_scope(), unit_of_work() as uow:
        uow.delete(uow.get_one(Image, images()[0].id))
    assert pictures_of(again) == [None]
    (shot,) = shots_of(again)
    assert shot.reused and shot.reused_image_id is None
    with organisation_scope(amy.organisation_id):
        control.delete(again.public_id)
    assert count(Job) == 1


def test_what_failed_beside_reused_pictures_can_be_tried_again(amy: Member, work: Work) -> None:
    submit(amy)
    work()
    again = submit(amy, n=2, reuse="exact")
    with organisation_scope(amy.organisation_id):
        control.cancel(again.public_id)
    check_invariants()
    with organisation_scope(amy.organisation_id):
        assert jobs.get_job(again.public_id).status == "partial"
        assert control.retry(again.public_id) == 1
    work()
    check_invariants()
    assert len({image.id for image in pictures_of(again)}) == 2


def test_a_key_makes_one_job_of_reuse_too(amy: Member, work: Work) -> None:
    submit(amy)
    work()
    once = submit(amy, key="k", reuse="exact")
    into_trash(*images())
    assert submit(amy, key="k", reuse="exact").id == once.id
    with pytest.raises(StudioError):
        submit(amy, key="k")
    assert count(Job) == 2


def test_nothing_is_shared_between_organisations(amy: Member, work: Work) -> None:
    submit(amy, n=2)
    work()
    bob = add_member("bob", "Two")
    job = submit(bob, n=2, reuse="exact")
    assert (job.n_succeeded, job.n_waiting) == (0, 2)
    mate = add_member("mia", "Three")
    request = GenerationRequest(prompt="violet waves", provider="local")
    with organisation_scope(mate.organisation_id):
        found = generation.find_earlier(
            db.session(),
            organisation_id=mate.organisation_id,
            request=request,
            plan=generation.plan(request),
        )
        foreign = generation.find_earlier(
            db.session(), organisation_id=amy.organisation_id, request=request, plan=generation.plan(request)
        )
    assert found == foreign == [None], "not even to a query that names another organisation"


def test_the_lookup_is_one_query_on_the_index_however_many_pictures(amy: Member, work: Work) -> None:
    submit(amy)
    work()
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if not statement.startswith("SELECT"):
            return
        sent.append(statement)
        if db.engine.dialect.name == "sqlite":
            plan = _cursor.connection.cursor().execute("EXPLAIN QUERY PLAN " + statement, parameters).fetchall()
            steps.extend(str(row[-1]) for row in plan)

    steps: list[str] = []
    request = GenerationRequest(prompt="violet waves", provider="local", n=10, aspect_ratios=("1:1", "4:5"))
    plan = generation.plan(request)
    with organisation_scope(amy.organisation_id):
        event.listen(db.engine, "before_cursor_execute", note)
        try:
            generation.find_earlier(db.session(), organisation_id=amy.organisation_id, request=request, plan=plan)
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
    assert len(sent) == 1
    assert not [step for step in steps if step.startswith("SCAN") and "images" in step], steps
    assert db.engine.dialect.name != "sqlite" or any("ix_images_request_digest" in step for step in steps), steps


class TestPaid:
    """A provider that costs money, and is not even reachable."""

    @pytest.fixture
    def settings_values(self) -> dict[str, object]:
        return {"openai_api_key": SecretStr("sk-never-called"), "openai_base_url": "http://127.0.0.1:9/v1"}
