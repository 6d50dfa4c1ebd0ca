"""Providers: whether they can be used, and how they are doing."""

from __future__ import annotations

from flask import Blueprint

from imagegen.api.v1.openapi import Answers, Tags, operation
from imagegen.api.v1.schemas import Provider, ProviderFailure, ProviderLimits, ProviderList
from imagegen.providers.base import Availability
from imagegen.providers.base import Provider as Maker
from imagegen.services import provider_health, provider_keys, provider_limits
from imagegen.services.provider_health import Health
from imagegen.services.provider_limits import NONE, Limits
from imagegen.web import access
from imagegen.web.language import said

blueprint = Blueprint("api-providers", __name__)


@blueprint.get("/providers")
@access.viewing
@operation(Tags.MODELS, "listProviders", Answers(ProviderList, "All providers."))
def index() -> ProviderList:
    """List all providers, and how they are doing.

    With the key that the organisation uses: its own, else the installation's. Of the calls of the last 24 hours, the
    newest 1,000 at most. No provider is asked.
    """
    offered, health = provider_keys.offered(), provider_health.of_organisation()
    own, everybodys = provider_limits.of_organisation(), provider_limits.of_installation()
    return ProviderList(
        items=[
            _provider(
                each,
                offered.available(each),
                health[each.id],
                (own if health[each.id].own_key else everybodys).get(each.id, NONE),
            )
            for each in offered.providers()
        ],
        next_cursor=None,
    )


def _provider(provider: Maker, availability: Availability, health: Health, limits: Limits) -> Provider:
    figures, hold, error = health.figures, health.hold, health.error
    return Provider(
        id=provider.id,
        label=said(provider.label),
        available=availability.ok,
        reason=said(availability.reason) or None,
        own_key=health.own_key,
        limits=ProviderLimits(concurrency=limits.concurrency, per_minute=limits.per_minute),
        status=health.status,
        held_until=hold.until if hold else None,
        broken_since=hold.since if hold else None,
        calls=figures.calls,
        success_rate=figures.success_rate,
        p50_seconds=figures.p50,
        p95_seconds=figures.p95,
        last_error=ProviderFailure(kind=error.kind, message=said(error.message), at=error.at) if error else None,
    )
