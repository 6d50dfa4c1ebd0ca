"""Structured logs: one line each, with one id through web, worker and provider call."""

from __future__ import annotations

import logging
import sys

import structlog
from flask import Flask, request

from imagegen.core.ids import new_id


def configure(level: str) -> None:
    """Write log lines as `key=value` to stderr; newlines within values are escaped, so none can be forged."""
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def init_app(app: Flask) -> None:
    """Give every request an id, in its log lines and in its answer."""

    @app.before_request
    def _begin() -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=new_id(), path=request.path[:200])
