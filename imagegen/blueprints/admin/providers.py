"""Providers as the organisation uses them: its own keys, how they are doing, and which models stand in."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.admin.blueprint import blueprint
from imagegen.core.errors import StudioError
from imagegen.extensions import runtime
from imagegen.providers.base import Availability, Provider
from imagegen.services import fallbacks, provider_health, provider_keys, provider_limits
from imagegen.services.fallbacks import Listed
from imagegen.services.provider_health import Health
from imagegen.services.provider_keys import KeptKey
from imagegen.services.provider_limits import Limits
from imagegen.settings import PROJECT_ROOT
from imagegen.web import access, auth, contexts, health_words
from imagegen.web.contexts import Context
from imagegen.web.htmx import page
from imagegen.web.language import said


@blueprint.get("/providers", endpoint="providers")
@access.managing_organisation
def show_providers() -> ResponseReturnValue:
    """Show all providers and the order of those that stand in."""
    return _page()


@blueprint.post("/providers/<provider>/key", endpoint="enter_key")
@access.managing_organisation
def enter_key(provider: str) -> ResponseReturnValue:
    """Keep the organisation's own key."""
    try:
        provider_keys.enter(by=auth.actor(), provider=provider, secret=request.form.get("key", ""))
    except StudioError as error:
        if error.field != "key":
            raise
        return _page(key_error=(provider, said(error.message)), status=error.status)
    return _back(provider)


@blueprint.post("/providers/<provider>/key/remove", endpoint="remove_key")
@access.managing_organisation
def remove_key(provider: str) -> ResponseReturnValue:
    """Forget the organisation's own key."""
    provider_keys.remove(by=auth.actor(), provider=provider)
    return _back(provider)


@blueprint.post("/providers/<provider>/test", endpoint="test_key")
@access.managing_organisation
def test_key(provider: str) -> ResponseReturnValue:
    """Make a real call with the organisation's own key; the page shows what came of it."""
    provider_keys.test(by=auth.actor(), provider=provider)
    return _back(provider)


@blueprint.post("/providers/<provider>/limits", endpoint="limit_key")
@access.managing_organisation
def limit_key(provider: str) -> ResponseReturnValue:
    """Limit the calls under the organisation's own key."""
    try:
        limits = read_limits()
        provider_limits.set_for_own_key(by=auth.actor(), provider=provider, limits=limits)
    except StudioError as error:
        if error.field is None:
            raise
        return _page(limits_error=(provider, said(error.message)), status=error.status)
    return _back(provider)


def read_limits() -> Limits:
    """Return the limits in the form that was sent; raises StudioError with the field."""
    return provider_limits.read(**{name: request.form.get(name, "") for name in ("concurrency", "per_minute")})


def _back(provider: str) -> ResponseReturnValue:
    return redirect(url_for("admin.providers", _anchor=provider), 303)


@blueprint.post("/providers/stand-ins", endpoint="add_stand_in")
@access.managing_organisation
def add_stand_in() -> ResponseReturnValue:
    """Put a model at the end of the order."""
    try:
        fallbacks.add(by=auth.actor(), **_named())
    except StudioError as error:
        return _page(order_error=said(error.message), status=error.status)
    return _to_order()


@blueprint.post("/providers/stand-ins/remove", endpoint="remove_stand_in")
@access.managing_organisation
def remove_stand_in() -> ResponseReturnValue:
    """Take a model out of the order."""
    fallbacks.remove(by=auth.actor(), **_named())
    return _to_order()


@blueprint.post("/providers/stand-ins/move", endpoint="move_stand_in")
@access.managing_organisation
def move_stand_in() -> ResponseReturnValue:
    """Move a model up (`to=up`) or down by one place."""
    fallbacks.move(by=auth.actor(), places=-1 if request.form.get("to") == "up" else 1, **_named())
    return _to_order()


def _named() -> dict[str, str]:
    provider, _, model = request.form.get("model", "").partition(":")
    return {"provider": provider, "model": model}


def _to_order() -> ResponseReturnValue:
    return redirect(url_for("admin.providers", _anchor="stand-ins"), 303)


Mistake = tuple[str, str]
"""A provider's id, and what was wrong with what was typed there."""


def _page(
    *,
    key_error: Mistake | None = None,
    limits_error: Mistake | None = None,
    order_error: str = "",
    status: int = 200,
) -> ResponseReturnValue:
    return page(
        "admin/providers.html",
        status=status,
        providers=_providers(key_error, limits_error),
        order=[_listed(each) for each in fallbacks.listed()],
        candidates=[
            (f"{offer.spec.provider}:{offer.spec.id}", f"{said(offer.provider.label)} · {said(offer.spec.label)}")
            for offer in fallbacks.candidates()
        ],
        order_error=order_error,
    )


def _providers(key_error: Mistake | None, limits_error: Mistake | None) -> list[Context]:
    offered, keys, health = provider_keys.offered(), provider_keys.listed(), provider_health.of_organisation()
    own, everybodys = provider_limits.of_organisation(), provider_limits.of_installation()
    return [
        card(
            provider,
            offered.available(provider),
            health[provider.id],
            limits=(own if provider.id in keys else everybodys).get(provider.id, provider_limits.NONE),
            limits_error=_about(provider, limits_error),
        )
        | {
            "own_key": _own_key(keys[provider.id]) if provider.id in keys else None,
            "installation": provider.available().ok,
            "key_error": _about(provider, key_error),
        }
        for provider in offered.providers()
    ]


def _about(provider: Provider, mistake: Mistake | None) -> str:
    return mistake[1] if mistake and mistake[0] == provider.id else ""


def card(
    provider: Provider, availability: Availability, health: Health, *, limits: Limits, limits_error: str
) -> Context:
    """Return what the card of a provider shows, whoever's key is used."""
    picture = f"img/models/{provider.id}.webp"
    return {
        "id": provider.id,
        "label": said(provider.label),
        "picture": url_for("static", filename=picture) if (PROJECT_ROOT / "static" / picture).is_file() else None,
        "built_in": provider.built_in,
        "takes_key": provider.takes_key,
        "key_page": provider.key_page,
        "test_note": said(provider.test_note) if provider.test_note else "",
        "available": availability.ok,
        "reason": said(availability.reason),
        "health": health_words.health(health),
        "limits": None if provider.built_in else _limits(limits),
        "limits_error": limits_error,
    }


def _limits(limits: Limits) -> Context:
    most = runtime.settings.provider_concurrency
    return {
        "at_once": min(limits.concurrency or most, most),
        "most": most,
        "concurrency": limits.concurrency or "",
        "per_minute": limits.per_minute or "",
    }


def _own_key(key: KeptKey) -> Context:
    return {
        "hint": key.hint,
        "entered": contexts.ago(key.entered_at),
        "by": key.entered_by or "",
        "tested": contexts.ago(key.tested_at) if key.tested_at else "",
        "trouble": said(key.test_error) if key.test_error else "",
    }


def _listed(place: Listed) -> dict[str, Any]:
    offer = place.offer
    trouble = ""
    if offer is not None and not offer.availability.ok:
        trouble = said(offer.availability.reason)
    return {
        "key": f"{place.provider}:{place.model}",
        "label": said(offer.spec.label) if offer else place.model,
        "provider": said(offer.provider.label) if offer else place.provider,
        "known": offer is not None,
        "trouble": trouble,
    }
