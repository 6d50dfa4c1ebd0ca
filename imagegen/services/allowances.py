"""How many pictures each person of an organisation may ask for in a month; off unless set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, func, select

from imagegen.core.calendar import month_of
from imagegen.core.errors import StudioError, TooMany
from imagegen.core.text import N_
from imagegen.models import Membership, Organisation, Reservation, UnitOfWork, built_once, writes
from imagegen.models.audit import Action, Target
from imagegen.models.states import ReservationStatus
from imagegen.services import audit
from imagegen.services.audit import Actor

SETTING = "pictures_a_month"
MOST = 1_000_000


class AllowanceUsed(TooMany):
    """The person's pictures of this month are used up."""

    advice = N_("Wait until then, or ask an admin for more.")


def of(organisation: Organisation) -> int | None:
    """Return how many pictures a month each person may ask for; None for any number."""
    return _allowed(organisation.settings)


def _allowed(settings: Mapping[str, Any]) -> int | None:
    found = settings.get(SETTING)
    return int(found) if found is not None else None


@cache
def _terms() -> Select[dict[str, Any], str]:
    # Every job asks it.
    return built_once(
        select(Organisation.settings, Organisation.time_zone).where(Organisation.id == bindparam("place"))
    )


@writes
def set_allowance(uow: UnitOfWork, *, by: Actor, pictures: int | None) -> None:
    """Set or, with None, lift the allowance of the actor's organisation."""
    if pictures is not None and not 0 <= pictures <= MOST:
        raise StudioError(N_("Write a number of pictures, or nothing for no limit."), field="pictures")
    place = uow.get_one(Organisation, by.organisation_id)
    others = {name: value for name, value in place.settings.items() if name != SETTING}
    place.settings = others if pictures is None else {**others, SETTING: pictures}
    target = (Target.ORGANISATION, place.public_id)
    audit.record(uow, Action.ALLOWANCE_SET, by=by, target=target, facts={"pictures": pictures})


def check(uow: UnitOfWork, *, organisation_id: int, user_id: int, pictures: int, moment: datetime) -> None:
    """Raise AllowanceUsed if `pictures` more are too many for the person's month.

    What is asked for counts, and what came to nothing does not. Two requests at once are taken one after the other.
    """
    place = uow.execute(_terms(), {"place": organisation_id}).one()
    allowed = _allowed(place.settings)
    if allowed is None:
        return
    mine = (Membership.user_id == user_id, Membership.organisation_id == organisation_id)
    uow.scalar(select(Membership.id).where(*mine).with_for_update())
    month = month_of(moment, place.time_zone)
    used = uow.scalar(
        select(func.count(Reservation.id)).where(
            Reservation.organisation_id == organisation_id,
            Reservation.user_id == user_id,
            Reservation.created_at >= month.starts_at,
            Reservation.status != ReservationStatus.VOID,
        )
    )
    left = max(0, allowed - (used or 0))
    if pictures <= left:
        return
    until = month.ends_at.astimezone(ZoneInfo(place.time_zone))
    raise AllowanceUsed(
        N_(
            "You have {left} of your {allowed} pictures left this month. It goes on on {day} at {hour} ({zone})."
        ).format(left=left, allowed=allowed, day=f"{until:%Y-%m-%d}", hour=f"{until:%H:%M}", zone=place.time_zone),
        retry_after=max(1, round((month.ends_at - moment).total_seconds())),
    )
