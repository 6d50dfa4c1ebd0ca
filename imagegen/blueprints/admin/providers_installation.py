"""The installation's keys to providers: how they are doing, their limits, a test. For operators alone."""

from __future__ import annotations

from flask import redirect, url_for
from flask.typing import ResponseReturnValue

from imagegen.blueprints.admin.blueprint import blueprint
from imagegen.blueprints.admin.providers import card, read_limits
from imagegen.core.errors import StudioError
from imagegen.extensions import runtime
from imagegen.providers.base import Provider
from imagegen.services import provider_health, provider_keys, provider_limits
from imagegen.services.provider_limits import NONE
from imagegen.web import access, auth
from imagegen.web.contexts import Context
from imagegen.web.htmx import page
from imagegen.web.language import said


@blueprint.get("/installation/providers", endpoint="installation_providers")
@access.operating
def show_installation() -> ResponseReturnValue:
    """Show all providers with the installation's keys."""
    return _page()


@blueprint.post("/installation/providers/<provider>/test", endpoint="test_installation_key")
@access.operating
def test_installation_key(provider: str) -> ResponseReturnValue:
    """Make a real call with the installation's key, and say what came of it."""
    trouble = provider_keys.test_installation(by=auth.actor(), provider=provider)
    return _page(tested={provider: said(trouble) if trouble else ""})


@blueprint.post("/installation/providers/<provider>/limits", endpoint="limit_installation_key")
@access.operating
def limit_installation_key(provider: str) -> ResponseReturnValue:
    """Limit the calls under the installation's key."""
    try:
        provider_limits.set_for_installation(by=auth.actor(), provider=provider, limits=read_limits())
    except StudioError as error:
        if error.field is None:
            raise
        return _page(errors={provider: said(error.message)}, status=error.status)
    return redirect(url_for("admin.installation_providers", _anchor=provider), 303)


def _page(
    *, tested: dict[str, str] | None = None, errors: dict[str, str] | None = None, status: int = 200
) -> ResponseReturnValue:
    health, limits = provider_health.of_installation(), provider_limits.of_installation()
    return page(
        "admin/providers_installation.html",
        status=status,
        providers=[
            card(
                provider,
                provider.available(),
                health[provider.id],
                limits=limits.get(provider.id, NONE),
                limits_error=(errors or {}).get(provider.id, ""),
            )
            | {"setting": _setting(provider), "tested": (tested or {}).get(provider.id)}
            for provider in runtime.providers.providers()
        ],
    )


def _setting(provider: Provider) -> Context:
    """Return the names of the settings that hold the key and the address; the address may be a proxy's, so not it."""
    return {
        "key": (provider.key_setting or "").upper(),
        "base_url": (provider.base_url_setting or "").upper(),
    }
