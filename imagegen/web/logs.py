"""Structured logs: one line each, with one id through web, worker and provider call."""

from __future__ import annotations

import logging
import sys
from typing import TextIO
from urllib.parse import unquote

import structlog
from flask import Flask, request
from pydantic import SecretStr

from imagegen.core.ids import new_id
from imagegen.settings import Settings, passwords_in

_MASK = "********"
_SHORTEST = 6
"""A secret that is shorter would hide parts of ordinary words."""


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return what must stand in no line: secret settings, and the passwords within addresses; the longest first."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    secrets = {value.get_secret_value() for value in values if isinstance(value, SecretStr)}
    secrets.update(settings.encryption_keys.get_secret_value().split(","))
    addresses = (value for value in values if isinstance(value, str) and "://" in value)
    passwords = {password for address in addresses for password in passwords_in(address)}
    secrets |= passwords | {unquote(password) for password in passwords}
    secrets |= {repr(secret)[1:-1] for secret in secrets}  # as values stand in a line
    return tuple(sorted((secret for secret in secrets if len(secret) >= _SHORTEST), key=len, reverse=True))


class _Lines(logging.Formatter):
    """Our own lines as they are; those of libraries with a name before them. Newlines never begin a new line.

    What a library puts into the text of its error is not ours to choose: secrets are taken out last.
    """

    hidden: tuple[str, ...] = ()

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        line = (
            line
            if record.name.startswith("imagegen")
            else f"level='{record.levelname.lower()}' {record.name}: {line}"
        )
        for secret in self.hidden:
            line = line.replace(secret, _MASK)
        return line.replace("\r", "\\r").replace("\n", "\\n")


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the moment. One that is gone must not stop the work that is told of."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.lines = _Lines()
        self.setFormatter(self.lines)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:
        """Do without the line."""


def configure(level: str, *, hidden: tuple[str, ...] = ()) -> None:
    """Write log lines as `key=value` to stderr; newlines within values are escaped, so none can be forged.

    What is `hidden` stands in none of them.
    """
    root = logging.getLogger()
    root.setLevel(level)
    handlers = [handler for handler in root.handlers if isinstance(handler, _Stderr)] or [_Stderr()]
    root.addHandler(handlers[0])
    handlers[0].lines.hidden = hidden
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def init_app(app: Flask) -> None:
    """Give every request an id, in its log lines and in its answer."""

    @app.before_request
    def _begin() -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=new_id(), path=_path())


def _path() -> str:
    """Return where the request goes; of a link that is a secret, only its kind."""
    if "secret" in (request.view_args or {}):
        return request.url_rule.rule if request.url_rule is not None else ""
    return request.path[:200]
