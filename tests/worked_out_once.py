"""What every app of a test process would work out anew, with the same result: it is worked out once.

A test has an app of its own, on a database of its own. Most of what making one cost was Werkzeug writing and
compiling two Python functions for each route; most of what a first page cost was SQLAlchemy writing each statement
anew, because its cache belongs to an engine, and Jinja reading templates. A process that serves does it all once
and lives for weeks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import pytest
from flask import Flask
from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket
from sqlalchemy import Engine, event
from werkzeug.routing import Rule

from imagegen.extensions import db

STATEMENTS = 4000
"""Compiled statements that are kept: all that the studio knows, and those of the tests."""


@contextmanager
def worked_out_once() -> Iterator[None]:
    """Let all apps that are made meanwhile share their compiled routes, templates and statements."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", _once_per_route(Rule._compile_builder))
        patch.setattr(db, "_make_engine", _once_per_dialect(db._make_engine))
        patch.setattr(Flask, "create_jinja_environment", _once_per_template(Flask.create_jinja_environment))
        yield


Builder = Callable[..., tuple[str, str]]


def _once_per_route(compile_builder: Callable[[Rule, bool], Builder]) -> Callable[[Rule, bool], Builder]:
    builders: dict[Any, Builder] = {}

    def compiled(rule: Rule, append_unknown: bool = True) -> Builder:
        # All that Werkzeug writes the function from; it gets its rule, and by it the converters, when it is called.
        key = (rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown)
        if key not in builders:
            builders[key] = compile_builder(rule, append_unknown)
        return builders[key]

    return compiled


def _once_per_template(make_environment: Callable[[Flask], Environment]) -> Callable[[Flask], Environment]:
    templates = CompiledTemplates()

    def make(app: Flask) -> Environment:
        environment = make_environment(app)
        environment.bytecode_cache = templates
        return environment

    return make


class CompiledTemplates(BytecodeCache):
    """Compiled templates of this process, by their source."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template its code if its source is known."""
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template's code."""
        self._kept[bucket.key, bucket.checksum] = bucket.code


MakeEngine = Callable[[str | None, dict[str, Any], Flask], Engine]


def _once_per_dialect(make_engine: MakeEngine) -> MakeEngine:
    kept: dict[str, tuple[Any, Any]] = {}

    def make(bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:
        engine = make_engine(bind_key, options | {"query_cache_size": STATEMENTS}, app)
        name = engine.dialect.name

        def keep(*_: object) -> None:
            kept.setdefault(name, (engine.dialect, engine._compiled_cache))

        if name in kept:
            # A statement is cached by the dialect that it was written in: this very object.
            engine.dialect, engine._compiled_cache = kept[name]
        else:
            # Not before it has connected: only then it knows its server.
            event.listen(engine, "connect", keep, once=True)
        return engine

    return make
