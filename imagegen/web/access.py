"""Who may call a route: said at the route, enforced in one place, and walked through by a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from imagegen.services.rights import Right

Route = TypeVar("Route", bound=Callable[..., Any])


@dataclass(frozen=True)
class Access:
    """What it takes to call a route: nothing, being somebody, a right in the organisation, or being an operator.

    `before_setup` routes answer while there is no first person; all others lead to the set-up then.
    """

    anybody: bool = False
    right: Right | None = None
    operator: bool = False
    before_setup: bool = False

    def __call__(self, route: Route) -> Route:
        """Say it of `route`."""
        route.access = self  # type: ignore[attr-defined]
        return route


public = Access(anybody=True)
infrastructure = Access(anybody=True, before_setup=True)
person = Access()
viewing = Access(right=Right.VIEW)
creating = Access(right=Right.CREATE)
organising = Access(right=Right.ORGANISE)
approving = Access(right=Right.APPROVE)
managing_people = Access(right=Right.MANAGE_PEOPLE)
managing_organisation = Access(right=Right.MANAGE_ORGANISATION)
reading_audit = Access(right=Right.READ_AUDIT)
managing_budgets = Access(right=Right.MANAGE_BUDGETS)
operating = Access(operator=True)


def access_of(route: Callable[..., Any]) -> Access | None:
    """Return what was said of `route`; None if nothing was, which nobody may call."""
    return getattr(route, "access", None)
