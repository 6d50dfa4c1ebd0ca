"""Version 1 of the REST API."""

from __future__ import annotations

from flask import Flask

from imagegen.api.v1 import (
    budgets,
    cleaning,
    docs,
    generate,
    images,
    jobs,
    library,
    models,
    openapi,
    provider_keys,
    providers,
    schedules,
    uploads,
    usage,
)

PREFIX = "/api/v1"


def init_app(app: Flask) -> None:
    """Add the API's routes to `app`."""
    making = (generate, jobs, schedules, images, uploads, library)
    keeping = (models, providers, provider_keys, usage, budgets, cleaning)
    for part in (*making, *keeping, openapi, docs):
        app.register_blueprint(part.blueprint, url_prefix=PREFIX)
