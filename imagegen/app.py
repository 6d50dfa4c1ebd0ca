"""The app: a list of small steps."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from imagegen import cli, models
from imagegen.api import v1
from imagegen.blueprints import BLUEPRINTS
from imagegen.core.sockets import socket_folder
from imagegen.core.text import one_line
from imagegen.extensions import Runtime, babel, compress, connect_redis, csrf, db, login_manager, migrate
from imagegen.imaging.pool import PoolOwner
from imagegen.providers.price_book import FILE, PriceBook
from imagegen.providers.registry import ProviderRegistry
from imagegen.settings import PROJECT_ROOT, Settings, SettingsError
from imagegen.storage.registry import create_storage
from imagegen.web import (
    addresses,
    assets,
    auth,
    errors,
    filters,
    headers,
    icons,
    incoming,
    language,
    logs,
    nul,
    serving,
    sse,
)

__all__ = ["create_app", "models"]

IMAGING_CHILDREN = 2
"""Processes that one worker keeps for work on pixels."""


def create_app(settings: Settings | None = None) -> Flask:
    """Return the studio as a WSGI app; raises SettingsError with a sentence if a setting or a file of it is wrong."""
    settings = settings or Settings.load()
    app = Flask(__name__, template_folder=PROJECT_ROOT / "templates", static_folder=None)
    for configure in (
        _configure_settings,
        _configure_logs,
        _configure_runtime,
        _configure_database,
        _configure_people,
        _configure_pages,
        _configure_routes,
        _configure_commands,
    ):
        configure(app, settings)
    return app


def _configure_settings(app: Flask, settings: Settings) -> None:
    secure = bool(settings.public_url and settings.public_url.startswith("https://"))
    app.config.update(
        SECRET_KEY=settings.secret_key.get_secret_value(),
        TRUSTED_HOSTS=list(settings.trusted_hosts) or None,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS={
            "pool_size": settings.shots_per_worker + 4,
            "max_overflow": 20,
            "hide_parameters": True,
        },
        SESSION_COOKIE_NAME="__Host-studio" if secure else "studio",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=60 * 24 * 3600,
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_ALGORITHM_STREAMING=["br"],
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_CHECK_DEFAULT=False,
        MAX_CONTENT_LENGTH=1024 * 1024,
        MAX_FORM_MEMORY_SIZE=512 * 1024,
        MAX_FORM_PARTS=200,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    if settings.proxy_hops:
        hops = settings.proxy_hops
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]


def _configure_logs(app: Flask, settings: Settings) -> None:
    logs.configure(settings.log_level, hidden=logs.secrets_of(settings))
    logs.init_app(app)


def _configure_runtime(app: Flask, settings: Settings) -> None:
    app.extensions["studio"] = Runtime(
        settings=settings,
        redis=connect_redis(settings.redis_url),
        storage=create_storage(settings),
        providers=ProviderRegistry.from_settings(settings),
        price_book=_price_book(settings.studio_data_dir / FILE),
        pool=PoolOwner(_imaging_socket(), children=IMAGING_CHILDREN),
    )


def _price_book(path: Path) -> PriceBook:
    try:
        return PriceBook(path)
    except (OSError, ValueError) as error:
        reason = one_line(str(error), 300)
        raise SettingsError(f"{path} is not a table of prices; repair it, or delete it. ({reason})") from None


def _imaging_socket() -> Path:
    return socket_folder() / f"imaging-{os.getpid()}.sock"


def _configure_database(app: Flask, settings: Settings) -> None:
    db.init_app(app)
    migrate.init_app(app, db, directory=str(PROJECT_ROOT / "migrations"))


def _configure_people(app: Flask, settings: Settings) -> None:
    login_manager.init_app(app)
    csrf.init_app(app)
    auth.init_app(app)


def _configure_pages(app: Flask, settings: Settings) -> None:
    # First, so that it comes last when an answer goes out.
    compress.init_app(app)
    language.init_app(app, babel)
    addresses.init_app(app)
    assets.init_app(app)
    icons.init_app(app)
    headers.init_app(app)
    filters.init_app(app)
    errors.init_app(app)
    nul.init_app(app)
    incoming.init_app(app)
    sse.init_app(app)
    serving.init_app(app)


def _configure_routes(app: Flask, settings: Settings) -> None:
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    v1.init_app(app)


def _configure_commands(app: Flask, settings: Settings) -> None:
    cli.register(app)
