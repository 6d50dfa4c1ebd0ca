"""Keys to providers, the limits of calls under them, and the models that stand in: for admins and operators."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from imagegen.api.v1.openapi import BODY, Answers, NoContent, Tags, operation
from imagegen.api.v1.provider_schemas import (
    KeyBody,
    KeyTest,
    LimitsBody,
    StandIn,
    StandInList,
    StandInsBody,
)
from imagegen.api.v1.schemas import ProviderLimits
from imagegen.core.text import N_
from imagegen.services import fallbacks, provider_keys, provider_limits
from imagegen.services.fallbacks import Listed
from imagegen.services.provider_limits import Limits
from imagegen.web import access
from imagegen.web.auth import actor
from imagegen.web.language import said

blueprint = Blueprint("api-provider-keys", __name__)

_TRIED = Answers(KeyTest, "The provider was asked: this came of it.", problems=(404, 429))
_LIMITED = Answers(ProviderLimits, "The limits as they are now.", problems=(*BODY, 404))


@blueprint.put("/providers/<provider_id>/key")
@access.managing_organisation
@operation(Tags.PROVIDERS, "enterProviderKey", NoContent("Kept.", problems=(*BODY, 404)))
def enter(provider_id: str, json: KeyBody) -> ResponseReturnValue:
    """Keep a key of the organisation's own, in place of the one before.

    Its calls are made with it from now on, and its limits are kept apart from everybody else's.
    """
    provider_keys.enter(by=actor(), provider=provider_id, secret=json.key.get_secret_value())
    return "", 204


@blueprint.delete("/providers/<provider_id>/key")
@access.managing_organisation
@operation(Tags.PROVIDERS, "removeProviderKey", NoContent("Forgotten.", problems=(404,)))
def remove(provider_id: str) -> ResponseReturnValue:
    """Forget the organisation's own key; the installation's is used from now on, if there is one."""
    provider_keys.remove(by=actor(), provider=provider_id)
    return "", 204


@blueprint.post("/providers/<provider_id>/test")
@access.managing_organisation
@operation(Tags.PROVIDERS, "testProviderKey", _TRIED)
def test(provider_id: str) -> KeyTest:
    """Make the cheapest real call with the organisation's own key.

    Ten tests a minute for each person.
    """
    return _tried(provider_keys.test(by=actor(), provider=provider_id))


@blueprint.post("/installation/providers/<provider_id>/test")
@access.operating
@operation(Tags.INSTALLATION, "testInstallationKey", _TRIED)
def test_installation(provider_id: str) -> KeyTest:
    """Make the cheapest real call with the installation's key."""
    return _tried(provider_keys.test_installation(by=actor(), provider=provider_id))


def _tried(trouble: str | None) -> KeyTest:
    return KeyTest(ok=trouble is None, message=said(trouble) if trouble else None)


@blueprint.put("/providers/<provider_id>/limits")
@access.managing_organisation
@operation(Tags.PROVIDERS, "limitProviderKey", _LIMITED)
def limit(provider_id: str, json: LimitsBody) -> ProviderLimits:
    """Limit the calls under the organisation's own key.

    Whatever is set here, a provider that asks for less gets less.
    """
    limits = Limits(json.concurrency, json.per_minute)
    provider_limits.set_for_own_key(by=actor(), provider=provider_id, limits=limits)
    return ProviderLimits(concurrency=limits.concurrency, per_minute=limits.per_minute)


@blueprint.put("/installation/providers/<provider_id>/limits")
@access.operating
@operation(Tags.INSTALLATION, "limitInstallationKey", _LIMITED)
def limit_installation(provider_id: str, json: LimitsBody) -> ProviderLimits:
    """Limit the calls under the installation's key, over all organisations that use it."""
    limits = Limits(json.concurrency, json.per_minute)
    provider_limits.set_for_installation(by=actor(), provider=provider_id, limits=limits)
    return ProviderLimits(concurrency=limits.concurrency, per_minute=limits.per_minute)


@blueprint.get("/providers/stand-ins")
@access.managing_organisation
@operation(Tags.PROVIDERS, "listStandIns", Answers(StandInList, "The order."))
def list_stand_ins() -> StandInList:
    """List the models that stand in for one that cannot serve a picture.

    A picture moves on when its model's provider is down, is over its limit, or cannot do the request; never when the
    content was refused. Each shot says who drew it.
    """
    return StandInList(items=[_stand_in(each) for each in fallbacks.listed()], next_cursor=None)


@blueprint.put("/providers/stand-ins")
@access.managing_organisation
@operation(Tags.PROVIDERS, "replaceStandIns", Answers(StandInList, "The order as it is now.", problems=BODY))
def replace_stand_ins(json: StandInsBody) -> StandInList:
    """Put a whole order in the place of the one before."""
    fallbacks.replace(by=actor(), names=[(each.provider, each.model) for each in json.items])
    return list_stand_ins()


def _stand_in(place: Listed) -> StandIn:
    offer = place.offer
    reason = offer.availability.reason if offer else N_("Not known to the studio any more; it is passed over.")
    return StandIn(
        provider=place.provider,
        model=place.model,
        label=said(offer.spec.label) if offer else None,
        available=offer is not None and offer.availability.ok,
        reason=said(reason) or None,
    )
