"""Fixtures for tests of money: a paid provider that is never really called, and members."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from pydantic import SecretStr

from imagegen.models import system_scope
from tests.models.rows import Member, add_member


@pytest.fixture
def settings_values() -> dict[str, object]:
    return {"openai_api_key": SecretStr("sk-never-called"), "openai_base_url": "http://127.0.0.1:9/v1"}


@pytest.fixture
def amy(app: Flask) -> Member:
    """A member of the organisation One."""
    return add_member("amy", "One")


@pytest.fixture
def everything(app: Flask) -> Iterator[None]:
    """The scope of the studio's own machinery."""
    with system_scope():
        yield
