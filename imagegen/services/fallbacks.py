"""The order in which an organisation lets other models stand in for one that cannot serve a shot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select

from imagegen.core.errors import NotFound, StudioError
from imagegen.core.text import N_
from imagegen.extensions import db, runtime
from imagegen.models import Fallback, Organisation, UnitOfWork, writes
from imagegen.models.audit import Action
from imagegen.providers.base import Operation
from imagegen.providers.registry import OfferedModel
from imagegen.services import audit, provider_keys
from imagegen.services.audit import Actor

MOST = 8
"""How many models may stand in: each may be asked once for every shot."""

Name = tuple[str, str]
"""A provider's id and a model's."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A place in the order. `offer` is None for a model that the studio does not know any more."""

    provider: str
    model: str
    offer: OfferedModel | None


def listed() -> Sequence[Listed]:
    """Return the order of the organisation in scope."""
    offers = {_name(offer): offer for offer in provider_keys.offered().models()}
    query = select(Fallback.provider, Fallback.model).order_by(Fallback.position)
    return [Listed(provider, model, offers.get((provider, model))) for provider, model in db.session.execute(query)]


def candidates() -> Sequence[OfferedModel]:
    """Return the models that could be added: those that make pictures and are not in the order yet."""
    taken = {(each.provider, each.model) for each in listed()}
    return [offer for offer in provider_keys.offered().models() if _draws(offer) and _name(offer) not in taken]


def _name(offer: OfferedModel) -> Name:
    return offer.spec.provider, offer.spec.id


def _draws(offer: OfferedModel) -> bool:
    return Operation.GENERATE in offer.spec.operations


def add(*, by: Actor, provider: str, model: str) -> None:
    """Put a model at the end of the order. Raises StudioError with the field `model`."""
    if not _known((provider, model)):
        raise StudioError(N_("Choose a model from the list."), field="model")
    _change(by=by, how=lambda order: _added(order, (provider, model)))


def _added(order: Sequence[Name], name: Name) -> list[Name]:
    if name in order:
        return list(order)
    if len(order) >= MOST:
        raise _too_many("model")
    return [*order, name]


def _known(name: Name) -> bool:
    return any(_name(offer) == name and _draws(offer) for offer in runtime.providers.models())


def _too_many(field: str) -> StudioError:
    return StudioError(N_("At most {most} models can stand in.").format(most=MOST), field=field)


def replace(*, by: Actor, names: Sequence[Name]) -> None:
    """Put `names` in the place of the whole order; a model that is in it already may stay, known or not.

    Raises StudioError with the field `items`.
    """
    _change(by=by, how=lambda order: _replaced(order, names))


def _replaced(order: Sequence[Name], names: Sequence[Name]) -> list[Name]:
    if len(names) > MOST:
        raise _too_many("items")
    if len(set(names)) < len(names):
        raise StudioError(N_("Each model can stand in once."), field="items")
    for provider, model in names:
        if (provider, model) not in order and not _known((provider, model)):
            sentence = N_("{provider} has no model {model} that makes pictures.")
            raise StudioError(sentence.format(provider=provider, model=model), field="items")
    return list(names)


def remove(*, by: Actor, provider: str, model: str) -> None:
    """Take a model out of the order. Raises NotFound."""
    _change(by=by, how=lambda order: [*order[: _place(order, (provider, model))], *_after(order, (provider, model))])


def _after(order: Sequence[Name], name: Name) -> Sequence[Name]:
    return order[_place(order, name) + 1 :]


def move(*, by: Actor, provider: str, model: str, places: int) -> None:
    """Move a model down by `places`, up by negative ones; never past either end. Raises NotFound."""
    _change(by=by, how=lambda order: _moved(order, (provider, model), places))


def _moved(order: Sequence[Name], name: Name, places: int) -> list[Name]:
    target = _place(order, name) + places
    rest = [each for each in order if each != name]
    target = min(max(target, 0), len(rest))
    return [*rest[:target], name, *rest[target:]]


def _place(order: Sequence[Name], name: Name) -> int:
    if name not in order:
        raise NotFound(N_("This model is not in the list any more."))
    return order.index(name)


@writes
def _change(uow: UnitOfWork, *, by: Actor, how: Callable[[Sequence[Name]], list[Name]]) -> None:
    assert by.organisation_id is not None  # noqa: S101 - for the type checker
    # Two admins at once: the second one reads what the first has written.
    uow.get_one(Organisation, by.organisation_id, with_for_update=True)
    mine = Fallback.organisation_id == by.organisation_id
    query = select(Fallback.provider, Fallback.model).where(mine).order_by(Fallback.position)
    before = [(provider, model) for provider, model in uow.execute(query)]
    order = how(before)
    if order == before:
        return
    # All anew: no place may be held by two, not even while they change places.
    uow.execute(delete(Fallback).where(mine))
    uow.add_all(
        Fallback(organisation_id=by.organisation_id, position=position, provider=provider, model=model)
        for position, (provider, model) in enumerate(order)
    )
    audit.record(uow, Action.FALLBACKS_CHANGED, by=by, facts={"models": [model for _, model in order]})
