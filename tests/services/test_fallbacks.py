"""Promises of the order in which models stand in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from imagegen.core.errors import NotFound, StudioError
from imagegen.extensions import db
from imagegen.models import AuditEntry, Fallback, organisation_scope, unit_of_work
from imagegen.models.audit import Action
from imagegen.services import fallbacks
from imagegen.services.audit import Actor
from tests.conftest import Person


@pytest.fixture
def by(ann: Person) -> Iterator[Actor]:
    """Ann, with her organisation in scope."""
    with organisation_scope(ann.organisation.id):
        yield Actor(user_id=ann.user.id, organisation_id=ann.organisation.id, role="owner")


@pytest.fixture
def three(by: Actor) -> list[str]:
    """The first three models on offer, put into the order."""
    chosen = [(offer.spec.provider, offer.spec.id) for offer in fallbacks.candidates()[:3]]
    for provider, model in chosen:
        fallbacks.add(by=by, provider=provider, model=model)
    return [model for _, model in chosen]


def order() -> list[str]:
    return [each.model for each in fallbacks.listed()]


def test_models_stand_in_in_the_order_in_which_they_were_added(three: list[str]):
    assert order() == three


def test_what_is_in_the_list_is_not_offered_for_it_again(by: Actor, three: list[str]):
    assert not {offer.spec.id for offer in fallbacks.candidates()} & set(three)
    fallbacks.add(by=by, provider="openai", model=three[0])
    assert order() == three


def test_what_the_studio_draws_itself_stands_in_only_once_it_is_put_there(by: Actor, three: list[str]):
    assert "local" not in {each.provider for each in fallbacks.listed()}
    fallbacks.add(by=by, provider="local", model="local-studio")
    assert order()[-1] == "local-studio"


@pytest.mark.parametrize(
    ("which", "places", "expected"),
    [(0, 1, "bac"), (2, -1, "acb"), (0, -1, "abc"), (2, 1, "abc"), (1, -1, "bac"), (1, 1, "acb"), (0, 9, "bca")],
)
def test_a_model_moves_by_places_and_never_past_an_end(
    by: Actor, three: list[str], which: int, places: int, expected: str
):
    fallbacks.move(by=by, provider="openai", model=three[which], places=places)
    assert order() == [three["abc".index(letter)] for letter in expected]


def test_a_model_that_is_removed_leaves_the_others_in_order(by: Actor, three: list[str]):
    fallbacks.remove(by=by, provider="openai", model=three[1])
    assert order() == [three[0], three[2]]
    for change in (fallbacks.remove, lambda **which: fallbacks.move(**which, places=1)):
        with pytest.raises(NotFound):
            change(by=by, provider="openai", model=three[1])


@pytest.mark.parametrize(("provider", "model"), [("openai", "dall-e-2"), ("openai", "local-studio"), ("", "")])
def test_only_a_model_that_is_known_can_stand_in(by: Actor, provider: str, model: str):
    with pytest.raises(StudioError) as refused:
        fallbacks.add(by=by, provider=provider, model=model)
    assert refused.value.field == "model"
    assert order() == []


def test_only_so_many_can_stand_in(by: Actor, monkeypatch: pytest.MonkeyPatch, three: list[str]):
    monkeypatch.setattr(fallbacks, "MOST", 3)
    with pytest.raises(StudioError, match="At most 3 models"):
        fallbacks.add(by=by, provider="local", model="local-studio")


LOCAL = ("local", "local-studio")


def test_the_order_is_put_in_the_place_of_the_one_before(by: Actor, three: list[str]):
    fallbacks.replace(by=by, names=[LOCAL, ("openai", three[2]), ("openai", three[0])])
    assert order() == ["local-studio", three[2], three[0]]
    fallbacks.replace(by=by, names=[])
    assert order() == []


def test_an_order_that_cannot_be_changes_nothing(by: Actor, three: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fallbacks, "MOST", 3)
    for names, sentence in (
        ([LOCAL, LOCAL], "Each model can stand in once."),
        ([LOCAL, ("openai", "of-tomorrow")], "openai has no model of-tomorrow that makes pictures."),
        ([("openai", "local-studio")], "openai has no model local-studio that makes pictures."),
        ([LOCAL, *[("openai", model) for model in three]], "At most 3 models can stand in."),
    ):
        with pytest.raises(StudioError) as refused:
            fallbacks.replace(by=by, names=names)
        assert (str(refused.value.message), refused.value.field) == (sentence, "items")
    assert order() == three


def test_a_model_that_is_not_known_any_more_may_stay_where_it_is_put(by: Actor, three: list[str]):
    with unit_of_work() as uow:
        uow.add(Fallback(organisation_id=by.organisation_id, position=3, provider="openai", model="gone"))
    fallbacks.replace(by=by, names=[("openai", "gone"), LOCAL])
    assert order() == ["gone", "local-studio"]


def test_an_order_as_it_was_is_no_change(by: Actor, three: list[str]):
    before = _changes()
    fallbacks.replace(by=by, names=[("openai", model) for model in three])
    assert (order(), _changes()) == (three, before)


def _changes() -> int:
    query = select(AuditEntry.id).where(AuditEntry.action == Action.FALLBACKS_CHANGED)
    return len(db.session.scalars(query).all())


def test_a_model_that_is_not_known_any_more_stays_to_be_seen_and_removed(by: Actor):
    with unit_of_work() as uow:
        row = Fallback(organisation_id=by.organisation_id, position=0, provider="openai", model="gone")
        uow.add(row)
    [listed] = fallbacks.listed()
    assert (listed.model, listed.offer) == ("gone", None)
    fallbacks.remove(by=by, provider="openai", model="gone")
    assert order() == []


def test_every_organisation_has_its_own_order(by: Actor, three: list[str], make_person):
    bob = make_person("bob@two.example", "Two")
    other = Actor(user_id=bob.user.id, organisation_id=bob.organisation.id, role="owner")
    with organisation_scope(bob.organisation.id):
        assert order() == []
        fallbacks.add(by=other, provider="local", model="local-studio")
        fallbacks.remove(by=other, provider="local", model="local-studio")
    assert order() == three


def test_the_audit_log_tells_the_new_order(by: Actor, three: list[str]):
    fallbacks.move(by=by, provider="openai", model=three[0], places=-1)
    query = select(AuditEntry.facts).where(AuditEntry.action == Action.FALLBACKS_CHANGED).order_by(AuditEntry.id)
    assert [facts["models"] for facts in db.session.scalars(query)] == [three[:1], three[:2], three]
