"""Fixtures of these tests."""

from tests.web.fixtures import app, eve

__all__ = ["app", "eve"]
