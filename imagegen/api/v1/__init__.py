"""Version 1 of the REST API."""

from __future__ import annotations

from flask import Flask

from imagegen.api.v1 import (
    docs,
    generate,
    images,
    jobs,
    library,
    models,
    openapi,
    providers,
    schedules,
    uploads,
    usage,
)

PREFIX = "/api/v1"


def init_app(app: Flask) -> None:
    """Add the API's routes to `app`."""
    for part in (generate, jobs, schedules, images, uploads, library, models, providers, usage, openapi, docs):
        app.register_blueprint(part.blueprint, url_prefix=PREFIX)
