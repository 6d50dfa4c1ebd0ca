"""The audit log in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagegen.core.text import N_
from imagegen.models.audit import Action
from imagegen.web.filters import ROLE_NAMES
from imagegen.web.language import said
from imagegen.web.words import money, scope

ACTIONS: Mapping[Action, str] = {
    Action.SIGNED_IN: N_("Signed in"),
    Action.SIGN_IN_FAILED: N_("Sign-in failed"),
    Action.SIGNED_OUT: N_("Signed out"),
    Action.SESSION_ENDED: N_("Signed other browsers out"),
    Action.TOKEN_MADE: N_("Made an API token"),
    Action.TOKEN_REVOKED: N_("Revoked an API token"),
    Action.PASSWORD_CHANGED: N_("Changed their password"),
    Action.RESET_LINK_MADE: N_("Link to a new password made"),
    Action.PASSWORD_RESET: N_("Password replaced by link"),
    Action.PERSON_MADE: N_("Account made"),
    Action.PERSON_INVITED: N_("Invited somebody"),
    Action.INVITATION_RENEWED: N_("Renewed an invitation"),
    Action.INVITATION_REVOKED: N_("Took an invitation back"),
    Action.PERSON_JOINED: N_("Joined"),
    Action.PERSON_REMOVED: N_("Person removed"),
    Action.PERSON_DISABLED: N_("Account switched off"),
    Action.PERSON_ENABLED: N_("Account switched on"),
    Action.ROLE_CHANGED: N_("Changed a role"),
    Action.ORGANISATION_MADE: N_("Organisation made"),
    Action.ORGANISATION_CHANGED: N_("Changed the organisation's settings"),
    Action.OPERATOR_MADE: N_("Made somebody an operator"),
    Action.OPERATOR_ENDED: N_("Ended somebody's being an operator"),
    Action.BUDGET_SET: N_("Set a budget"),
    Action.BUDGET_RAISED: N_("Raised a budget for once"),
    Action.BUDGET_DECLINED: N_("Declined to raise a budget"),
    Action.BUDGET_REMOVED: N_("Removed a budget"),
    Action.ALLOWANCE_SET: N_("Set the allowance"),
    Action.PRICES_CHANGED: N_("Changed a model's prices"),
    Action.CLEANED_UP: N_("Asked for cleaning up"),
    Action.DRAINED: N_("Let workers begin nothing more"),
    Action.DRAIN_ENDED: N_("Let workers begin work again"),
    Action.KEY_ENTERED: N_("Entered a provider's key"),
    Action.KEY_REMOVED: N_("Removed a provider's key"),
    Action.KEY_TESTED: N_("Tested a provider's key"),
    Action.FALLBACKS_CHANGED: N_("Changed which models stand in"),
    Action.LIMITS_CHANGED: N_("Changed a provider's limits"),
}

_KNOWN = frozenset(ACTIONS)

_FACTS: Mapping[str, str] = {
    "role": N_("role"),
    "scopes": N_("may"),
    "sessions": N_("browsers"),
    "account": N_("unknown account"),
    "name": N_("name"),
    "time_zone": N_("time zone"),
    "language": N_("language"),
    "usd_micro": N_("amount"),
    "per": N_("for a"),
    "pictures": N_("pictures a month"),
    "model": N_("model"),
    "models": N_("models"),
    "provider": N_("provider"),
    "result": N_("result"),
    "worker": N_("worker"),
    "concurrency": N_("at once"),
    "per_minute": N_("a minute"),
}


def action(name: str) -> str:
    """Return what was done, in words; of an act that a newer version has written, its name."""
    return said(ACTIONS[Action(name)]) if name in _KNOWN else name.replace("_", " ")


def details(facts: Mapping[str, Any]) -> str:
    """Return an entry's facts in one line: `role: Editor → Admin`."""
    return ", ".join(
        f"{said(_FACTS[name])}: {_value(name, value)}" for name, value in facts.items() if name in _FACTS
    )


def _value(name: str, value: Any) -> str:
    if isinstance(value, list):
        # Of a change what was before and what is after; else several things.
        joint = ", " if name in ("scopes", "models") else " → "
        return joint.join(_value(name, each) for each in value)
    if name == "role":
        return said(ROLE_NAMES.get(str(value), str(value)))
    if name == "scopes":
        return scope(str(value))
    if name == "usd_micro" and value is not None:
        return money(int(value))
    return "-" if value is None else str(value)
