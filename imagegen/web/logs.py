"""Structured logs: one line each, with one id through web, worker and provider call."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from flask import Flask, request

from imagegen.core.ids import new_id


class _Lines(logging.Formatter):
    """Our own lines as they are; those of libraries with a name before them. Newlines never begin a new line."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        line = (
            line
            if record.name.startswith("imagegen")
            else f"level='{record.levelname.lower()}' {record.name}: {line}"
        )
        return line.replace("\r", "\\r").replace("\n", "\\n")


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever stderr is at the moment. One that is gone must not stop the work that is told of."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(_Lines())

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:
        """Do without the line."""


def configure(level: str) -> None:
    """Write log lines as `key=value` to stderr; newlines within values are escaped, so none can be forged."""
    root = logging.getLogger()
    root.setLevel(level)
    if not any(isinstance(handler, _Stderr) for handler in root.handlers):
        root.addHandler(_Stderr())
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
