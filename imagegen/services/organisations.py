"""Organisations: made by operators, looked after by their admins."""

from __future__ import annotations

import zoneinfo
from functools import cache

from sqlalchemy import func, select

from imagegen.core.errors import NotFound, StudioError
from imagegen.core.text import N_
from imagegen.extensions import db
from imagegen.models import Membership, Organisation, UnitOfWork, organisation_scope, writes
from imagegen.models.audit import Action, Target
from imagegen.services import accounts, audit, invitations
from imagegen.services.audit import Actor
from imagegen.services.invitations import Handed

_REGIONS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@cache
def time_zones() -> tuple[str, ...]:
    """Return the names of the time zones that can be chosen: UTC, then by region and city."""
    named = (name for name in zoneinfo.available_timezones() if name.split("/")[0] in _REGIONS and "/" in name)
    return ("UTC", *sorted(named))


def check_time_zone(name: str) -> str:
    """Return `name` if there is such a time zone; raises StudioError with a sentence."""
    if name not in time_zones():
        raise StudioError(N_("Choose a time zone from the list."), field="time_zone")
    return name


def everywhere() -> list[tuple[Organisation, int]]:
    """Return all organisations with the number of their people, by name; for operators."""
    people = func.count(Membership.id)
    query = select(Organisation, people).outerjoin(Membership).group_by(Organisation.id)
    return [(place, count) for place, count in db.session.execute(query.order_by(func.lower(Organisation.name)))]


def named(name: str | None) -> Organisation:
    """Return the organisation of that name or id; without one the only one that there is. Raises NotFound."""
    query = select(Organisation).order_by(Organisation.id).limit(2)
    if name:
        query = query.where((Organisation.name == name) | (Organisation.public_id == name))
    found = db.session.scalars(query).all()
    if not found:
        raise NotFound(N_("There is no such organisation."))
    if len(found) > 1:
        raise StudioError(N_("There are several. Say which organisation is meant, by its name or id."))
    return found[0]


def make(*, by: Actor, name: str, owner: str) -> Handed:
    """Make an organisation and invite its first owner; for operators."""
    accounts.check_email(owner)
    place = _make(by=by, name=accounts.check_name(name, fallback="", field="name"))
    with organisation_scope(place.id):
        return invitations.invite(by=by.within(place.id), email=owner, role="owner")


@writes
def _make(uow: UnitOfWork, *, by: Actor, name: str) -> Organisation:
    place = Organisation(name=name)
    uow.add(place)
    uow.flush()
    audit.record(uow, Action.ORGANISATION_MADE, by=by.within(place.id), target=(Target.ORGANISATION, place.public_id))
    return place


def change(*, by: Actor, name: str, time_zone: str, language: str | None) -> None:
    """Change the settings of the actor's organisation."""
    _change(
        by=by,
        values={
            "name": accounts.check_name(name, fallback="", field="name"),
            "time_zone": check_time_zone(time_zone),
            "language": language,
        },
    )


@writes
def _change(uow: UnitOfWork, *, by: Actor, values: dict[str, str | None]) -> None:
    place = uow.get_one(Organisation, by.organisation_id)
    facts = {
        field: [getattr(place, field), value] for field, value in values.items() if getattr(place, field) != value
    }
    for field, value in values.items():
        setattr(place, field, value)
    if facts:
        target = (Target.ORGANISATION, place.public_id)
        audit.record(uow, Action.ORGANISATION_CHANGED, by=by, target=target, facts=facts)
