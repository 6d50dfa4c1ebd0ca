"""Flask's extensions and the studio's own runtime, made once and bound to an app by `create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import structlog
from flask import current_app
from flask_babel import Babel
from flask_compress import Compress
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase
from werkzeug.local import LocalProxy

from imagegen.core.crypto import Sealer
from imagegen.core.moments import Lately
from imagegen.core.sockets import socket_folder

if TYPE_CHECKING:
    from imagegen.imaging.client import PoolClient
    from imagegen.imaging.pool import PoolOwner
    from imagegen.providers.price_book import PriceBook
    from imagegen.providers.prices import PriceTable
    from imagegen.providers.registry import ProviderRegistry
    from imagegen.settings import Settings
    from imagegen.storage.base import Storage

P = ParamSpec("P")
R = TypeVar("R")

EVENTS_CHANNEL = "studio:events"
WORK_CHANNEL = "studio:work"


class Base(DeclarativeBase):
    """Every table; constraint names follow one convention, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Database(SQLAlchemy):
    """Flask-SQLAlchemy, but that an answer is given also where the database hangs up on who has read all it needs."""

    def _teardown_session(self, exc: BaseException | None) -> None:
        try:
            super()._teardown_session(exc)
        except DBAPIError as error:
            structlog.get_logger(__name__).warning("database.hung_up", error=str(error.orig))
            self.session.registry.clear()


db = Database(model_class=Base, disable_autonaming=True)
if TYPE_CHECKING:
    Model = Base  # mypy can't follow the class that Flask-SQLAlchemy makes from it
else:
    Model = db.Model
migrate = Migrate()
login_manager = LoginManager()
csrf = CSRFProtect()
babel = Babel()
compress = Compress()


@dataclass(frozen=True)
class Runtime:
    """What one running app works with; made by `create_app`, reached through `runtime`."""

    settings: Settings
    redis: Redis
    storage: Storage
    providers: ProviderRegistry
    price_book: PriceBook
    pool: PoolOwner
    lately: Lately = field(default_factory=Lately)

    @property
    def prices(self) -> PriceTable:
        """The prices in force now."""
        return self.price_book.table

    @property
    def sealer(self) -> Sealer:
        """What seals other people's secrets before they are stored."""
        return Sealer(self.settings.encryption_keys.get_secret_value().split(","))

    @property
    def imaging(self) -> PoolClient:
        """Whoever does work on pixels; a process that gives much of it keeps the pool running (`pool`)."""
        return self.pool.client


runtime: Runtime = cast(Runtime, LocalProxy(lambda: current_app.extensions["studio"]))


REDIS_ANSWERS_WITHIN = 1.0
"""Seconds. Redis only wakes and counts: one that hangs must hold nobody up for longer than one that is down."""


def connect_redis(url: str | None) -> Redis:
    """Return a client; it connects at its first command, so that the command line works without a server.

    No command may block on it: whoever waits for Redis (RQ's worker) needs a client of its own.
    """
    # Without REDIS_URL only `make run` knows where the embedded server is.
    url = url or f"unix://{socket_folder() / 'none.sock'}"
    # A connection that has died meanwhile is worth another try, a server that does not answer is not.
    again = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return Redis.from_url(
        url,
        socket_connect_timeout=REDIS_ANSWERS_WITHIN,
        socket_timeout=REDIS_ANSWERS_WITHIN,
        retry=again,
    )


def in_app_context(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` bound to the current app, so that another thread may call it.

    Each call gets a context, and so a read session, of its own, which ends with the call.
    """
    app: Any = current_app._get_current_object()  # type: ignore[attr-defined]

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with app.app_context():
            return function(*args, **kwargs)

    return call


def announce(organisation_id: int) -> None:
    """Tell all listening processes that an organisation has new events.

    Redis only wakes: whoever is not told asks the database a little later, so a failure here is not one.
    """
    try:
        runtime.redis.publish(EVENTS_CHANNEL, str(organisation_id))
    except RedisError as error:
        structlog.get_logger(__name__).warning("events.announce_failed", error=str(error))


def stir() -> None:
    """Tell the workers that are up that there is work; those that have to be started hear of it by the queue."""
    try:
        runtime.redis.publish(WORK_CHANNEL, b"")
    except RedisError as error:
        structlog.get_logger(__name__).warning("work.stir_failed", error=str(error))
