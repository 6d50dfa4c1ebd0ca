"""Addresses that leave the studio in a letter or from hand to hand."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import current_app, request, url_for

from imagegen.extensions import runtime

_HERE = ("localhost", "127.0.0.1", "::1")


def external(endpoint: str, **values: str) -> str:
    """Return the full address of a page: under PUBLIC_URL, else under the name by which the request came.

    Flask has checked that name against TRUSTED_HOSTS, and X-Forwarded-Host counts only with PROXY_HOPS.
    """
    base = runtime.settings.public_url or request.host_url.rstrip("/")
    path: str = url_for(endpoint, **values)  # type: ignore[arg-type]  # a value might be called `_external`
    return base + path


def of_command_line(endpoint: str, **values: str) -> str:
    """Return the full address of a page where there is no request: under PUBLIC_URL, else HOST and PORT."""
    settings = runtime.settings
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = settings.public_url or f"http://{host}:{settings.port}"
    return base + current_app.url_map.bind("studio").build(endpoint, values)


def may_be_mailed() -> bool:
    """Tell whether a letter that anybody can ask for may hold an address made by `external`.

    Whoever asks chooses the Host header. Unless PUBLIC_URL or TRUSTED_HOSTS says what the studio's name is, a letter
    might lead its reader, and the secret in it, to somebody else's server.
    """
    settings = runtime.settings
    return bool(settings.public_url or settings.trusted_hosts) or urlsplit(request.host_url).hostname in _HERE
