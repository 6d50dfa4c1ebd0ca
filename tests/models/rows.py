"""Rows to begin with: members of organisations, and jobs in them."""

from __future__ import annotations

from dataclasses import dataclass

from imagegen.engine import dispatch
from imagegen.models import Job, Membership, Organisation, User, unit_of_work
from imagegen.services.generation import GenerationRequest


@dataclass(frozen=True)
class Member:
    """Somebody in an organisation, by the ids of both."""

    user_id: int
    organisation_id: int


def add_member(name: str = "ann", organisation: str = "One") -> Member:
    """Add a person in an organisation of their own; nobody can sign in as them."""
    user = User(email=f"{name}@{organisation.lower()}.example", name=name, password_hash="unusable")
    place = Organisation(name=organisation)
    user.memberships.append(Membership(organisation=place, role="owner"))
    with unit_of_work() as uow:
        uow.add(user)
    return Member(user.id, place.id)


def submit(member: Member, *, n: int = 1, key: str | None = None, **wishes: object) -> Job:
    """Submit a job of `n` pictures for `member`: drawn by the studio itself unless `wishes` say otherwise."""
    request = GenerationRequest(**({"prompt": "violet waves", "provider": "local"} | wishes | {"n": n}))
    return dispatch.submit(
        organisation_id=member.organisation_id, user_id=member.user_id, request=request, idempotency_key=key
    )
